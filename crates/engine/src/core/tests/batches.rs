//! Intents that share a transaction: who goes with whom, when, and what happens to one at fault.

use super::*;
use crate::batching::{Batching, Group, ItemOutcome};
use crate::config::BatchPolicy;

/// Puts everything together; what begins with a `!` fails in company.
#[derive(Debug)]
struct Together;

impl Batching for Together {
    fn group(&self, _sender: Address, call: &Call) -> Option<Group> {
        Some(Group { to: call.to, kind: 0 })
    }

    fn sort_key(&self, call: &Call) -> Vec<u8> {
        call.data.to_vec()
    }

    fn merge(&self, _sender: Address, calls: &[Call]) -> Option<Call> {
        let data: Vec<u8> = calls.iter().flat_map(|call| call.data.to_vec()).collect();
        Some(Call { to: Address::repeat_byte(2), value: U256::ZERO, data: data.into() })
    }

    fn outcomes(&self, _sender: Address, calls: &[Call], _receipt: &Receipt) -> Vec<ItemOutcome> {
        let outcome = |call: &Call| match call.data.first() {
            Some(b'!') => ItemOutcome::Failed("bad".to_owned()),
            _ => ItemOutcome::Done,
        };
        calls.iter().map(outcome).collect()
    }
}

fn lane_with(batch: BatchPolicy) -> Lane {
    let config = LaneConfig { finality: Finality::Depth(2), batch, ..LaneConfig::default() };
    Lane::restore(KEY, config, Arc::new(Together), LaneSnapshot::default(), &|_| None)
}

fn data(id: u64, data: &'static str) -> Event {
    intent_of(id, |request| request.data = Bytes::from_static(data.as_bytes()))
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<IntentId> {
    ids.into_iter().map(IntentId).collect()
}

/// The intents of each call that is to be estimated.
fn estimates(effects: &[Effect]) -> Vec<Vec<IntentId>> {
    let estimate = |effect: &Effect| match effect {
        Effect::Estimate { intents, .. } => Some(intents.clone()),
        _ => None,
    };
    effects.iter().filter_map(estimate).collect()
}

/// Signs, stores and sends what was estimated at nonce 5, and says in which order it was signed.
fn fly(lane: &mut Lane, intents: Vec<IntentId>) -> Vec<IntentId> {
    let effects = lane.step(Event::Estimated(intents, Some(GAS)));
    let [Effect::Sign { tx, intents, .. }] = &effects[..] else { panic!("{effects:?}") };
    let signed = SignedTransaction { raw: tx.data.clone(), hash: B256::repeat_byte(9) };
    let (nonce, fees) = (tx.nonce, tx.fees);
    lane.step(Event::Recorded { nonce, flight: FLIGHT, signed, fees, voids: false });
    intents.clone()
}

#[test]
fn what_waits_goes_together_in_the_batchings_order() {
    let mut lane = lane_with(BatchPolicy::default());
    for (id, text) in [(1, "c"), (2, "a"), (3, "b")] {
        lane.step(data(id, text));
    }
    let effects = lane.step(view(10, 5));
    let [Effect::Estimate { intents, call }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*intents, ids([2, 3, 1]));
    assert_eq!(call.data, Bytes::from_static(b"abc"));
    assert_eq!(fly(&mut lane, intents.clone()), ids([2, 3, 1]));
    assert_eq!((lane.queued_count(), lane.pending_count()), (0, 1));
}

#[test]
fn behind_a_flight_a_batch_waits_until_it_is_full_or_old_or_worth_enough() {
    let worth = |id, wei: u64| intent_of(id, |request| request.worth = Some(U256::from(wei)));
    let policy =
        BatchPolicy { max_items: 3, max_age_seconds: 20, flush_worth: Some(U256::from(1_000_000)) };
    let start = || {
        let mut lane = lane_with(policy.clone());
        lane.step(intent(1));
        lane.step(view(10, 5));
        fly(&mut lane, ids([1]));
        lane
    };
    let mut full = start();
    full.step(intent(2));
    full.step(intent(3));
    assert_eq!(estimates(&full.step(view(11, 5))), Vec::<Vec<IntentId>>::new());
    full.step(intent(4));
    full.step(intent(5));
    assert_eq!(estimates(&full.step(view(12, 5))), [ids([2, 3, 4])]);

    let mut old = start();
    old.step(intent(2));
    assert_eq!(estimates(&old.step(view(19, 5))), Vec::<Vec<IntentId>>::new());
    assert_eq!(estimates(&old.step(view(20, 5))), [ids([2])]);

    let mut dear = start();
    dear.step(worth(2, 500_000));
    assert_eq!(estimates(&dear.step(view(11, 5))), Vec::<Vec<IntentId>>::new());
    dear.step(worth(3, 500_000));
    assert_eq!(estimates(&dear.step(view(12, 5))), [ids([2, 3])]);
}

#[test]
fn a_batch_that_would_revert_is_halved_until_the_one_at_fault_is_alone() {
    let mut lane = lane_with(BatchPolicy::default());
    for id in 1..=4 {
        lane.step(intent(id));
    }
    assert_eq!(estimates(&lane.step(view(10, 5))), [ids(1..=4)]);
    let revert = || Some(Estimate::Revert(Bytes::from_static(b"no")));
    let effects = lane.step(Event::Estimated(ids(1..=4), revert()));
    assert_eq!(estimates(&effects), [ids([1, 2]), ids([3, 4])]);
    fly(&mut lane, ids([1, 2]));
    let effects = lane.step(Event::Estimated(ids([3, 4]), revert()));
    assert_eq!(estimates(&effects), [ids([3]), ids([4])]);
    lane.step(Event::Estimated(ids([3]), revert()));
    fly(&mut lane, ids([4]));
    assert_eq!(lane.queued_count(), 1, "the one at fault is alone");
}

#[test]
fn an_item_that_failed_in_a_final_batch_is_queued_alone_and_the_others_are_done() {
    let mut lane = lane_with(BatchPolicy::default());
    for (id, text) in [(1, "a"), (2, "!"), (3, "c")] {
        lane.step(data(id, text));
    }
    let intents = estimates(&lane.step(view(10, 5))).remove(0);
    fly(&mut lane, intents);
    lane.step(view(13, 6));
    let found =
        Look::Found { hash: B256::repeat_byte(9), receipt: receipt(11), canonical: Canonical::Yes };
    let effects = lane.step(looked(Canonical::Unknown, found));
    let [Effect::Finalise(FLIGHT, _, ends)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        ends[..],
        [
            (IntentId(2), ItemEnd::Queued("bad".to_owned())),
            (IntentId(1), ItemEnd::Final { success: true }),
            (IntentId(3), ItemEnd::Final { success: true }),
        ]
    );
    lane.step(intent(4));
    assert_eq!(estimates(&lane.step(view(14, 6))), [ids([2]), ids([4])], "never in company again");
}

#[test]
fn a_batch_that_reverted_in_a_final_block_is_halved() {
    let mut lane = lane_with(BatchPolicy::default());
    for id in 1..=4 {
        lane.step(intent(id));
    }
    let intents = estimates(&lane.step(view(10, 5))).remove(0);
    fly(&mut lane, intents);
    lane.step(view(13, 6));
    let receipt = Receipt { success: false, ..receipt(11) };
    let hash = B256::repeat_byte(9);
    let found = Look::Found { hash, receipt, canonical: Canonical::Yes };
    lane.step(looked(Canonical::Unknown, found));
    assert_eq!(estimates(&lane.step(view(14, 6))), [ids([1, 2]), ids([3, 4])]);
}

#[test]
fn what_is_not_worth_its_share_waits_for_company_or_time() {
    // 100 gas at 11 wei is 1100 wei.
    let dust = |id| intent_of(id, |request| request.worth = Some(U256::from(400)));
    let mut lane = lane_with(BatchPolicy::default());
    lane.step(dust(1));
    assert_eq!(estimates(&lane.step(view(10, 5))), [ids([1])]);
    let effects = lane.step(Event::Estimated(ids([1]), Some(GAS)));
    assert!(matches!(&effects[..], [Effect::Note(IntentId(1), "uneconomic", _)]), "{effects:?}");
    for block in 11..20 {
        assert_eq!(lane.step(view(block, 5)), [], "asked once");
    }
    lane.step(dust(2));
    assert_eq!(estimates(&lane.step(view(20, 5))), [ids([1, 2])]);
    lane.step(Event::Estimated(ids([1, 2]), Some(GAS)));
    lane.step(dust(3));
    assert_eq!(estimates(&lane.step(view(21, 5))), [ids([1, 2, 3])]);
    fly(&mut lane, ids([1, 2, 3]));
    lane.step(dust(4));
    assert_eq!(estimates(&lane.step(view(50, 5))), [ids([4])], "old enough to be asked");
    lane.step(Event::Estimated(ids([4]), Some(GAS)));
    assert_eq!(estimates(&lane.step(view(51, 5))), Vec::<Vec<IntentId>>::new());
}

#[test]
fn the_share_of_each_stays_within_its_own_budget() {
    let mut lane = lane_with(BatchPolicy::default());
    // 30,100 gas for both: at 20 wei each may pay for half.
    lane.step(intent_of(1, |request| request.max_cost = Some(U256::from(301_000))));
    lane.step(intent_of(2, |request| request.max_cost = Some(U256::from(900_000))));
    lane.step(view(10, 5));
    let effects = lane.step(Event::Estimated(ids([1, 2]), Some(GAS)));
    let [Effect::Sign { tx, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(tx.fees.max_fee(), 20);
}

#[test]
fn what_changes_the_accounts_code_goes_alone_and_its_replacement_too() {
    let mut lane = lane_with(BatchPolicy::default());
    let code = Some(Address::repeat_byte(0x5b));
    lane.step(intent(1));
    lane.step(intent_of(2, |request| request.own_code = code));
    assert_eq!(estimates(&lane.step(view(10, 5))), [ids([1]), ids([2])]);
    fly(&mut lane, ids([1]));
    let codes = |effects: &[Effect]| {
        let code = |effect: &Effect| match effect {
            Effect::Sign { tx, intents, .. } if intents[..] == [IntentId(2)] => Some(tx.own_code),
            _ => None,
        };
        effects.iter().filter_map(code).collect::<Vec<_>>()
    };
    let effects = lane.step(Event::Estimated(ids([2]), Some(GAS)));
    assert_eq!(codes(&effects), [code]);
    let fees = capstan_chain::Fees::Eip1559 { max_fee: 21, priority_fee: 1 };
    let signed = SignedTransaction { raw: Bytes::new(), hash: B256::repeat_byte(7) };
    lane.step(Event::Recorded { nonce: 6, flight: FlightId(8), signed, fees, voids: false });
    assert_eq!(codes(&lane.step(view(20, 6))), [code]);
}

fn pairs() -> Lane {
    lane_with(BatchPolicy { max_items: 2, ..BatchPolicy::default() })
}

/// Gas limit of each batch that is to be signed.
fn limits(effects: &[Effect]) -> Vec<(Vec<IntentId>, u64)> {
    let limit = |effect: &Effect| match effect {
        Effect::Sign { intents, tx, .. } => Some((intents.clone(), tx.gas_limit)),
        _ => None,
    };
    effects.iter().filter_map(limit).collect()
}

#[test]
fn one_estimate_serves_all_batches_of_a_look() {
    let mut lane = pairs();
    (1..=6).for_each(|id| drop(lane.step(intent(id))));
    assert_eq!(estimates(&lane.step(view(10, 5))), [ids([1, 2])]);
    let effects = lane.step(Event::Estimated(ids([1, 2]), Some(GAS)));
    assert_eq!(limits(&effects), [(ids([1, 2]), 30_100), (ids([3, 4]), 200), (ids([5, 6]), 200)]);
    (7..=10).for_each(|id| drop(lane.step(intent(id))));
    assert_eq!(estimates(&lane.step(view(11, 5))), [ids([7, 8])], "each look asks once");
    assert_eq!(lane.step(Event::Estimated(ids([7, 8]), None)), [], "no answer serves nobody");
    assert_eq!(estimates(&lane.step(view(12, 5))), [ids([7, 8])]);
}

#[test]
fn a_batch_with_a_budget_or_beyond_the_balance_is_asked_for_itself() {
    let mut lane = pairs();
    (1..=2).for_each(|id| drop(lane.step(intent(id))));
    let budget = Some(U256::from(10).pow(U256::from(9)));
    (3..=4).for_each(|id| drop(lane.step(intent_of(id, |request| request.max_cost = budget))));
    assert_eq!(estimates(&lane.step(view(10, 5))), [ids([1, 2]), ids([3, 4])]);

    let mut poor = pairs();
    (1..=4).for_each(|id| drop(poor.step(intent(id))));
    let Event::Viewed(mut few) = view(10, 5) else { panic!() };
    // At 21 wei: enough for 30,100 gas, and not for 200 more.
    few.balance = U256::from(30_200 * 21);
    poor.step(Event::Viewed(few));
    let effects = poor.step(Event::Estimated(ids([1, 2]), Some(GAS)));
    assert_eq!(estimates(&effects), [ids([3, 4])]);
}

#[test]
fn intents_that_do_not_fit_into_one_transaction_part() {
    let mut lane = lane_with(BatchPolicy::default());
    for id in 1..=3 {
        let data = Bytes::from(vec![0; 60 << 10]);
        lane.step(intent_of(id, |request| request.data = data));
    }
    assert_eq!(lane.step(view(10, 5)), []);
    assert_eq!(estimates(&lane.step(view(11, 5))), [ids([1, 2]), ids([3])]);
}

#[test]
fn what_waits_for_a_better_price_holds_up_no_verdict() {
    let mut lane = lane_with(BatchPolicy { max_items: 1, ..BatchPolicy::default() });
    lane.step(intent_of(1, |request| request.worth = Some(U256::from(1))));
    lane.step(intent(2));
    lane.step(view(10, 5));
    lane.step(Event::Estimated(ids([1]), Some(GAS)));
    let revert = || Some(Estimate::Revert(Bytes::from_static(b"no")));
    lane.step(Event::Estimated(ids([2]), revert()));
    assert_eq!(estimates(&lane.step(view(11, 5))), [ids([2])]);
    let effects = lane.step(Event::Estimated(ids([2]), revert()));
    assert!(matches!(effects[..], [Effect::Ask { intent: IntentId(2), .. }]), "{effects:?}");
}

#[test]
fn an_item_that_is_not_worth_it_leaves_its_batch_and_the_others_go() {
    let mut lane = pairs();
    let budget = Some(U256::from(10).pow(U256::from(9)));
    for (id, worth) in [(1, None), (2, Some(U256::from(1)))] {
        lane.step(intent_of(id, |request| (request.worth, request.max_cost) = (worth, budget)));
    }
    lane.step(view(10, 5));
    let effects = lane.step(Event::Estimated(ids([1, 2]), Some(GAS)));
    assert_eq!(estimates(&effects), [ids([1])], "without the one that waits");
    let effects = lane.step(Event::Estimated(ids([1]), Some(GAS)));
    assert_eq!(limits(&effects).len(), 1, "{effects:?}");
    assert_eq!(lane.queued_count(), 1);
}

#[test]
fn what_no_node_takes_holds_up_no_verdict_of_another() {
    let mut lane = lane_with(BatchPolicy { max_items: 1, ..BatchPolicy::default() });
    (1..=2).for_each(|id| drop(lane.step(intent(id))));
    lane.step(view(10, 5));
    let gas = Estimate::Gas { gas: 1 << 24, rollup_fee: U256::ZERO };
    lane.step(Event::Estimated(ids([1]), Some(gas)));
    let revert = || Some(Estimate::Revert(Bytes::from_static(b"no")));
    lane.step(Event::Estimated(ids([2]), revert()));
    assert!(estimates(&lane.step(view(11, 5))).contains(&ids([2])));
    let effects = lane.step(Event::Estimated(ids([2]), revert()));
    assert!(matches!(effects[..], [Effect::Ask { intent: IntentId(2), .. }]), "{effects:?}");
}

#[test]
fn a_small_budget_holds_up_no_other_of_its_batch() {
    let mut lane = lane_with(BatchPolicy::default());
    for (id, most) in [(1, 900_000), (2, 1_000), (3, 900_000)] {
        lane.step(intent_of(id, |request| request.max_cost = Some(U256::from(most))));
    }
    lane.step(view(10, 5));
    let effects = lane.step(Event::Estimated(ids([1, 2, 3]), Some(GAS)));
    assert_eq!(estimates(&effects), [ids([1, 3]), ids([2])]);
    let effects = lane.step(Event::Estimated(ids([2]), Some(GAS)));
    assert!(matches!(effects[..], [Effect::Note(IntentId(2), "cap_reached", _)]), "{effects:?}");
    assert_eq!(fly(&mut lane, ids([1, 3])), ids([1, 3]));
}
