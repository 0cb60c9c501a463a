//! The seam the engine needs: the part of the store that a PostgreSQL adapter would have to offer.

use async_trait::async_trait;
use capstan_base::B256;
use rusqlite::{Connection, named_params};

use crate::attempts::{Attempt, Broadcast, NewAttempt, note_broadcast, record_attempt};
use crate::columns::Sql;
use crate::error::{Result, StoreError};
use crate::intents::{
    Failure, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome, IntentState,
    NewIntent, find_intent,
};
use crate::lanes::{LaneKey, LaneSnapshot};
use crate::store::Store;

/// Durable memory of the engine. Every method that writes is one transaction, is durable once it
/// has answered, and leaves a row in the intent's history where the change is not plain from the
/// intent and its attempts. `tests/it/conformance.rs` holds what every implementation must do.
#[async_trait]
pub trait EngineStore: Send + Sync + 'static {
    /// Stores an intent once per key; another payload under the key is an error.
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome>;
    /// Looks an intent up.
    async fn intent(&self, id: IntentId) -> Result<Option<Intent>>;
    /// Lists intents, oldest first.
    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>>;
    /// Attempts of an intent, oldest first.
    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>>;
    /// History of an intent, oldest first.
    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>>;
    /// Lanes with an intent that is not final or failed.
    async fn open_lanes(&self) -> Result<Vec<LaneKey>>;
    /// One consistent picture of a lane.
    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot>;
    /// Stores a signed transaction; the first one binds the intent to its nonce and moves the lane
    /// on, in the same transaction. Returns the attempt's number at that nonce. Idempotent by hash.
    async fn record_attempt(&self, attempt: NewAttempt) -> Result<u32>;
    /// Notes how a broadcast went.
    async fn note_broadcast(
        &self,
        tx_hash: B256,
        broadcast: Broadcast,
        detail: Option<String>,
    ) -> Result<()>;
    /// In flight or included elsewhere, now included here. Idempotent.
    async fn record_inclusion(&self, id: IntentId, inclusion: Inclusion) -> Result<()>;
    /// Included, now back in flight: its block is no longer canonical. Idempotent.
    async fn record_reorg(&self, id: IntentId, detail: String) -> Result<()>;
    /// In flight or included, now final. Idempotent; a final intent never changes again.
    async fn record_final(&self, id: IntentId, inclusion: Inclusion) -> Result<()>;
    /// Queued, now given up. Refused once the intent is bound to a nonce.
    async fn record_failure(&self, id: IntentId, failure: Failure) -> Result<()>;
    /// In flight, now queued again: another transaction used its nonce up for good.
    async fn requeue(&self, id: IntentId, detail: String) -> Result<()>;
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

    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        Store::lane_snapshot(self, lane).await
    }

    async fn record_attempt(&self, attempt: NewAttempt) -> Result<u32> {
        self.write("record an attempt", move |sql| record_attempt(sql, &attempt)).await
    }

    async fn note_broadcast(
        &self,
        tx_hash: B256,
        broadcast: Broadcast,
        detail: Option<String>,
    ) -> Result<()> {
        self.write("note a broadcast", move |sql| {
            note_broadcast(sql, tx_hash, broadcast, detail.as_deref())
        })
        .await
    }

    async fn record_inclusion(&self, id: IntentId, inclusion: Inclusion) -> Result<()> {
        self.write("record an inclusion", move |sql| {
            from(sql, id, "record an inclusion", &[IntentState::InFlight, IntentState::Included])?;
            set_inclusion(sql, id, IntentState::Included, &inclusion)
        })
        .await
    }

    async fn record_reorg(&self, id: IntentId, detail: String) -> Result<()> {
        self.write("record a reorganisation", move |sql| {
            let states = &[IntentState::InFlight, IntentState::Included];
            from(sql, id, "record a reorganisation", states)?;
            clear_inclusion(
                sql,
                id,
                "UPDATE intents SET state = 'in_flight', tx_hash = NULL,
                block_number = NULL, block_hash = NULL, gas_used = NULL, effective_gas_price = NULL,
                success = NULL, updated_at = unixepoch() WHERE id = ?1",
            )?;
            add_history(sql, id, "reorged", &detail)
        })
        .await
    }

    async fn record_final(&self, id: IntentId, inclusion: Inclusion) -> Result<()> {
        self.write("record finality", move |sql| {
            let states = &[IntentState::InFlight, IntentState::Included, IntentState::Final];
            if from(sql, id, "record finality", states)? == IntentState::Final {
                return Ok(());
            }
            set_inclusion(sql, id, IntentState::Final, &inclusion)
        })
        .await
    }

    async fn record_failure(&self, id: IntentId, failure: Failure) -> Result<()> {
        self.write("record a failure", move |sql| {
            from(sql, id, "record a failure", &[IntentState::Queued])?;
            sql.prepare_cached(
                "UPDATE intents SET state = 'failed', failure_code = ?2, failure_detail = ?3,
                                    updated_at = unixepoch() WHERE id = ?1",
            )
            .and_then(|mut update| update.execute((Sql(id.0), failure.code, &failure.detail)))
            .map(|_| ())
            .map_err(StoreError::statement("record a failure"))
        })
        .await
    }

    async fn requeue(&self, id: IntentId, detail: String) -> Result<()> {
        self.write("requeue an intent", move |sql| {
            from(sql, id, "requeue", &[IntentState::InFlight])?;
            clear_inclusion(
                sql,
                id,
                "UPDATE intents SET state = 'queued', nonce = NULL,
                updated_at = unixepoch() WHERE id = ?1",
            )?;
            add_history(sql, id, "requeued", &detail)
        })
        .await
    }

    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()> {
        self.write("note an event", move |sql| add_history(sql, id, what, &detail)).await
    }
}

/// The intent's state, if it is one of `allowed`.
fn from(
    sql: &Connection,
    id: IntentId,
    operation: &'static str,
    allowed: &[IntentState],
) -> Result<IntentState> {
    let state = find_intent(sql, id)?.ok_or(StoreError::UnknownIntent(id))?.state;
    if allowed.contains(&state) {
        Ok(state)
    } else {
        Err(StoreError::WrongIntentState { id, found: state.as_str(), operation })
    }
}

fn set_inclusion(
    sql: &Connection,
    id: IntentId,
    state: IntentState,
    inclusion: &Inclusion,
) -> Result<()> {
    sql.prepare_cached(
        "UPDATE intents
         SET state = :state, tx_hash = :tx_hash, block_number = :block_number,
             block_hash = :block_hash, gas_used = :gas_used,
             effective_gas_price = :effective_gas_price, success = :success,
             updated_at = unixepoch()
         WHERE id = :id",
    )
    .and_then(|mut update| {
        update.execute(named_params! {
            ":state": state,
            ":tx_hash": Sql(inclusion.tx_hash),
            ":block_number": Sql(inclusion.block_number),
            ":block_hash": Sql(inclusion.block_hash),
            ":gas_used": Sql(inclusion.gas_used),
            ":effective_gas_price": Sql(inclusion.effective_gas_price),
            ":success": inclusion.success,
            ":id": Sql(id.0),
        })
    })
    .map(|_| ())
    .map_err(StoreError::statement("record where an intent was mined"))
}

fn clear_inclusion(sql: &Connection, id: IntentId, statement: &str) -> Result<()> {
    sql.prepare_cached(statement)
        .and_then(|mut update| update.execute([Sql(id.0)]))
        .map(|_| ())
        .map_err(StoreError::statement("change an intent's state"))
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
