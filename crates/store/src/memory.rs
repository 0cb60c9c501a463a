//! The engine's store in memory: the rules of the database without a disk, for simulations.
//!
//! ```text
//! MemoryStore (process A, its Power) ─┐
//! MemoryStore (process B, its Power) ─┴─► Tables: intents, flights, attempts, lanes, history
//! ```
//!
//! Nothing here waits for anything, so a future that is not ready at its first poll is one whose
//! process has lost its power: it never will be. `tests/it/conformance.rs` and `tests/it/twins.rs`
//! hold it to what the database does.

mod power;
mod tables;
mod writes;

use core::ops::Range;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use capstan_base::UnixSeconds;

pub use self::power::Power;
use self::tables::Tables;
use crate::attempts::{Attempt, BroadcastNote, NewAttempt, Recorded};
use crate::engine_store::EngineStore;
use crate::error::Result;
use crate::flights::{FlightId, ItemEnd};
use crate::intents::{
    Failure, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome, NewIntent,
};
use crate::lanes::{Fence, LaneKey, LaneSnapshot};

/// One process's handle to tables in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    power: Arc<Power>,
}

impl MemoryStore {
    /// Empty tables, at time zero, and a process that lives.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle of another process to the same tables.
    pub fn for_process(&self, power: Arc<Power>) -> Self {
        Self { tables: Arc::clone(&self.tables), power }
    }

    /// Sets the clock of leases and rows, Unix milliseconds. It stands still until set again.
    pub fn set_now(&self, millis: u64) {
        self.tables().now = millis;
    }

    /// Whether an attempt of this hash is stored, asked from outside any process.
    pub fn has_attempt(&self, tx_hash: capstan_base::B256) -> bool {
        self.tables().has_attempt(tx_hash)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        self.power.point().await;
        read(&self.tables())
    }

    /// The process may die before the write and after it, never within.
    async fn write<T>(&self, write: impl FnOnce(&mut Tables) -> T) -> T {
        self.power.point().await;
        let answer = write(&mut self.tables());
        self.power.point().await;
        answer
    }
}

#[async_trait]
impl EngineStore for MemoryStore {
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome> {
        self.write(|tables| tables.submit(request)).await
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>> {
        Ok(self.read(|tables| tables.intent(id)).await)
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        Ok(self.read(|tables| tables.list(&filter)).await)
    }

    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>> {
        Ok(self.read(|tables| tables.attempts_of_intent(id)).await)
    }

    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>> {
        Ok(self.read(|tables| tables.history(id)).await)
    }

    async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        Ok(self.read(Tables::open_lanes).await)
    }

    async fn acquire_lane(
        &self,
        lane: LaneKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Fence>> {
        Ok(self.write(|tables| tables.acquire(lane, owner, lease)).await)
    }

    async fn renew_lane(&self, fence: Fence, lease: Duration) -> Result<bool> {
        Ok(self.write(|tables| tables.renew(fence, lease)).await)
    }

    async fn release_lane(&self, fence: Fence) -> Result<()> {
        self.write(|tables| tables.release(fence)).await;
        Ok(())
    }

    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        Ok(self.read(|tables| tables.snapshot(lane)).await)
    }

    async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>> {
        Ok(self.read(|tables| tables.queued(lane, after, limit)).await)
    }

    async fn mined_attempts(&self, lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>> {
        Ok(self.read(|tables| tables.mined_attempts(lane, nonces)).await)
    }

    /// Who drives a simulation says himself what was submitted.
    async fn submitted(&self, _lane: LaneKey) {
        core::future::pending().await
    }

    async fn record_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<Recorded> {
        self.write(|tables| tables.record_attempt(fence, attempt)).await
    }

    async fn note_broadcasts(&self, notes: Vec<BroadcastNote>) -> Result<()> {
        self.write(|tables| tables.note_broadcasts(notes)).await;
        Ok(())
    }

    async fn record_inclusion(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
    ) -> Result<()> {
        self.write(|tables| tables.record_inclusion(fence, flight, inclusion)).await
    }

    async fn record_reorg(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write(|tables| tables.record_reorg(fence, flight, &detail)).await
    }

    async fn record_final(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<()> {
        self.write(|tables| tables.record_final(fence, flight, inclusion, ends)).await
    }

    async fn record_lost(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write(|tables| tables.record_lost(fence, flight, &detail)).await
    }

    async fn record_failure(&self, fence: Fence, id: IntentId, failure: Failure) -> Result<()> {
        self.write(|tables| tables.record_failure(fence, id, failure)).await
    }

    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()> {
        self.write(|tables| tables.note(id, what, &detail)).await
    }
}

/// Whole seconds of the tables' clock.
fn seconds(millis: u64) -> UnixSeconds {
    UnixSeconds::new(millis.checked_div(1000).unwrap_or(0)).unwrap_or(UnixSeconds::MAX)
}
