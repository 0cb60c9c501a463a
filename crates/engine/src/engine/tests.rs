//! Tests of the handle: submit, wait, outbox, stopping.

use alloy_primitives::Bytes;
use capstan_base::{Address, U256};
use capstan_chain::Finality;
use capstan_store::{FailureCode, IntentState, Store};

use super::*;
use crate::config::LaneConfig;
use crate::fake::{FakeChain, FakeSigner};

const SENDER: Address = Address::repeat_byte(0xaa);
const TARGET: Address = Address::repeat_byte(0xbb);
const CHAINS: [ChainId; 2] = [ChainId(84532), ChainId(5611)];

struct Stage {
    engine: Engine,
    store: Store,
    chains: Vec<Arc<FakeChain>>,
    cancel: CancellationToken,
}

fn stage() -> Stage {
    let store = Store::open_in_memory().unwrap();
    let chains: Vec<_> = CHAINS.iter().map(|id| Arc::new(FakeChain::new(*id))).collect();
    let seams = chains
        .iter()
        .map(|chain| (chain.chain_id(), Arc::clone(chain) as Arc<dyn LaneChain>))
        .collect();
    let default = LaneConfig {
        finality: Finality::Depth(1),
        poll_interval: Duration::from_millis(5),
        // Longer than any test: only a notification can wake an idle lane.
        idle_interval: Duration::from_secs(3600),
        ..LaneConfig::default()
    };
    let config = EngineConfig { default, chains: HashMap::new() };
    let cancel = CancellationToken::new();
    let signers: Vec<Arc<dyn LaneSigner>> = vec![Arc::new(FakeSigner(SENDER))];
    let engine =
        Engine::start(Arc::new(store.clone()), seams, signers, config, cancel.clone()).unwrap();
    for chain in chains.clone() {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            while !cancel.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                chain.model().mine();
            }
        });
    }
    Stage { engine, store, chains, cancel }
}

fn intent(chain_id: ChainId, key: &str) -> NewIntent {
    let data = Bytes::copy_from_slice(key.as_bytes());
    NewIntent::new(key, LaneKey { chain_id, sender: SENDER }, TARGET, U256::ZERO, data)
}

#[tokio::test]
async fn intents_on_two_chains_end_and_are_explained() {
    let stage = stage();
    for chain_id in CHAINS {
        let key = format!("on {chain_id}");
        let id = stage.engine.submit(intent(chain_id, &key)).await.unwrap();
        assert_eq!(stage.engine.submit(intent(chain_id, &key)).await.unwrap(), id);
        let outcome = stage.engine.wait(id).await.unwrap();
        let Outcome::Final { success: true, tx_hash, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(stage.engine.wait(id).await.unwrap(), outcome, "asked afterwards");
        let story = stage.engine.explain(id).await.unwrap();
        assert_eq!(story.attempts[0].signed.tx_hash, tx_hash);
        assert_eq!(story.intent.state, IntentState::Final);
    }
    assert_eq!(stage.engine.list(IntentFilter::default()).await.unwrap().len(), 2);
    stage.cancel.cancel();
    stage.engine.stopped().await;
}

#[tokio::test]
async fn an_intent_put_in_the_outbox_by_another_is_found_on_notification() {
    let stage = stage();
    let id = stage.store.submit_intent(intent(CHAINS[0], "outbox")).await.unwrap().id();
    stage.engine.notify();
    assert!(matches!(stage.engine.wait(id).await.unwrap(), Outcome::Final { .. }));
}

#[tokio::test]
async fn a_failure_is_an_outcome() {
    let stage = stage();
    stage.chains[0].model().reverting.insert(TARGET);
    let id = stage.engine.submit(intent(CHAINS[0], "a")).await.unwrap();
    let outcome = stage.engine.wait(id).await.unwrap();
    assert!(
        matches!(&outcome, Outcome::Failed(failure) if failure.code == FailureCode::Reverted),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_no_lane_can_do_is_refused_and_what_waits_for_one_is_named() {
    let stage = stage();
    let error = stage.engine.submit(intent(ChainId(1), "a")).await.unwrap_err();
    assert!(matches!(error, EngineError::UnknownLane { chain_id: ChainId(1), .. }));
    let mut large = intent(CHAINS[0], "b");
    large.data = vec![0; 200_000].into();
    let error = stage.engine.submit(large).await.unwrap_err();
    assert!(matches!(error, EngineError::TooLarge { .. }));
    stage.store.submit_intent(intent(ChainId(1), "c")).await.unwrap();
    let orphan = LaneKey { chain_id: ChainId(1), sender: SENDER };
    assert_eq!(stage.engine.orphans().await.unwrap(), [orphan]);
}

#[tokio::test]
async fn a_stopped_engine_says_so_and_the_next_one_goes_on() {
    let first = stage();
    first.cancel.cancel();
    first.engine.stopped().await;
    let id = first.store.submit_intent(intent(CHAINS[0], "a")).await.unwrap().id();
    assert!(matches!(first.engine.wait(id).await, Err(EngineError::Stopped)));
}

#[tokio::test]
async fn a_chain_under_anothers_id_is_refused() {
    let chain: Arc<dyn LaneChain> = Arc::new(FakeChain::new(ChainId(2)));
    let started = Engine::start(
        Arc::new(Store::open_in_memory().unwrap()),
        HashMap::from([(ChainId(1), chain)]),
        Vec::new(),
        EngineConfig::default(),
        CancellationToken::new(),
    );
    assert!(matches!(started.err(), Some(EngineError::WrongChain { .. })));
}
