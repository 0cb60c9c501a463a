//! The seam the engine needs, on PostgreSQL.

use core::ops::Range;
use core::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;

use super::{PgStore, attempts, flights, intents, lanes};
use crate::attempts::{Attempt, BroadcastNote, NewAttempt, Recorded};
use crate::engine_store::EngineStore;
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState, ItemEnd};
use crate::intents::{
    Failure, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome, IntentState,
    NewIntent,
};
use crate::lanes::{Fence, LaneKey, LaneSnapshot};

#[async_trait]
impl EngineStore for PgStore {
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome> {
        let lane = LaneKey { chain_id: request.chain_id, sender: request.sender };
        let outcome = self
            .write("submit an intent", request, |sql, request| {
                Box::pin(intents::insert_intent(sql, request))
            })
            .await?;
        // Of an existing one too: the answer to its first submission may have been lost.
        self.announce(lane);
        Ok(outcome)
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>> {
        self.read("read an intent", id, |sql, id| Box::pin(intents::find_intent(sql, *id))).await
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        self.read("list intents", filter, |sql, filter| {
            Box::pin(intents::list_intents(sql, filter))
        })
        .await
    }

    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>> {
        self.read("list attempts", id, |sql, id| Box::pin(attempts::attempts_of(sql, *id))).await
    }

    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>> {
        self.read("read an intent's history", id, |sql, id| Box::pin(intents::history(sql, *id)))
            .await
    }

    async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        self.read("list lanes", (), |sql, ()| Box::pin(lanes::open_lanes(sql))).await
    }

    async fn acquire_lane(
        &self,
        lane: LaneKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Fence>> {
        self.write("take a lane", (lane, owner.to_owned(), lease), |sql, wanted| {
            Box::pin(lanes::acquire(sql, wanted))
        })
        .await
    }

    async fn renew_lane(&self, fence: Fence, lease: Duration) -> Result<bool> {
        self.write("renew a lease", (fence, lease), |sql, held| Box::pin(lanes::renew(sql, held)))
            .await
    }

    async fn release_lane(&self, fence: Fence) -> Result<()> {
        self.write("release a lane", fence, |sql, fence| Box::pin(lanes::release(sql, fence))).await
    }

    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        self.picture("read a lane", lane, |sql, lane| Box::pin(lanes::snapshot(sql, *lane))).await
    }

    /// Waits for the submissions under way; see `lanes::queued`.
    async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>> {
        self.write("read a lane's queue", (lane, after, limit), |sql, asked| {
            Box::pin(lanes::queued(sql, asked))
        })
        .await
    }

    /// One waiter for each lane and handle: a word wakes one.
    async fn submitted(&self, lane: LaneKey) {
        match &self.listener {
            Some(listener) => listener.word_of(lane).await,
            None => core::future::pending().await,
        }
    }

    async fn mined_attempts(&self, lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>> {
        self.read("read mined attempts", (lane, nonces), |sql, (lane, nonces)| {
            Box::pin(attempts::mined_attempts(sql, *lane, nonces))
        })
        .await
    }

    async fn record_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<Recorded> {
        self.write("record an attempt", (fence, attempt), |sql, new| {
            Box::pin(attempts::record_attempt(sql, new))
        })
        .await
    }

    async fn note_broadcasts(&self, notes: Vec<BroadcastNote>) -> Result<()> {
        self.write("note a broadcast", notes, |sql, notes| {
            Box::pin(attempts::note_broadcasts(sql, notes))
        })
        .await
    }

    async fn record_inclusion(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
    ) -> Result<()> {
        self.write("record an inclusion", (fence, flight, inclusion), |sql, input| {
            Box::pin(record_inclusion(sql, input))
        })
        .await
    }

    async fn record_reorg(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write("record a reorganisation", (fence, flight, detail), |sql, input| {
            Box::pin(record_reorg(sql, input))
        })
        .await
    }

    async fn record_final(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<()> {
        self.write("record finality", (fence, flight, inclusion, ends), |sql, input| {
            Box::pin(record_final(sql, input))
        })
        .await
    }

    async fn record_lost(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write("give a nonce up", (fence, flight, detail), |sql, input| {
            Box::pin(record_lost(sql, input))
        })
        .await
    }

    async fn record_failure(&self, fence: Fence, id: IntentId, failure: Failure) -> Result<()> {
        self.write("record a failure", (fence, id, failure), |sql, input| {
            Box::pin(record_failure(sql, input))
        })
        .await
    }

    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()> {
        self.write("note an event", (id, what, detail), |sql, (id, what, detail)| {
            Box::pin(intents::add_history(sql, *id, what, detail))
        })
        .await
    }
}

/// The flight's state, if the fence holds and it is one of `allowed`.
async fn from(
    sql: &mut PgConnection,
    fence: Fence,
    id: FlightId,
    operation: &'static str,
    allowed: &[FlightState],
) -> Result<FlightState> {
    lanes::check_fence(sql, fence).await?;
    match flights::flight_state(sql, id).await? {
        Some((lane, state)) if lane == fence.lane && allowed.contains(&state) => Ok(state),
        Some((_, state)) => {
            Err(StoreError::WrongFlightState { id, found: state.as_str(), operation })
        }
        None => Err(StoreError::UnknownFlight(id)),
    }
}

async fn record_inclusion(
    sql: &mut PgConnection,
    (fence, flight, inclusion): &(Fence, FlightId, Inclusion),
) -> Result<()> {
    let allowed = &[FlightState::InFlight, FlightState::Included];
    from(sql, *fence, *flight, "record an inclusion", allowed).await?;
    flights::set_flight(sql, *flight, FlightState::Included, Some(inclusion)).await
}

async fn record_reorg(
    sql: &mut PgConnection,
    (fence, flight, detail): &(Fence, FlightId, String),
) -> Result<()> {
    let allowed = &[FlightState::InFlight, FlightState::Included];
    from(sql, *fence, *flight, "record a reorganisation", allowed).await?;
    flights::set_flight(sql, *flight, FlightState::InFlight, None).await?;
    for id in flights::items_of(sql, *flight).await? {
        intents::add_history(sql, id, "reorged", detail).await?;
    }
    Ok(())
}

async fn record_final(
    sql: &mut PgConnection,
    (fence, flight, inclusion, ends): &(Fence, FlightId, Inclusion, Vec<(IntentId, ItemEnd)>),
) -> Result<()> {
    let allowed = &[FlightState::InFlight, FlightState::Included, FlightState::Final];
    if from(sql, *fence, *flight, "record finality", allowed).await? == FlightState::Final {
        return Ok(());
    }
    let carried = flights::items_of(sql, *flight).await?;
    if carried != ends.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
        return Err(StoreError::OtherItems { flight: *flight });
    }
    flights::set_flight(sql, *flight, FlightState::Final, Some(inclusion)).await?;
    for (id, end) in ends {
        match end {
            ItemEnd::Final { success } => intents::end(sql, *id, *success).await?,
            ItemEnd::Queued(detail) => {
                intents::spend(sql, *id, inclusion.share(ends.len())).await?;
                intents::requeue(sql, *id).await?;
                intents::add_history(sql, *id, "isolated", detail).await?;
            }
            ItemEnd::Failed(failure) => {
                intents::requeue(sql, *id).await?;
                intents::fail(sql, *id, failure).await?;
            }
        }
    }
    Ok(())
}

async fn record_lost(
    sql: &mut PgConnection,
    (fence, flight, detail): &(Fence, FlightId, String),
) -> Result<()> {
    let allowed = &[FlightState::InFlight, FlightState::Lost];
    if from(sql, *fence, *flight, "give a nonce up", allowed).await? == FlightState::Lost {
        return Ok(());
    }
    flights::set_flight(sql, *flight, FlightState::Lost, None).await?;
    for id in flights::items_of(sql, *flight).await? {
        intents::requeue(sql, id).await?;
        intents::add_history(sql, id, "requeued", detail).await?;
    }
    Ok(())
}

async fn record_failure(
    sql: &mut PgConnection,
    (fence, id, failure): &(Fence, IntentId, Failure),
) -> Result<()> {
    lanes::check_fence(sql, *fence).await?;
    if intents::fail(sql, *id, failure).await? {
        return Ok(());
    }
    match intents::find_intent(sql, *id).await?.ok_or(StoreError::UnknownIntent(*id))?.state {
        IntentState::Failed => Ok(()),
        state => {
            let (found, operation) = (state.as_str(), "record a failure");
            Err(StoreError::WrongIntentState { id: *id, found, operation })
        }
    }
}
