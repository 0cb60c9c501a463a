//! The seam the engine needs: what each database behind it has to offer.

use core::ops::Range;
use core::time::Duration;

use async_trait::async_trait;
use capstan_base::U256;
use rusqlite::{Connection, named_params};

use crate::attempts::{
    Attempt, BroadcastNote, NewAttempt, Recorded, mined_attempts, note_broadcast, record_attempt,
};
use crate::columns::{Sql, get};
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState, ItemEnd, flight_state, items_of, set_flight};
use crate::intents::{
    Failure, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome, IntentState,
    NewIntent, find_intent,
};
use crate::lanes::{Fence, LaneKey, LaneSnapshot, acquire, check_fence, release, renew};
use crate::store::Store;

/// Durable memory of the engine. Every method that writes is one transaction, is durable once it
/// has answered, and leaves a row in the intent's history where the change is not plain from the
/// intent and its attempts. What is written for a lane carries the lane's [`Fence`], and is refused
/// with [`StoreError::Fenced`] once another engine has taken the lane. A write that ended in an error
/// which [`StoreError::is_retryable`] may be made again as it was.
/// `tests/it/conformance.rs` holds what every implementation must do.
#[async_trait]
pub trait EngineStore: Send + Sync + 'static {
    /// Stores an intent once per key; another payload under the key is an error.
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome>;
    /// Looks an intent up.
    async fn intent(&self, id: IntentId) -> Result<Option<Intent>>;
    /// Lists intents, oldest first.
    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>>;
    /// Attempts of an intent, oldest first, those at nonces it lost included.
    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>>;
    /// History of an intent, oldest first.
    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>>;
    /// Lanes with an intent that is not final or failed.
    async fn open_lanes(&self) -> Result<Vec<LaneKey>>;

    /// Takes a lane for `owner` until the lease is over, if it is free, its lease is over, or
    /// `owner` has it already. Ends every earlier fence of the lane. By the database's clock.
    async fn acquire_lane(
        &self,
        lane: LaneKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Fence>>;
    /// Prolongs the lease; false if another engine has taken the lane since.
    async fn renew_lane(&self, fence: Fence, lease: Duration) -> Result<bool>;
    /// Frees the lane, if it is still this fence's.
    async fn release_lane(&self, fence: Fence) -> Result<()>;
    /// One consistent picture of a lane.
    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot>;
    /// The mined attempts of a lane's final flights at these nonces, by nonce, at most 256: what a
    /// chain that lost final blocks has to be told again.
    async fn mined_attempts(&self, lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>>;
    /// Queued intents of a lane after an id, oldest first, at most `limit`.
    async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>>;
    /// Returns once another process may have submitted for the lane, in doubt too early; never,
    /// where there is none.
    async fn submitted(&self, lane: LaneKey);

    /// Stores a signed transaction; the first one at a nonce creates the flight, binds the intents
    /// to it and moves the lane on, in the same transaction. Idempotent by hash.
    async fn record_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<Recorded>;
    /// Notes how broadcasts went. Needs no fence: it decides nothing.
    async fn note_broadcasts(&self, notes: Vec<BroadcastNote>) -> Result<()>;
    /// In flight or included elsewhere, now included here. Idempotent.
    async fn record_inclusion(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
    ) -> Result<()>;
    /// Included, now back in flight: its block is no longer canonical. Idempotent.
    async fn record_reorg(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()>;
    /// In flight or included, now final, with what became of each intent it carries. Idempotent; a
    /// final flight never changes again.
    async fn record_final(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<()>;
    /// In flight, now lost: another transaction used its nonce. Its intents are queued again.
    /// Idempotent.
    async fn record_lost(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()>;
    /// Queued, now given up. Refused once the intent is bound to a nonce. Idempotent.
    async fn record_failure(&self, fence: Fence, id: IntentId, failure: Failure) -> Result<()>;
    /// Adds a line to the history; a line equal to the last one is not added again.
    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()>;
}

#[async_trait]
impl EngineStore for Store {
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome> {
        Store::submit_intent(self, request).await
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>> {
        Store::intent(self, id).await
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        Store::intents(self, filter).await
    }

    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>> {
        Store::attempts(self, id).await
    }

    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>> {
        Store::history(self, id).await
    }

    async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        Store::open_lanes(self).await
    }

    async fn acquire_lane(
        &self,
        lane: LaneKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Fence>> {
        let owner = owner.to_owned();
        self.write("take a lane", move |sql| acquire(sql, lane, &owner, lease)).await
    }

    async fn renew_lane(&self, fence: Fence, lease: Duration) -> Result<bool> {
        self.write("renew a lease", move |sql| renew(sql, fence, lease)).await
    }

    async fn release_lane(&self, fence: Fence) -> Result<()> {
        self.write("release a lane", move |sql| release(sql, fence)).await
    }

    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        Store::lane_snapshot(self, lane).await
    }

    async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>> {
        Store::queued(self, lane, after, limit).await
    }

    async fn mined_attempts(&self, lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>> {
        self.read("read mined attempts", move |sql| mined_attempts(sql, lane, &nonces)).await
    }

    /// One process has the file; what it submits it says itself.
    async fn submitted(&self, _lane: LaneKey) {
        core::future::pending().await
    }

    async fn record_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<Recorded> {
        self.write("record an attempt", move |sql| record_attempt(sql, fence, &attempt)).await
    }

    async fn note_broadcasts(&self, notes: Vec<BroadcastNote>) -> Result<()> {
        self.write("note a broadcast", move |sql| {
            notes.iter().try_for_each(|note| note_broadcast(sql, note))
        })
        .await
    }

    async fn record_inclusion(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
    ) -> Result<()> {
        self.write("record an inclusion", move |sql| {
            let allowed = &[FlightState::InFlight, FlightState::Included];
            from(sql, fence, flight, "record an inclusion", allowed)?;
            set_flight(sql, flight, FlightState::Included, Some(&inclusion))
        })
        .await
    }

    async fn record_reorg(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write("record a reorganisation", move |sql| {
            let allowed = &[FlightState::InFlight, FlightState::Included];
            from(sql, fence, flight, "record a reorganisation", allowed)?;
            set_flight(sql, flight, FlightState::InFlight, None)?;
            add_history_of_items(sql, flight, "reorged", &detail)
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
        self.write("record finality", move |sql| {
            let allowed = &[FlightState::InFlight, FlightState::Included, FlightState::Final];
            if from(sql, fence, flight, "record finality", allowed)? == FlightState::Final {
                return Ok(());
            }
            let carried: Vec<IntentId> =
                items_of(sql, flight)?.into_iter().map(|intent| intent.id).collect();
            if carried != ends.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
                return Err(StoreError::OtherItems { flight });
            }
            set_flight(sql, flight, FlightState::Final, Some(&inclusion))?;
            let share = inclusion.share(ends.len());
            ends.iter().try_for_each(|(id, end)| end_item(sql, *id, end, share))
        })
        .await
    }

    async fn record_lost(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write("give a nonce up", move |sql| {
            let allowed = &[FlightState::InFlight, FlightState::Lost];
            if from(sql, fence, flight, "give a nonce up", allowed)? == FlightState::Lost {
                return Ok(());
            }
            let carried = items_of(sql, flight)?;
            set_flight(sql, flight, FlightState::Lost, None)?;
            for intent in carried {
                requeue(sql, intent.id)?;
                add_history(sql, intent.id, "requeued", &detail)?;
            }
            Ok(())
        })
        .await
    }

    async fn record_failure(&self, fence: Fence, id: IntentId, failure: Failure) -> Result<()> {
        self.write("record a failure", move |sql| {
            check_fence(sql, fence)?;
            match find_intent(sql, id)?.ok_or(StoreError::UnknownIntent(id))?.state {
                IntentState::Queued => fail(sql, id, &failure),
                IntentState::Failed => Ok(()),
                state => {
                    let (found, operation) = (state.as_str(), "record a failure");
                    Err(StoreError::WrongIntentState { id, found, operation })
                }
            }
        })
        .await
    }

    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()> {
        self.write("note an event", move |sql| add_history(sql, id, what, &detail)).await
    }
}

/// The flight's state, if the fence holds and it is one of `allowed`.
fn from(
    sql: &Connection,
    fence: Fence,
    id: FlightId,
    operation: &'static str,
    allowed: &[FlightState],
) -> Result<FlightState> {
    check_fence(sql, fence)?;
    match flight_state(sql, id)? {
        Some((lane, state)) if lane == fence.lane && allowed.contains(&state) => Ok(state),
        Some((_, state)) => {
            Err(StoreError::WrongFlightState { id, found: state.as_str(), operation })
        }
        None => Err(StoreError::UnknownFlight(id)),
    }
}

fn end_item(sql: &Connection, id: IntentId, end: &ItemEnd, share: U256) -> Result<()> {
    match end {
        ItemEnd::Final { success } => sql
            .prepare_cached(
                "UPDATE intents SET state = 'final', success = ?2, updated_at = unixepoch()
                 WHERE id = ?1",
            )
            .and_then(|mut update| update.execute((Sql(id.0), success)))
            .map(|_| ())
            .map_err(StoreError::statement("record finality")),
        ItemEnd::Queued(detail) => {
            spend(sql, id, share)?;
            requeue(sql, id)?;
            add_history(sql, id, "isolated", detail)
        }
        ItemEnd::Failed(failure) => {
            requeue(sql, id)?;
            fail(sql, id, failure)
        }
    }
}

fn spend(sql: &Connection, id: IntentId, share: U256) -> Result<()> {
    let spend = || {
        let mut rows = sql.prepare_cached("SELECT spent FROM intents WHERE id = ?1")?;
        let spent: U256 = rows.query_row([Sql(id.0)], |row| get(row, "spent"))?;
        let mut update = sql.prepare_cached("UPDATE intents SET spent = ?2 WHERE id = ?1")?;
        update.execute((Sql(id.0), Sql(spent.saturating_add(share)))).map(|_| ())
    };
    spend().map_err(StoreError::statement("record what was spent"))
}

fn requeue(sql: &Connection, id: IntentId) -> Result<()> {
    sql.prepare_cached(
        "UPDATE intents SET state = 'queued', flight_id = NULL, updated_at = unixepoch()
         WHERE id = ?1",
    )
    .and_then(|mut update| update.execute([Sql(id.0)]))
    .map(|_| ())
    .map_err(StoreError::statement("queue an intent again"))
}

fn fail(sql: &Connection, id: IntentId, failure: &Failure) -> Result<()> {
    sql.prepare_cached(
        "UPDATE intents SET state = 'failed', failure_code = ?2, failure_detail = ?3,
                            updated_at = unixepoch() WHERE id = ?1",
    )
    .and_then(|mut update| update.execute((Sql(id.0), failure.code, &failure.detail)))
    .map(|_| ())
    .map_err(StoreError::statement("record a failure"))
}

fn add_history_of_items(
    sql: &Connection,
    flight: FlightId,
    what: &str,
    detail: &str,
) -> Result<()> {
    items_of(sql, flight)?.iter().try_for_each(|intent| add_history(sql, intent.id, what, detail))
}

fn add_history(sql: &Connection, id: IntentId, what: &str, detail: &str) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO history (intent_id, what, detail)
         SELECT :id, :what, :detail
         WHERE NOT EXISTS (
             SELECT 1 FROM (SELECT what, detail FROM history WHERE intent_id = :id
                            ORDER BY id DESC LIMIT 1)
             WHERE what = :what AND detail = :detail)",
    )
    .and_then(|mut insert| {
        insert.execute(named_params! { ":id": Sql(id.0), ":what": what, ":detail": detail })
    })
    .map(|_| ())
    .map_err(StoreError::statement("note an event"))
}
