//! The engine on its durable store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use capstan_base::ChainId;
use capstan_chain::{Call, ChainClient};
use capstan_engine::{BatchPolicy, Engine, EngineConfig, LaneChain, LaneSigner};
use capstan_store::{EngineStore, IntentFilter, IntentState, LaneKey, NewIntent, Store};
use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

use super::per_second;
use super::stage::{Stage, config};
use crate::world::BASE_SEPOLIA;

/// Between looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Submissions that wait for one commit together, as sessions that end at once do.
const TOGETHER: usize = 256;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Settlements per second, from the first submission to the last inclusion stored.
    pub per_second: f64,
    /// Processor time of this process for each, milliseconds.
    pub cpu_ms: f64,
    /// Transactions it took.
    pub transactions: u64,
}

/// Settles `count` sessions, at most `max_items` in a transaction.
pub async fn settle(stage: &mut Stage, count: usize, max_items: usize) -> Measured {
    let calls = stage.take(count);
    let store = store(stage, &format!("settle-{max_items}-{}", calls[0].data.len() + count));
    let before = stage.nonce().await;
    let cancel = CancellationToken::new();
    let engine = start(stage, &store, max_items, &cancel);
    let (started, cpu) = (Instant::now(), cpu_time());
    for (index, some) in calls.chunks(TOGETHER).enumerate() {
        let submitted = some.iter().zip(index * TOGETHER..);
        let submitted = submitted.map(|(call, number)| engine.submit(intent(stage, call, number)));
        for outcome in join_all(submitted).await {
            outcome.expect("submitted");
        }
    }
    while !all_mined(&store, count).await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (took, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu));
    cancel.cancel();
    engine.stopped().await;
    let cpu_ms = 1e3 / per_second(count, cpu);
    let transactions = stage.nonce().await - before;
    Measured { per_second: per_second(count, took), cpu_ms, transactions }
}

/// Time from opening a store with `open` unfinished intents to the first attempt stored for one.
pub async fn restart(stage: &Stage, open: usize) -> Duration {
    let path = stage.folder().join("restart.db");
    {
        let store = Store::open(&path).expect("a store");
        let call = capstan_chain::calls::native_transfer(stage.host.address(), U256::ZERO);
        let numbers: Vec<usize> = (0..open).collect();
        for some in numbers.chunks(TOGETHER) {
            let submitted =
                some.iter().map(|number| store.submit_intent(intent(stage, &call, *number)));
            for outcome in join_all(submitted).await {
                outcome.expect("submitted");
            }
        }
    }
    let cancel = CancellationToken::new();
    let started = Instant::now();
    let store = Store::open(&path).expect("a store");
    let engine = start(stage, &store, 1, &cancel);
    let mut took = None;
    while took.is_none() {
        let filter = IntentFilter {
            state: Some(IntentState::InFlight),
            limit: Some(1),
            ..IntentFilter::default()
        };
        let first = store.lane_snapshot(lane(stage)).await.expect("a lane");
        if !first.flights.is_empty() || !store.intents(filter).await.expect("a list").is_empty() {
            took = Some(started.elapsed());
        }
    }
    cancel.cancel();
    engine.stopped().await;
    took.unwrap_or_default()
}

fn store(stage: &Stage, name: &str) -> Store {
    Store::open(stage.folder().join(format!("{name}.db"))).expect("a store")
}

fn start(stage: &Stage, store: &Store, max_items: usize, cancel: &CancellationToken) -> Engine {
    let config = config(stage.chain());
    let mut engine = EngineConfig::for_chains([&config].into_iter());
    for lane in engine.chains.values_mut() {
        lane.batch = BatchPolicy { max_items, ..BatchPolicy::default() };
    }
    let client: Arc<dyn LaneChain> = Arc::new(ChainClient::connect(config));
    let chains = HashMap::from([(ChainId(BASE_SEPOLIA), client)]);
    let signers = vec![Arc::clone(&stage.host) as Arc<dyn LaneSigner>];
    let store: Arc<dyn EngineStore> = Arc::new(store.clone());
    Engine::start(store, chains, signers, engine, cancel.clone()).expect("an engine")
}

fn lane(stage: &Stage) -> LaneKey {
    LaneKey { chain_id: ChainId(BASE_SEPOLIA), sender: stage.host.address() }
}

fn intent(stage: &Stage, call: &Call, number: usize) -> NewIntent {
    let Call { to, value, data } = call.clone();
    NewIntent {
        repeat_safe: true,
        label: "settle".to_owned(),
        ..NewIntent::new(format!("settle/{number}"), lane(stage), to, value, data)
    }
}

/// True once every intent is final, with success.
async fn all_mined(store: &Store, count: usize) -> bool {
    let open = store.open_lanes().await.expect("lanes");
    if !open.is_empty() {
        return false;
    }
    let filter = IntentFilter {
        limit: Some(u32::try_from(count).expect("a few") + 1),
        ..IntentFilter::default()
    };
    let intents = store.intents(filter).await.expect("a list");
    let good = intents.iter().filter(|intent| intent.inclusion.is_some_and(|mined| mined.success));
    assert_eq!(good.count(), count, "every session is closed by its own intent");
    true
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}
