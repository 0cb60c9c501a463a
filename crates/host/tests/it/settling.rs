//! Following settlements: by the session's own marketplace, by final blocks alone, now and then, once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use capstan_base::{Address, B256, ChainId, Tally, U256, UnixSeconds};
use capstan_chain::{ChainClient, Finality, calls};
use capstan_engine::{Engine, EngineConfig};
use capstan_host::funds::Funds;
use capstan_host::settlement::{Outbox, Reconciler, renew_limits};
use capstan_kit::clock::ManualClock;
use capstan_kit::telemetry::Metrics;
use capstan_store::{
    EngineStore, Failure, FailureCode, Inclusion, Intent, ItemEnd, LaneKey, NewAttempt, Session,
    SessionState, Signed, Store,
};
use capstan_wire::session::EndReason;
use tokio_util::sync::CancellationToken;

use crate::fixture::{per_token, sign, tiny, units};
use crate::node::{Chain, Node, chains};
use crate::stage::{Stage, config};

const OURS: B256 = B256::repeat_byte(0x77);
const THEIRS: B256 = B256::repeat_byte(0x66);

/// A session that is settling, its store, and a clock.
struct Settling {
    stage: Stage,
    clock: Arc<ManualClock>,
}

impl Settling {
    /// A session that claims six units, by an outbox over these chains.
    async fn start(chains: &BTreeMap<ChainId, Arc<ChainClient>>) -> Self {
        let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
        stage.kill();
        let mut tally = Tally::new(stage.price);
        for id in 11..17 {
            tally.push_input(id, tiny().tokenizer().piece(id).unwrap());
        }
        let voucher = tally.voucher(stage.key.session_id).unwrap();
        let signed = sign(&stage.signer, &stage.key, voucher);
        stage.store.record_voucher(stage.key, &signed, &tally.state()).await.unwrap();
        let host = stage.terms.host;
        let store = Arc::new(stage.store.clone());
        let outbox = Outbox::new(store, engine(&stage.store), host, chains.clone());
        let reason = EndReason::End;
        outbox.end(stage.key, &stage.terms, Some(&signed), units(6), reason).await.unwrap();
        let now = capstan_kit::Clock::now(&capstan_kit::SystemClock);
        Self { stage, clock: Arc::new(ManualClock::new(now)) }
    }

    fn reconciler(&self, chains: &BTreeMap<ChainId, Arc<ChainClient>>) -> Reconciler {
        let store = Arc::new(self.stage.store.clone());
        let (engine, clock) = (engine(&self.stage.store), Arc::clone(&self.clock));
        Reconciler::new(store, engine, chains.clone(), clock, Funds::default())
    }

    async fn record(&self) -> Session {
        self.stage.record().await
    }

    async fn intent(&self) -> Intent {
        self.stage.claimed().await.unwrap()
    }

    async fn refuse(&self) {
        let failure = Failure { code: FailureCode::Reverted, detail: String::new() };
        let fence = fence(&self.stage).await;
        self.stage.store.record_failure(fence, self.intent().await.id, failure).await.unwrap();
    }

    /// Its transaction is final.
    async fn done(&self) {
        let (store, id, fence) =
            (&self.stage.store, self.intent().await.id, fence(&self.stage).await);
        let signed = Signed {
            tx_hash: OURS,
            raw: vec![1].into(),
            voids: false,
            gas_limit: 1,
            max_fee: 1,
            priority_fee: None,
            rollup_fee: U256::ZERO,
            signed_at: UnixSeconds::default(),
        };
        let attempt = NewAttempt { intents: vec![id], nonce: 0, signed };
        let flight = store.record_attempt(fence, attempt).await.unwrap().flight;
        let inclusion = Inclusion {
            tx_hash: OURS,
            block_number: 90,
            block_hash: OURS,
            gas_used: 60_000,
            effective_gas_price: 2,
            rollup_fee: 0,
            success: true,
        };
        let ends = vec![(id, ItemEnd::Final { success: true })];
        store.record_final(fence, flight, inclusion, ends).await.unwrap();
    }
}

fn engine(store: &Store) -> Engine {
    let (lanes, cancel) = (EngineConfig::default(), CancellationToken::new());
    Engine::start(Arc::new(store.clone()), HashMap::new(), Vec::new(), lanes, cancel).unwrap()
}

async fn fence(stage: &Stage) -> capstan_store::Fence {
    let lane = LaneKey { chain_id: stage.key.chain_id, sender: stage.terms.host };
    let lease = core::time::Duration::from_secs(60);
    stage.store.acquire_lane(lane, "engine", lease).await.unwrap().unwrap()
}

fn chain(head: u64, safe: u64) -> Chain {
    Chain { head, safe, ..Chain::default() }
}

#[tokio::test]
async fn a_session_of_the_marketplace_configured_before_is_written_down() {
    // By its receipt, by its event where the receipt does not tell, and where it is not to be had.
    for receipt in [Some(true), Some(false), None] {
        let node = Node::start(chain(100, 95)).await;
        let chains = chains(node.config(Address::repeat_byte(0x0c)));
        let settling = Settling::start(&chains).await;
        settling.done().await;
        let by = if receipt == Some(true) { OURS } else { THEIRS };
        node.chain().closed.insert(settling.stage.key, (90, by));
        node.chain().receipts.extend(receipt.map(|tells| (OURS, tells)));
        let pass = settling.reconciler(&chains).finish_settled().await.unwrap();
        assert_eq!((pass.settling, pass.finished), (1, 1), "{receipt:?}");
        let record = settling.record().await;
        assert_eq!(record.state, SessionState::Settled);
        let closing = record.closing.unwrap();
        assert_eq!((closing.paid, closing.close_tx), (units(6), by));
    }
}

#[tokio::test]
async fn a_close_by_another_is_written_down_once_its_block_is_final() {
    for finality in [Finality::Safe, Finality::Depth(10)] {
        let node = Node::start(chain(95, 85)).await;
        let mut config = node.config(Address::repeat_byte(0x0a));
        config.finality = finality;
        let chains = chains(config);
        let settling = Settling::start(&chains).await;
        settling.refuse().await;
        node.chain().closed.insert(settling.stage.key, (90, THEIRS));
        let reconciler = settling.reconciler(&chains);
        assert_eq!(reconciler.finish_settled().await.unwrap().finished, 0, "{finality}");
        settling.clock.advance(60);
        assert_eq!(reconciler.finish_settled().await.unwrap().finished, 0, "{finality}");
        assert_eq!(settling.record().await.state, SessionState::Settling, "nor tried again");
        assert_eq!(settling.intent().await.request.idempotency_key.matches("after").count(), 0);
        (node.chain().head, node.chain().safe) = (101, 91);
        settling.clock.advance(60);
        assert_eq!(reconciler.finish_settled().await.unwrap().finished, 1, "{finality}");
        assert_eq!(settling.record().await.closing.unwrap().close_tx, THEIRS);
    }
}

#[tokio::test]
async fn an_event_whose_transaction_has_no_receipt_closes_nothing() {
    let node = Node::start(chain(100, 95)).await;
    let chains = chains(node.config(Address::repeat_byte(0x0a)));
    let settling = Settling::start(&chains).await;
    settling.refuse().await;
    node.chain().closed.insert(settling.stage.key, (90, THEIRS));
    node.chain().invented.push(THEIRS);
    let reconciler = settling.reconciler(&chains);
    assert_eq!(reconciler.finish_settled().await.unwrap().finished, 0);
    assert_eq!(settling.record().await.state, SessionState::Settling);
    node.chain().invented.clear();
    settling.clock.advance(60);
    assert_eq!(reconciler.finish_settled().await.unwrap().finished, 1);
}

#[tokio::test]
async fn a_refused_settlement_is_looked_for_now_and_then() {
    let node = Node::start(chain(100, 95)).await;
    let chains = chains(node.config(Address::repeat_byte(0x0a)));
    let settling = Settling::start(&chains).await;
    settling.refuse().await;
    let reconciler = settling.reconciler(&chains);
    for _ in 0..20 {
        reconciler.finish_settled().await.unwrap();
    }
    assert_eq!(node.chain().asked.get("eth_call"), Some(&1));
    settling.clock.advance(5);
    reconciler.finish_settled().await.unwrap();
    assert_eq!(node.chain().asked.get("eth_call"), Some(&2));
}

#[tokio::test]
async fn a_refused_settlement_is_tried_again_within_the_limits_of_the_day() {
    let node = Node::start(chain(100, 95)).await;
    let mut config = node.config(Address::repeat_byte(0x0a));
    config.settlement.max_cost = Some(U256::from(5));
    let settling = Settling::start(&chains(config.clone())).await;
    assert_eq!(settling.intent().await.request.max_cost, Some(U256::from(5)));
    settling.refuse().await;
    config.settlement.max_cost = Some(U256::from(500));
    let chains = chains(config);
    settling.clock.advance(60);
    settling.reconciler(&chains).finish_settled().await.unwrap();
    let again = settling.intent().await.request;
    assert!(again.idempotency_key.contains("/after-"));
    assert_eq!(again.max_cost, Some(U256::from(500)));
    assert_eq!(calls::claimed_in(&again.data), Some(units(6)));
}

#[tokio::test]
async fn what_waits_takes_the_limits_of_the_day_over() {
    let node = Node::start(chain(100, 95)).await;
    let mut config = node.config(Address::repeat_byte(0x0a));
    config.settlement.max_cost = Some(U256::from(5));
    let settling = Settling::start(&chains(config.clone())).await;
    config.settlement.max_cost = None;
    let chains = chains(config);
    let store = &settling.stage.store;
    assert_eq!(renew_limits(store, &chains).await.unwrap(), 1);
    let request = settling.intent().await.request;
    assert_eq!((request.max_cost, request.worth), (None, Some(U256::from(6))));
    assert_eq!(renew_limits(store, &chains).await.unwrap(), 0, "nothing is left to change");
    assert_eq!(renew_limits(store, &BTreeMap::new()).await.unwrap(), 0, "nor without its chain");
}

#[tokio::test]
async fn a_settlement_that_two_machines_follow_is_counted_once() {
    let metrics = Metrics::install().unwrap();
    let node = Node::start(chain(100, 95)).await;
    let mut config = node.config(Address::repeat_byte(0x0a));
    "counted-once".clone_into(&mut config.name);
    let chains = chains(config);
    let settling = Settling::start(&chains).await;
    settling.done().await;
    node.chain().closed.insert(settling.stage.key, (90, OURS));
    node.chain().receipts.insert(OURS, true);
    let (first, second) = (settling.reconciler(&chains), settling.reconciler(&chains));
    let (first, second) = tokio::join!(first.finish_settled(), second.finish_settled());
    assert_eq!(first.unwrap().finished + second.unwrap().finished, 2, "both were at it");
    let text = metrics.render();
    let counted =
        text.lines().find(|line| line.contains("_settlements_total{chain=\"counted-once\""));
    assert!(counted.unwrap().ends_with(" 1"), "{counted:?}");
}

#[tokio::test]
async fn an_end_claims_what_is_stored_if_that_is_more_than_the_meter_knows() {
    let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
    // Stored, and the answer was lost on its way to the session.
    let mut tally = Tally::new(stage.price);
    for id in 11..17 {
        tally.push_input(id, tiny().tokenizer().piece(id).unwrap());
    }
    let signed = sign(&stage.signer, &stage.key, tally.voucher(stage.key.session_id).unwrap());
    stage.store.record_voucher(stage.key, &signed, &tally.state()).await.unwrap();
    let end = capstan_host::session::Command::End(EndReason::End);
    assert!(stage.session.send(end).await);
    assert_eq!(stage.ended().await.state, SessionState::Settling);
    let data = stage.claimed().await.unwrap().request.data;
    assert_eq!(calls::claimed_in(&data), Some(units(6)));
}

#[tokio::test]
async fn a_session_is_due_once_it_closes_at_its_marketplace_or_has_expired() {
    let node = Node::start(chain(100, 95)).await;
    // The marketplace that is configured now is another than the session's.
    let chains = chains(node.config(Address::repeat_byte(0x0c)));
    let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
    let clock = Arc::new(ManualClock::new(UnixSeconds::new(1000).unwrap()));
    let following = |chains: &BTreeMap<_, _>| {
        let (store, engine) = (Arc::new(stage.store.clone()), engine(&stage.store));
        let clock: Arc<ManualClock> = Arc::clone(&clock);
        Reconciler::new(store, engine, chains.clone(), clock, Funds::default())
    };
    let reconciler = following(&chains);
    assert_eq!(reconciler.due().await.unwrap(), []);
    node.chain().closed.insert(stage.key, (90, THEIRS));
    assert_eq!(reconciler.due().await.unwrap(), [(stage.key, EndReason::ClosedOnChain)]);
    clock.set(stage.terms.expiry);
    assert_eq!(reconciler.due().await.unwrap(), [(stage.key, EndReason::Expired)]);
    let without = following(&BTreeMap::new());
    assert_eq!(without.due().await.unwrap(), [], "another machine has its chain");
}
