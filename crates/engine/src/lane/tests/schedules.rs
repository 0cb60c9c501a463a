//! Random schedules of submissions, blocks, reorganisations, faults and kills at any call or write.
//!
//! Whatever happens: nothing is sent that is not stored, no intent is in the chain twice, and once
//! the faults stop every intent is final, with its effect in the chain once.

use capstan_store::{IntentFilter, IntentState};
use proptest::prelude::*;

use super::rig::{KillAt, Rig, SENDER};

#[derive(Clone, Debug)]
enum Step {
    Submit,
    Round,
    Mine,
    Reorg { depth: u64, keep: bool },
    Evict(usize),
    Foreign,
    BaseFee(u128),
    Kill,
    KillAtCall(u32),
    KillAtWrite(u32, KillAt),
    LoseReplies(u32),
    LoseSends(u32),
    ReceiptLag(u64),
    StaleNonces(u32),
    WrongHashes(u32),
    Underpriced(u32),
    Down(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Submit),
        10 => Just(Step::Round),
        8 => Just(Step::Mine),
        // Never as deep as finality: a final block that goes away is beyond any engine.
        2 => (1..4u64, any::<bool>()).prop_map(|(depth, keep)| Step::Reorg { depth, keep }),
        1 => (0..8usize).prop_map(Step::Evict),
        1 => Just(Step::Foreign),
        1 => prop_oneof![Just(100), Just(1_000), Just(5_000)].prop_map(Step::BaseFee),
        1 => Just(Step::Kill),
        2 => (0..24u32).prop_map(Step::KillAtCall),
        2 => (0..6u32, prop_oneof![Just(KillAt::Before), Just(KillAt::After)])
            .prop_map(|(writes, at)| Step::KillAtWrite(writes, at)),
        1 => (1..4u32).prop_map(Step::LoseReplies),
        1 => (1..4u32).prop_map(Step::LoseSends),
        1 => (0..5u64).prop_map(Step::ReceiptLag),
        1 => (1..3u32).prop_map(Step::StaleNonces),
        1 => (1..3u32).prop_map(Step::WrongHashes),
        1 => (1..3u32).prop_map(Step::Underpriced),
        1 => any::<bool>().prop_map(Step::Down),
    ]
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(|_| {});
    let mut ids = Vec::new();
    for step in steps {
        match step {
            Step::Submit => {
                let key = format!("intent-{}", ids.len());
                let id = rig.submit(Rig::intent(&key)).await;
                ids.push((id, key));
            }
            Step::Round => rig.round().await,
            Step::Mine => rig.chain.model().mine(),
            Step::Reorg { depth, keep } => rig.chain.reorg(depth, keep),
            Step::Evict(index) => rig.chain.model().evict(index),
            Step::Foreign => rig.chain.model().mine_foreign(SENDER),
            Step::BaseFee(base_fee) => rig.chain.model().base_fee = base_fee,
            Step::Kill => rig.kill_now(),
            Step::KillAtCall(calls) => rig.kill_at_call(calls),
            Step::KillAtWrite(writes, at) => rig.kill_at_write(writes, at),
            Step::LoseReplies(count) => rig.chain.faults().lose_replies = count,
            Step::LoseSends(count) => rig.chain.faults().lose_sends = count,
            Step::ReceiptLag(lag) => rig.chain.faults().receipt_lag = lag,
            Step::StaleNonces(count) => rig.chain.faults().stale_nonces = count,
            Step::WrongHashes(count) => rig.chain.faults().wrong_hashes = count,
            Step::Underpriced(count) => rig.chain.faults().underpriced = count,
            Step::Down(down) => rig.chain.faults().down = down,
        }
        for (_, key) in &ids {
            prop_assert!(rig.effects(key) <= 1, "{key} is in the chain twice");
        }
    }
    rig.no_faults();
    rig.chain.model().base_fee = 1_000;
    for _ in 0..80 {
        rig.go_on(1).await;
        let open = IntentFilter::default();
        let intents = rig.store_intents(open).await;
        if intents.iter().all(|intent| intent.state == IntentState::Final) {
            break;
        }
    }
    prop_assert!(rig.unstored().is_empty());
    for (id, key) in &ids {
        let intent = rig.stored(*id).await;
        prop_assert_eq!(intent.state, IntentState::Final, "{}: {:?}", key, intent);
        prop_assert_eq!(rig.effects(key), 1, "{}", key);
        let hash = intent.inclusion.map(|mined| mined.tx_hash);
        let is_there = rig.chain.model().mined().any(|mined| Some(mined.hash) == hash);
        prop_assert!(is_there, "{} says it is in a transaction that is not there", key);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_intent_ends_once(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}
