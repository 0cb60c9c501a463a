//! A lane on a fake chain, with a store that can be killed before or after any write.

use core::ops::Range;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::Finality;
use capstan_kit::SystemClock;
use capstan_store::{
    Attempt, BroadcastNote, EngineStore, Failure, Fence, FlightId, HistoryRow, Inclusion, Intent,
    IntentFilter, IntentId, IntentOutcome, IntentState, ItemEnd, LaneKey, LaneSnapshot, NewAttempt,
    NewIntent, Recorded, Result, Store,
};
use tokio::sync::Notify;

use super::super::{Running, Worker};
use crate::config::LaneConfig;
use crate::fake::{FakeChain, FakeSigner};
use crate::names::Names;
use crate::waiters::Waiters;

pub(crate) const CHAIN: ChainId = ChainId(84532);
pub(crate) const SENDER: Address = Address::repeat_byte(0xaa);
pub(crate) const TARGET: Address = Address::repeat_byte(0xbb);
pub(crate) const DEPTH: u64 = 6;

/// Where the next write hangs, so that the test can kill the lane there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillAt {
    Before,
    After,
}

/// The real store, with a place to be killed at, and a list of what it holds.
pub(crate) struct KillableStore {
    inner: Store,
    stored: Arc<Mutex<HashSet<B256>>>,
    kill: Mutex<Option<(u32, KillAt)>>,
    hung: Notify,
}

impl KillableStore {
    fn due(&self, at: KillAt) -> bool {
        let mut kill = self.kill.lock().unwrap();
        match kill.as_mut() {
            Some((0, place)) if *place == at => {
                *kill = None;
                true
            }
            Some((left, place)) if *place == at => {
                *left = left.saturating_sub(1);
                false
            }
            _ => false,
        }
    }

    async fn maybe_hang(&self, at: KillAt) {
        if self.due(at) {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.maybe_hang(KillAt::Before).await;
        let result = work.await;
        self.maybe_hang(KillAt::After).await;
        result
    }
}

#[async_trait]
impl EngineStore for KillableStore {
    async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome> {
        self.write(self.inner.submit_intent(request)).await
    }
    async fn intent(&self, id: IntentId) -> Result<Option<Intent>> {
        self.inner.intent(id).await
    }
    async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        self.inner.intents(filter).await
    }
    async fn attempts(&self, id: IntentId) -> Result<Vec<Attempt>> {
        self.inner.attempts(id).await
    }
    async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>> {
        self.inner.history(id).await
    }
    async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        self.inner.open_lanes().await
    }
    async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        let snapshot = self.inner.lane_snapshot(lane).await?;
        // A write that a kill cut off may have been made all the same: what is read is stored.
        let read = snapshot.flights.iter().flat_map(|flight| &flight.attempts);
        let read = read.map(|attempt| attempt.signed.tx_hash);
        self.stored.lock().unwrap().extend(read);
        Ok(snapshot)
    }
    async fn acquire_lane(
        &self,
        lane: LaneKey,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Fence>> {
        self.inner.acquire_lane(lane, owner, lease).await
    }
    async fn renew_lane(&self, fence: Fence, lease: Duration) -> Result<bool> {
        self.inner.renew_lane(fence, lease).await
    }
    async fn release_lane(&self, fence: Fence) -> Result<()> {
        self.inner.release_lane(fence).await
    }
    async fn mined_attempts(&self, lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>> {
        self.inner.mined_attempts(lane, nonces).await
    }
    async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>> {
        self.inner.queued(lane, after, limit).await
    }
    async fn submitted(&self, lane: LaneKey) {
        self.inner.submitted(lane).await;
    }
    async fn record_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<Recorded> {
        let hash = attempt.signed.tx_hash;
        self.write(async {
            let recorded = self.inner.record_attempt(fence, attempt).await?;
            self.stored.lock().unwrap().insert(hash);
            Ok(recorded)
        })
        .await
    }
    async fn note_broadcasts(&self, notes: Vec<BroadcastNote>) -> Result<()> {
        self.write(self.inner.note_broadcasts(notes)).await
    }
    async fn record_inclusion(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
    ) -> Result<()> {
        self.write(self.inner.record_inclusion(fence, flight, inclusion)).await
    }
    async fn record_reorg(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write(self.inner.record_reorg(fence, flight, detail)).await
    }
    async fn record_final(
        &self,
        fence: Fence,
        flight: FlightId,
        inclusion: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<()> {
        self.write(self.inner.record_final(fence, flight, inclusion, ends)).await
    }
    async fn record_lost(&self, fence: Fence, flight: FlightId, detail: String) -> Result<()> {
        self.write(self.inner.record_lost(fence, flight, detail)).await
    }
    async fn record_failure(&self, fence: Fence, id: IntentId, failure: Failure) -> Result<()> {
        self.write(self.inner.record_failure(fence, id, failure)).await
    }
    async fn note(&self, id: IntentId, what: &'static str, detail: String) -> Result<()> {
        self.write(self.inner.note(id, what, detail)).await
    }
}

/// One lane and everything it stands on.
pub(crate) struct Rig {
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) store: Arc<KillableStore>,
    worker: Worker,
    running: Option<Running>,
    unstored: Arc<Mutex<Vec<B256>>>,
}

impl Rig {
    pub(crate) fn new(config: impl FnOnce(&mut LaneConfig)) -> Self {
        let mut lane_config =
            LaneConfig { finality: Finality::Depth(DEPTH), ..LaneConfig::default() };
        config(&mut lane_config);
        let stored: Arc<Mutex<HashSet<B256>>> = Arc::default();
        let unstored: Arc<Mutex<Vec<B256>>> = Arc::default();
        let check = {
            let (stored, unstored) = (Arc::clone(&stored), Arc::clone(&unstored));
            move |hash| {
                if !stored.lock().unwrap().contains(&hash) {
                    unstored.lock().unwrap().push(hash);
                }
            }
        };
        let chain = Arc::new(FakeChain::new(CHAIN).with_check(check));
        let store = Arc::new(KillableStore {
            inner: Store::open_in_memory().unwrap(),
            stored,
            kill: Mutex::default(),
            hung: Notify::new(),
        });
        let worker = Worker {
            key: LaneKey { chain_id: CHAIN, sender: SENDER },
            config: lane_config,
            owner: "engine".to_owned(),
            store: Arc::clone(&store) as Arc<dyn EngineStore>,
            clock: Arc::new(SystemClock),
            chain: Arc::clone(&chain) as Arc<dyn crate::chain::LaneChain>,
            signer: Arc::new(FakeSigner(SENDER)),
            waiters: Arc::new(Waiters::default()),
            wake: Arc::new(Notify::new()),
            names: Names::default(),
        };
        Self { chain, store, worker, running: None, unstored }
    }

    pub(crate) fn intent(key: &str) -> NewIntent {
        let lane = LaneKey { chain_id: CHAIN, sender: SENDER };
        let data = key.as_bytes().to_vec().into();
        NewIntent { label: key.to_owned(), ..NewIntent::new(key, lane, TARGET, U256::ZERO, data) }
    }

    pub(crate) async fn submit(&self, intent: NewIntent) -> IntentId {
        self.store.inner.submit_intent(intent).await.unwrap().id()
    }

    /// One round; a kill, if one is set and reached, drops the lane in the middle of it.
    pub(crate) async fn round(&mut self) {
        if self.running.is_none() {
            let (lane, lease) = (self.worker.key, Duration::from_secs(60));
            let fence = self.store.acquire_lane(lane, "engine", lease).await.unwrap().unwrap();
            self.running = Some(self.worker.restore(fence).await.unwrap());
        }
        let killed = {
            let running = self.running.as_mut().unwrap();
            tokio::select! {
                biased;
                () = self.chain.hung() => true,
                () = self.store.hung.notified() => true,
                result = self.worker.round(running) => { result.unwrap(); false }
            }
        };
        if killed {
            self.running = None;
        }
    }

    /// A round, then a block, so often.
    pub(crate) async fn go_on(&mut self, times: u32) {
        for _ in 0..times {
            self.round().await;
            self.chain.model().mine();
        }
        self.round().await;
    }

    pub(crate) fn kill_now(&mut self) {
        self.running = None;
    }

    pub(crate) fn kill_at_call(&self, calls: u32) {
        self.chain.faults().hang_after = Some(calls);
    }

    pub(crate) fn kill_at_write(&self, writes: u32, at: KillAt) {
        *self.store.kill.lock().unwrap() = Some((writes, at));
    }

    pub(crate) fn no_faults(&self) {
        *self.chain.faults() = Default::default();
        *self.store.kill.lock().unwrap() = None;
    }

    pub(crate) async fn stored(&self, id: IntentId) -> Intent {
        self.store.intent(id).await.unwrap().unwrap()
    }

    pub(crate) async fn store_intents(&self, filter: IntentFilter) -> Vec<Intent> {
        self.store.intents(filter).await.unwrap()
    }

    pub(crate) async fn state(&self, id: IntentId) -> IntentState {
        self.stored(id).await.state
    }

    pub(crate) async fn nonce(&self, id: IntentId) -> Option<u64> {
        self.stored(id).await.place.map(|place| place.nonce)
    }

    pub(crate) async fn attempts(&self, id: IntentId) -> Vec<Attempt> {
        self.store.attempts(id).await.unwrap()
    }

    /// Words of an intent's history.
    pub(crate) async fn words(&self, id: IntentId) -> Vec<String> {
        self.store.history(id).await.unwrap().into_iter().map(|row| row.what).collect()
    }

    /// How often an intent's calldata is in the chain.
    pub(crate) fn effects(&self, key: &str) -> usize {
        self.chain.model().mined().filter(|mined| mined.data.as_ref() == key.as_bytes()).count()
    }

    /// What was sent although no answered write had stored it.
    pub(crate) fn unstored(&self) -> Vec<B256> {
        self.unstored.lock().unwrap().clone()
    }
}
