//! One test for each rule.

use capstan_base::{U256, UnixSeconds};
use capstan_chain::Finality;
use capstan_store::{Broadcast, FailureCode, IntentState};

use super::rig::{DEPTH, KillAt, Rig, SENDER, TARGET};

#[tokio::test]
async fn an_intent_is_final_only_at_the_policys_depth() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    assert_eq!(rig.state(id).await, IntentState::InFlight);
    rig.chain.model().mine();
    for _ in 0..DEPTH {
        rig.round().await;
        assert_eq!(rig.state(id).await, IntentState::Included);
        rig.chain.model().mine();
    }
    rig.round().await;
    let intent = rig.stored(id).await;
    assert_eq!(intent.state, IntentState::Final);
    assert!(intent.inclusion.unwrap().success);
    assert_eq!(rig.attempts(id).await[0].broadcast, Broadcast::Accepted);
    assert!(rig.unstored().is_empty());
}

#[tokio::test]
async fn a_tag_can_be_the_policy() {
    let mut rig = Rig::new(|config| config.finality = Finality::Latest);
    let id = rig.submit(Rig::intent("a")).await;
    rig.go_on(1).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn every_kill_point_of_a_whole_life_ends_in_one_effect() {
    for point in 0..60 {
        for at in [None, Some(KillAt::Before), Some(KillAt::After)] {
            let mut rig = Rig::new(|_| {});
            let id = rig.submit(Rig::intent("a")).await;
            match at {
                None => rig.kill_at_call(point),
                Some(at) => rig.kill_at_write(point, at),
            }
            rig.go_on(16).await;
            assert_eq!(rig.state(id).await, IntentState::Final, "{at:?} {point}");
            assert_eq!(rig.effects("a"), 1, "{at:?} {point}");
            assert!(rig.unstored().is_empty(), "{at:?} {point}");
        }
    }
}

#[tokio::test]
async fn a_stored_attempt_is_sent_again_and_not_signed_again() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    // Killed after the attempt was stored, before it was sent.
    rig.kill_at_write(0, KillAt::After);
    rig.round().await;
    assert_eq!(rig.chain.sent(), Vec::<alloy_primitives::Bytes>::new());
    let stored = rig.attempts(id).await;
    rig.round().await;
    assert_eq!(rig.chain.sent(), [stored[0].signed.raw.clone()]);
    assert_eq!(rig.attempts(id).await.len(), 1);
}

#[tokio::test]
async fn a_reorganised_intent_is_sent_again_with_the_same_bytes() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.go_on(2).await;
    assert_eq!(rig.state(id).await, IntentState::Included);
    rig.chain.reorg(2, false);
    rig.round().await;
    assert_eq!(rig.state(id).await, IntentState::InFlight);
    assert_eq!(rig.words(id).await, ["reorged"]);
    rig.go_on(10).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
    assert_eq!(rig.attempts(id).await.len(), 1, "the bytes are the same");
    assert_eq!(rig.effects("a"), 1);
}

#[tokio::test]
async fn a_missing_receipt_or_a_dead_rpc_is_no_evidence() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.go_on(1).await;
    rig.chain.faults().hide_receipts = 2;
    rig.go_on(2).await;
    rig.chain.faults().down = true;
    for _ in 0..50 {
        rig.round().await;
    }
    rig.chain.faults().down = false;
    rig.chain.faults().stale_nonces = 3;
    rig.go_on(14).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
    assert_eq!(rig.attempts(id).await.len(), 1);
    assert_eq!(rig.effects("a"), 1);
}

#[tokio::test]
async fn a_nonce_used_by_another_is_given_up_only_at_finality() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().mine_foreign(SENDER);
    for _ in 1..DEPTH {
        rig.go_on(1).await;
        assert_eq!(rig.nonce(id).await, Some(0), "too early");
    }
    rig.go_on(14).await;
    let intent = rig.stored(id).await;
    assert_eq!((intent.state, rig.nonce(id).await), (IntentState::Final, Some(1)));
    assert_eq!(rig.words(id).await, ["requeued"]);
    assert_eq!(rig.attempts(id).await.len(), 2);
    assert_eq!(rig.effects("a"), 1);
}

#[tokio::test]
async fn a_foreign_transaction_that_is_reorganised_away_takes_no_nonce() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().mine_foreign(SENDER);
    rig.round().await;
    rig.go_on(2).await;
    rig.chain.reorg(3, false);
    rig.go_on(14).await;
    let intent = rig.stored(id).await;
    assert_eq!((intent.state, rig.nonce(id).await), (IntentState::Final, Some(0)));
    assert_eq!(rig.effects("a"), 1);
}

#[tokio::test]
async fn a_stuck_attempt_is_replaced_after_blocks_with_higher_fees() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().base_fee = 2_500;
    rig.go_on(2).await;
    assert_eq!(rig.attempts(id).await.len(), 1, "not yet");
    rig.go_on(2).await;
    let attempts = rig.attempts(id).await;
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1].signed.max_fee >= attempts[0].signed.max_fee * 9 / 8);
    assert!(
        attempts[1].signed.priority_fee >= attempts[0].signed.priority_fee.map(|fee| fee * 9 / 8)
    );
    rig.go_on(8).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn a_legacy_chain_gets_legacy_transactions() {
    let mut rig = Rig::new(|_| {});
    rig.chain.model().legacy = true;
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().base_fee = 1_500;
    rig.go_on(12).await;
    let attempts = rig.attempts(id).await;
    assert!(attempts.len() >= 2);
    assert!(attempts.iter().all(|attempt| attempt.signed.priority_fee.is_none()));
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn fees_never_exceed_the_cap_and_the_intent_goes_on_waiting() {
    let mut rig = Rig::new(|_| {});
    let mut intent = Rig::intent("a");
    intent.gas_limit = Some(100_000);
    intent.max_cost = Some(U256::from(100_000u64 * 2_100));
    let id = rig.submit(intent).await;
    rig.round().await;
    rig.chain.model().base_fee = 9_000;
    rig.go_on(20).await;
    let attempts = rig.attempts(id).await;
    assert!(attempts.iter().all(|attempt| attempt.signed.max_fee <= 2_100), "{attempts:?}");
    assert_eq!(rig.words(id).await, ["cap_reached"]);
    assert_eq!(rig.state(id).await, IntentState::InFlight);
    rig.chain.model().base_fee = 1_000;
    rig.go_on(8).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn a_chain_that_suggests_more_than_its_limit_gets_no_more() {
    let mut rig = Rig::new(|config| config.max_fee = 2_100);
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().base_fee = 9_000;
    rig.go_on(20).await;
    let attempts = rig.attempts(id).await;
    assert!(attempts.iter().all(|attempt| attempt.signed.max_fee <= 2_100), "{attempts:?}");
    assert_eq!(rig.words(id).await, ["cap_reached"]);
    rig.chain.model().base_fee = 1_000;
    rig.go_on(8).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn the_fee_of_a_rollup_comes_out_of_the_same_budget() {
    let mut rig = Rig::new(|_| {});
    rig.chain.model().l1_fee = U256::from(60_000_000);
    let mut intent = Rig::intent("a");
    intent.gas_limit = Some(100_000);
    intent.max_cost = Some(U256::from(100_000u64 * 1_500 + 60_000_000));
    let id = rig.submit(intent).await;
    rig.round().await;
    assert_eq!(rig.attempts(id).await[0].signed.max_fee, 1_500);
}

#[tokio::test]
async fn a_cap_below_todays_price_takes_no_nonce() {
    let mut rig = Rig::new(|_| {});
    let mut intent = Rig::intent("poor");
    intent.max_cost = Some(U256::from(1));
    let poor = rig.submit(intent).await;
    let rich = rig.submit(Rig::intent("rich")).await;
    rig.go_on(9).await;
    assert_eq!(rig.state(poor).await, IntentState::Queued);
    assert_eq!(rig.words(poor).await, ["cap_reached"]);
    assert_eq!(rig.state(rich).await, IntentState::Final);
}

#[tokio::test]
async fn the_window_bounds_what_waits_for_a_block() {
    let mut rig = Rig::new(|config| (config.window, config.max_window) = (4, 4));
    for n in 0..10 {
        rig.submit(Rig::intent(&n.to_string())).await;
    }
    rig.round().await;
    assert_eq!(rig.chain.sent().len(), 4);
    rig.chain.model().mine();
    rig.round().await;
    rig.round().await;
    assert_eq!(rig.chain.sent().len(), 8, "what is in a block takes no place");
    rig.go_on(12).await;
    assert!((0..10).all(|n| rig.effects(&n.to_string()) == 1));
}

#[tokio::test]
async fn a_call_that_would_revert_fails_without_a_nonce() {
    let mut rig = Rig::new(|_| {});
    rig.chain.model().reverting.insert(TARGET);
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    assert_eq!(rig.state(id).await, IntentState::Queued, "one look is not enough");
    rig.go_on(1).await;
    let intent = rig.stored(id).await;
    assert_eq!(intent.state, IntentState::Failed);
    let failure = intent.failure.unwrap();
    assert_eq!((failure.code, failure.detail.as_str()), (FailureCode::Reverted, "0x08c379a0"));
    assert_eq!(rig.attempts(id).await, []);
}

#[tokio::test]
async fn a_revert_while_an_earlier_one_is_in_flight_is_asked_again() {
    let mut rig = Rig::new(|_| {});
    let first = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().reverting.insert(TARGET);
    let second = rig.submit(Rig::intent("b")).await;
    for _ in 0..6 {
        rig.round().await;
    }
    assert_eq!(rig.state(second).await, IntentState::Queued);
    rig.chain.model().reverting.clear();
    rig.go_on(10).await;
    assert_eq!(rig.state(first).await, IntentState::Final);
    assert_eq!(rig.state(second).await, IntentState::Final);
}

#[tokio::test]
async fn a_reverted_transaction_is_final_and_not_successful() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().reverting.insert(TARGET);
    rig.go_on(8).await;
    let intent = rig.stored(id).await;
    assert_eq!(intent.state, IntentState::Final);
    assert!(!intent.inclusion.unwrap().success);
}

#[tokio::test]
async fn an_account_without_money_waits_and_goes_on_when_funded() {
    let mut rig = Rig::new(|_| {});
    rig.chain.model().balances.insert(SENDER, U256::from(1));
    let id = rig.submit(Rig::intent("a")).await;
    rig.go_on(3).await;
    assert_eq!(rig.state(id).await, IntentState::Queued);
    assert_eq!(rig.words(id).await, ["insufficient_funds"]);
    rig.chain.model().balances.remove(&SENDER);
    rig.go_on(24).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
}

#[tokio::test]
async fn not_before_and_deadline_are_the_chains_clock() {
    let mut rig = Rig::new(|_| {});
    let now = rig.chain.model().head().timestamp;
    let mut late = Rig::intent("late");
    late.not_before = Some(UnixSeconds::MAX);
    let late = rig.submit(late).await;
    let mut expired = Rig::intent("expired");
    expired.not_before = Some(UnixSeconds::MAX);
    expired.deadline = Some(now.plus(3));
    let expired = rig.submit(expired).await;
    let mut sent = Rig::intent("sent");
    sent.deadline = Some(now.plus(3));
    let sent = rig.submit(sent).await;
    rig.round().await;
    rig.chain.model().base_fee = 2_500;
    rig.go_on(8).await;
    assert_eq!(rig.state(late).await, IntentState::Queued);
    let failure = rig.stored(expired).await.failure.unwrap();
    assert_eq!(failure.code, FailureCode::DeadlinePassed);
    rig.go_on(8).await;
    assert_eq!(rig.state(sent).await, IntentState::Final, "what was broadcast goes on");
}

#[tokio::test]
async fn an_underpriced_answer_raises_the_fee_at_the_next_block() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.chain.faults().underpriced = 1;
    rig.round().await;
    rig.chain.model().mine();
    rig.round().await;
    assert_eq!(rig.attempts(id).await.len(), 2);
    rig.go_on(8).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
    assert_eq!(rig.effects("a"), 1);
}

#[tokio::test]
async fn a_gap_is_filled_by_the_next_intent_or_by_the_lane_itself() {
    for with_intent in [true, false] {
        let mut rig = Rig::new(|_| {});
        // A foreign transaction at nonce 0 lets the lane start at 1, and is then reorganised away.
        rig.chain.model().mine_foreign(SENDER);
        let behind = rig.submit(Rig::intent("behind")).await;
        rig.round().await;
        assert_eq!(rig.nonce(behind).await, Some(1));
        rig.chain.reorg(1, false);
        if with_intent {
            let filler = rig.submit(Rig::intent("filler")).await;
            rig.round().await;
            assert_eq!(rig.nonce(filler).await, Some(0));
        }
        rig.go_on(14).await;
        assert_eq!(rig.state(behind).await, IntentState::Final, "{with_intent}");
        assert_eq!(rig.effects("behind"), 1);
        assert_eq!(rig.effects(""), usize::from(!with_intent), "empty transactions");
    }
}

#[tokio::test]
async fn what_a_pool_forgot_is_sent_again() {
    let mut rig = Rig::new(|_| {});
    let id = rig.submit(Rig::intent("a")).await;
    rig.round().await;
    rig.chain.model().evict(0);
    rig.go_on(10).await;
    assert_eq!(rig.state(id).await, IntentState::Final);
    assert_eq!(rig.attempts(id).await.len(), 1);
}
