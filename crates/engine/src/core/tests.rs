//! Tests of single steps, without any task, store or chain.

use std::sync::Arc;

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, ChainId, U256, UnixSeconds};
use capstan_chain::{
    BlockRef, Call, Finality, GasPrice, Receipt, SendOutcome, SignedTransaction, TxFields, TxTarget,
};
use capstan_store::{
    Attempt, Broadcast, FailureCode, FlightId, Intent, IntentId, IntentState, ItemEnd, LaneKey,
    LaneSnapshot, NewIntent, OpenFlight, Signed,
};

use super::{Alert, Answer, Canonical, Effect, Event, Lane, Look, Search, View};
use crate::batching::Singles;
use crate::chain::Estimate;
use crate::config::LaneConfig;

mod batches;

const KEY: LaneKey = LaneKey { chain_id: ChainId(1), sender: Address::ZERO };

const FLIGHT: FlightId = FlightId(7);

const GAS: Estimate = Estimate::Gas { gas: 100, rollup_fee: U256::ZERO };

fn lane() -> Lane {
    let config = LaneConfig { finality: Finality::Depth(2), ..LaneConfig::default() };
    Lane::restore(KEY, config, Arc::new(Singles), LaneSnapshot::default(), &|_| None)
}

fn intent(id: u64) -> Event {
    intent_of(id, |_| {})
}

fn intent_of(id: u64, change: impl FnOnce(&mut NewIntent)) -> Event {
    let data = Bytes::new();
    let mut request =
        NewIntent::new(id.to_string(), KEY, Address::repeat_byte(1), U256::ZERO, data);
    change(&mut request);
    Event::Queued(Box::new(Intent {
        id: IntentId(id),
        request,
        state: IntentState::Queued,
        place: None,
        inclusion: None,
        failure: None,
        spent: U256::ZERO,
        created_at: UnixSeconds::default(),
        updated_at: UnixSeconds::default(),
    }))
}

fn hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

fn view(number: u64, account_nonce: u64) -> Event {
    let timestamp = UnixSeconds::new(number).unwrap();
    Event::Viewed(Box::new(View {
        head: BlockRef { number, hash: hash(number), timestamp, base_fee: Some(10) },
        final_height: number.checked_sub(2),
        account_nonce,
        balance: U256::MAX,
        gas_price: GasPrice::Eip1559 { base: 10, priority: 1 },
        now: timestamp,
    }))
}

fn receipt(block_number: u64) -> Receipt {
    Receipt {
        tx_hash: B256::repeat_byte(9),
        success: true,
        block_number,
        block_hash: hash(block_number),
        gas_used: 1,
        effective_gas_price: 1,
        l1_fee: 0,
        contract_address: None,
        logs: Vec::new(),
    }
}

/// Brings intent 1 to nonce 5, signed, stored and handed over, at block 10.
fn in_flight() -> (Lane, B256) {
    in_flight_of(|_| {})
}

fn in_flight_of(change: impl FnOnce(&mut NewIntent)) -> (Lane, B256) {
    let mut lane = lane();
    assert_eq!(lane.step(intent_of(1, change)), []);
    let effects = lane.step(view(10, 5));
    assert!(
        matches!(&effects[..], [Effect::Estimate { intents, .. }] if intents[..] == [IntentId(1)])
    );
    let effects = lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let [Effect::Sign { tx, .. }] = &effects[..] else { panic!("{effects:?}") };
    let TxFields { nonce, gas_limit, fees, .. } = **tx;
    assert_eq!((nonce, gas_limit), (5, 30_100));
    let signed = SignedTransaction { raw: Bytes::from_static(b"raw"), hash: B256::repeat_byte(9) };
    let hash = signed.hash;
    let effects = lane.step(Event::Recorded { nonce, flight: FLIGHT, signed, fees, voids: false });
    assert!(matches!(effects[..], [Effect::Broadcast { nonce: 5, .. }]), "{effects:?}");
    assert_eq!(lane.step(Event::Sent { nonce, hash, outcome: SendOutcome::Accepted }), []);
    (lane, hash)
}

fn looked(anchor: Canonical, look: Look) -> Event {
    Event::Looked { nonce: 5, attempts: 1, anchor, look }
}

#[test]
fn nothing_is_broadcast_before_it_is_recorded() {
    let mut lane = lane();
    lane.step(intent(1));
    lane.step(view(10, 5));
    lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    for block in 11..30 {
        assert_eq!(lane.step(view(block, 5)), [], "the attempt is still being stored");
    }
}

#[test]
fn a_receipt_below_finality_includes_and_at_finality_ends() {
    let (mut lane, hash) = in_flight();
    let effects = lane.step(view(11, 6));
    assert!(matches!(effects[..], [Effect::Look { nonce: 5, anchor: None, .. }]), "{effects:?}");
    let found = Look::Found { hash, receipt: receipt(11), canonical: Canonical::Yes };
    let effects = lane.step(looked(Canonical::Unknown, found.clone()));
    assert!(matches!(effects[..], [Effect::Include(FLIGHT, _)]));
    assert_eq!(lane.pending_count(), 0);
    let effects = lane.step(view(13, 6));
    let anchored = matches!(effects[..], [Effect::Look { anchor: Some((11, _)), .. }]);
    assert!(anchored, "{effects:?}");
    let effects = lane.step(looked(Canonical::Yes, found));
    assert!(matches!(effects[..], [Effect::Finalise(FLIGHT, ..)]));
    assert!(lane.is_idle());
}

#[test]
fn a_receipt_in_a_doubtful_block_is_no_inclusion() {
    for canonical in [Canonical::No, Canonical::Unknown] {
        let (mut lane, hash) = in_flight();
        lane.step(view(20, 6));
        let found = Look::Found { hash, receipt: receipt(11), canonical };
        assert_eq!(lane.step(looked(Canonical::Unknown, found)), []);
        assert_eq!(lane.pending_count(), 1);
    }
}

#[test]
fn a_missing_receipt_of_an_included_intent_proves_nothing_without_its_block_gone() {
    let (mut lane, hash) = in_flight();
    lane.step(view(11, 6));
    let found = Look::Found { hash, receipt: receipt(11), canonical: Canonical::Yes };
    lane.step(looked(Canonical::Unknown, found));
    lane.step(view(12, 6));
    for anchor in [Canonical::Yes, Canonical::Unknown] {
        assert_eq!(lane.step(looked(anchor, Look::Missing)), []);
        assert_eq!(lane.step(looked(anchor, Look::Unavailable)), []);
    }
    let effects = lane.step(looked(Canonical::No, Look::Missing));
    assert!(
        matches!(effects[..], [Effect::Unmine(..), Effect::Broadcast { nonce: 5, .. }]),
        "{effects:?}"
    );
}

/// A look that finds nothing, and what the search it leads to says.
fn missing(lane: &mut Lane, anchor: Canonical, search: Search) -> Vec<Effect> {
    let effects = lane.step(looked(anchor, Look::Missing));
    match &effects[..] {
        [Effect::Search { nonce: 5, .. }] => lane.step(Event::Searched { nonce: 5, search }),
        [] => Vec::new(),
        _ => panic!("{effects:?}"),
    }
}

fn is_lost(effects: &[Effect]) -> bool {
    let alert = Alert::NonceUsedByAnother { intent: IntentId(1), nonce: 5 };
    matches!(effects, [Effect::Lose(FLIGHT, _), Effect::Alert(found)] if *found == alert)
}

#[test]
fn without_a_search_nothing_is_concluded_but_an_operator_is_told() {
    let (mut lane, _) = in_flight();
    lane.step(view(11, 6));
    let alert = Effect::Alert(Alert::NonceUnexplained { intent: IntentId(1), nonce: 5 });
    assert_eq!(missing(&mut lane, Canonical::Yes, Search::Unavailable), [alert]);
    for block in 12..100 {
        lane.step(view(block, 6));
        assert_eq!(missing(&mut lane, Canonical::Yes, Search::Unavailable), []);
    }
    assert_eq!(lane.pending_count(), 1);
}

#[test]
fn without_a_search_what_is_safe_to_repeat_is_repeated_at_the_second_head() {
    let (mut lane, _) = in_flight_of(|request| request.repeat_safe = true);
    lane.step(view(11, 6));
    assert_eq!(missing(&mut lane, Canonical::Yes, Search::Unavailable), []);
    assert_eq!(missing(&mut lane, Canonical::Yes, Search::Unavailable), []);
    lane.step(view(12, 5));
    lane.step(view(13, 6));
    assert_eq!(missing(&mut lane, Canonical::Yes, Search::Unavailable), [], "it was not past");
    lane.step(view(14, 6));
    assert!(is_lost(&missing(&mut lane, Canonical::Yes, Search::Unavailable)));
    assert_eq!((lane.queued_count(), lane.pending_count()), (1, 0));
}

#[test]
fn a_search_that_finds_another_transaction_gives_the_nonce_up_once_that_is_final() {
    let foreign = Search::Found { hash: B256::repeat_byte(3), block: (11, hash(11)) };
    let (mut lane, _) = in_flight();
    lane.step(view(11, 6));
    assert_eq!(missing(&mut lane, Canonical::Unknown, foreign), []);
    lane.step(view(12, 6));
    assert_eq!(missing(&mut lane, Canonical::Unknown, foreign), [], "not final");
    lane.step(view(13, 6));
    assert!(is_lost(&missing(&mut lane, Canonical::Unknown, foreign)));
}

#[test]
fn what_the_chain_keeps_from_happening_twice_gets_another_nonce_at_once() {
    let foreign = Search::Found { hash: B256::repeat_byte(3), block: (11, hash(11)) };
    let (mut lane, _) = in_flight_of(|request| request.repeat_safe = true);
    lane.step(view(11, 6));
    assert!(is_lost(&missing(&mut lane, Canonical::Unknown, foreign)));
    let effects = lane.step(view(12, 6));
    assert!(matches!(&effects[..], [Effect::Estimate { .. }]), "{effects:?}");
}

#[test]
fn a_search_that_finds_nothing_or_an_own_attempt_ends_nothing() {
    let (mut lane, hash) = in_flight();
    let own = Search::Found { hash, block: (11, B256::repeat_byte(8)) };
    for (block, search) in (11..40).zip([own, Search::NotFound].into_iter().cycle()) {
        lane.step(view(block, 6));
        assert_eq!(missing(&mut lane, Canonical::Yes, search), []);
    }
    assert_eq!(lane.pending_count(), 1);
}

#[test]
fn no_answer_to_a_broadcast_ends_anything() {
    for outcome in [
        SendOutcome::NonceTooLow,
        SendOutcome::Underpriced,
        SendOutcome::InsufficientFunds,
        SendOutcome::PoolFull,
        SendOutcome::Rejected("no".to_owned()),
        SendOutcome::Unknown("timeout".to_owned()),
    ] {
        let (mut lane, hash) = in_flight();
        let effects = lane.step(Event::Sent { nonce: 5, hash, outcome });
        let only_told =
            effects.iter().all(|effect| matches!(effect, Effect::Alert(_) | Effect::Note(..)));
        assert!(only_told, "{effects:?}");
        assert_eq!(lane.pending_count(), 1);
    }
}

#[test]
fn nonces_follow_the_order_of_submission() {
    let mut lane = lane();
    for id in 1..=3 {
        lane.step(intent(id));
    }
    assert_eq!(lane.step(view(10, 0)).len(), 3);
    for id in 1..=3 {
        let effects = lane.step(Event::Estimated(vec![IntentId(id)], Some(GAS)));
        let [Effect::Sign { intents, tx, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((&intents[..], tx.nonce), (&[IntentId(id)][..], id - 1));
    }
}

#[test]
fn an_attempt_that_was_not_signed_frees_its_nonce() {
    let mut lane = lane();
    lane.step(intent(1));
    lane.step(view(10, 0));
    lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let reason = "key is locked".to_owned();
    let effects = lane.step(Event::NotSigned { nonce: 0, reason });
    assert!(matches!(effects[..], [Effect::Note(IntentId(1), "not_signed", _)]));
    assert_eq!((lane.queued_count(), lane.pending_count()), (1, 0));
}

#[test]
fn what_ran_out_of_gas_is_queued_again_with_a_larger_margin() {
    let (mut lane, hash) = in_flight();
    lane.step(view(13, 6));
    let dry = Receipt { success: false, gas_used: 30_000, ..receipt(11) };
    let found = Look::Found { hash, receipt: dry, canonical: Canonical::Yes };
    let effects = lane.step(looked(Canonical::Unknown, found));
    let [Effect::Finalise(FLIGHT, _, ends)] = &effects[..] else { panic!("{effects:?}") };
    assert!(matches!(ends[..], [(IntentId(1), ItemEnd::Queued(_))]), "{ends:?}");
    lane.step(view(14, 6));
    let effects = lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let [Effect::Sign { tx, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(tx.gas_limit, 60_100);
}

#[test]
fn what_reverted_with_gas_left_is_over() {
    let (mut lane, hash) = in_flight();
    lane.step(view(13, 6));
    let receipt = Receipt { success: false, gas_used: 20_000, ..receipt(11) };
    let found = Look::Found { hash, receipt, canonical: Canonical::Yes };
    let effects = lane.step(looked(Canonical::Unknown, found));
    let [Effect::Finalise(FLIGHT, _, ends)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(ends[..], [(IntentId(1), ItemEnd::Final { success: false })]);
}

#[test]
fn a_nonce_far_ahead_is_believed_at_the_third_look() {
    let mut lane = lane();
    lane.step(intent(1));
    let leap = 1 << 40;
    for block in [10, 11] {
        assert_eq!(lane.step(view(block, leap)), []);
    }
    assert_eq!(lane.step(view(12, 3)).len(), 1, "it was a lie");
    for block in [13, 14] {
        assert_eq!(lane.step(view(block, leap)), []);
    }
    lane.step(view(15, leap));
    assert_eq!(lane.nonce_lag(), 0);
    assert_eq!(lane.view.as_ref().unwrap().account_nonce, leap);
}

/// The same bytes again, handed over.
fn resends(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Broadcast { nonce: 5, .. }))
}

#[test]
fn what_was_in_a_block_goes_out_again_on_a_chain_that_is_shorter_now() {
    let (mut lane, hash) = in_flight();
    lane.step(view(20, 6));
    let found = Look::Found { hash, receipt: receipt(20), canonical: Canonical::Yes };
    lane.step(looked(Canonical::Unknown, found));
    assert!(!resends(&lane.step(view(21, 6))));
    assert!(resends(&lane.step(view(12, 5))), "block 20 cannot be asked for");
}

#[test]
fn a_nonce_that_stands_still_keeps_no_receipt_from_being_found() {
    let (mut lane, hash) = in_flight();
    let looks = |effects: &[Effect]| effects.iter().any(|one| matches!(one, Effect::Look { .. }));
    assert!(!looks(&lane.step(view(12, 5))));
    assert!(looks(&lane.step(view(13, 5))));
    let found = Look::Found { hash, receipt: receipt(11), canonical: Canonical::Yes };
    let effects = lane.step(looked(Canonical::Unknown, found));
    assert!(matches!(effects[..], [Effect::Finalise(FLIGHT, ..)]), "{effects:?}");
}

#[test]
fn a_height_that_was_never_there_does_not_stay() {
    let mut lane = lane();
    lane.step(intent(1));
    lane.step(view(1_000_000_000, 5));
    lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let fees = capstan_chain::Fees::Eip1559 { max_fee: 21, priority_fee: 1 };
    let signed = SignedTransaction { raw: Bytes::from_static(b"raw"), hash: B256::repeat_byte(9) };
    lane.step(Event::Recorded { nonce: 5, flight: FLIGHT, signed, fees, voids: false });
    lane.step(view(10, 5));
    let effects = lane.step(view(13, 5));
    assert!(effects.iter().any(|one| matches!(one, Effect::Sign { .. })), "{effects:?}");
}

#[test]
fn a_deadline_is_past_at_the_second_head_beyond_it() {
    let mut lane = lane();
    lane.step(intent_of(1, |request| request.deadline = UnixSeconds::new(20).ok()));
    assert_eq!(lane.step(view(1 << 30, 5)), [], "one head may be a lie");
    assert!(matches!(lane.step(view(10, 5))[..], [Effect::Estimate { .. }]));
    lane.step(Event::Estimated(vec![IntentId(1)], None));
    assert_eq!(lane.step(view(21, 5)), []);
    assert_eq!(lane.step(view(21, 5)), []);
    let effects = lane.step(view(22, 5));
    let [Effect::Fail(IntentId(1), failure)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(failure.code, FailureCode::DeadlinePassed);
}

#[test]
fn what_lost_its_nonce_is_not_given_up_while_an_old_transaction_of_it_may_come_back() {
    let (mut lane, _) = in_flight_of(|request| {
        (request.repeat_safe, request.deadline) = (true, UnixSeconds::new(20).ok());
    });
    let foreign = Search::Found { hash: B256::repeat_byte(3), block: (30, hash(30)) };
    lane.step(view(30, 6));
    assert!(is_lost(&missing(&mut lane, Canonical::Unknown, foreign)));
    assert_eq!(lane.step(view(31, 6)), []);
    let effects = lane.step(view(32, 6));
    assert!(matches!(effects[..], [Effect::Fail(IntentId(1), _)]), "block 30 is final");
}

/// A void of nonce 5 that is in a final block; what became of the intent.
fn voided(lane: &mut Lane) -> ItemEnd {
    let effects = lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let [Effect::Sign { tx, .. }] = &effects[..] else { panic!("{effects:?}") };
    let (nonce, fees) = (tx.nonce, tx.fees);
    let head = lane.view.as_ref().unwrap().head.number;
    let (mined_at, next) = (head.saturating_add(1), nonce.saturating_add(1));
    let signed =
        |hash| SignedTransaction { raw: Bytes::from_static(b"raw"), hash: B256::repeat_byte(hash) };
    let own = signed(9);
    lane.step(Event::Recorded { nonce, flight: FLIGHT, signed: own, fees, voids: false });
    let void = signed(8);
    lane.step(Event::Recorded { nonce, flight: FLIGHT, signed: void, fees, voids: true });
    lane.step(view(head.saturating_add(4), next));
    let receipt = Receipt { tx_hash: B256::repeat_byte(8), ..receipt(mined_at) };
    let hash = B256::repeat_byte(8);
    let look = Look::Found { hash, receipt, canonical: Canonical::Yes };
    let effects = lane.step(Event::Looked { nonce, attempts: 2, anchor: Canonical::Unknown, look });
    let [Effect::Finalise(FLIGHT, _, ends)] = &effects[..] else { panic!("{effects:?}") };
    assert!(matches!(ends[..], [(IntentId(1), _)]));
    lane.step(view(head.saturating_add(5), next));
    ends[0].1.clone()
}

#[test]
fn what_every_node_refused_is_estimated_anew_and_given_up_at_the_third_time() {
    let mut lane = lane();
    lane.step(intent(1));
    lane.step(view(10, 5));
    assert!(matches!(voided(&mut lane), ItemEnd::Queued(_)));
    assert!(matches!(voided(&mut lane), ItemEnd::Queued(_)));
    let end = voided(&mut lane);
    let ItemEnd::Failed(failure) = end else { panic!("{end:?}") };
    assert_eq!(failure.code, FailureCode::Refused);
    assert!(lane.is_idle());
}

#[test]
fn an_estimate_beyond_what_any_node_takes_is_not_signed() {
    let mut lane = lane();
    lane.step(intent(1));
    lane.step(view(10, 5));
    let gas = Estimate::Gas { gas: 1 << 24, rollup_fee: U256::ZERO };
    let effects = lane.step(Event::Estimated(vec![IntentId(1)], Some(gas)));
    assert!(matches!(effects[..], [Effect::Note(IntentId(1), "too_much_gas", _)]), "{effects:?}");
    let effects = lane.step(view(11, 5));
    assert!(matches!(effects[..], [Effect::Estimate { .. }]), "another endpoint may know better");
}

#[test]
fn a_revert_of_what_was_done_by_an_earlier_transaction_of_its_own_is_no_failure() {
    for (answer, done) in [(Answer::Done, true), (Answer::NotDone, false)] {
        let (mut lane, hash) = in_flight_of(|request| request.repeat_safe = true);
        lane.step(view(13, 6));
        let reverted = Receipt { success: false, gas_used: 20_000, ..receipt(11) };
        let found = Look::Found { hash, receipt: reverted, canonical: Canonical::Yes };
        let effects = lane.step(looked(Canonical::Unknown, found.clone()));
        assert!(matches!(effects[..], [Effect::Ask { intent: IntentId(1), .. }]), "{effects:?}");
        assert_eq!(lane.step(looked(Canonical::Unknown, found.clone())), [], "asked once");
        lane.step(Event::Asked(IntentId(1), Answer::Unavailable));
        let effects = lane.step(looked(Canonical::Unknown, found.clone()));
        assert!(matches!(effects[..], [Effect::Ask { .. }]), "asked again");
        lane.step(Event::Asked(IntentId(1), answer));
        let effects = lane.step(looked(Canonical::Unknown, found));
        let [Effect::Finalise(FLIGHT, _, ends)] = &effects[..] else { panic!("{effects:?}") };
        match &ends[..] {
            [(_, ItemEnd::Failed(failure))] if done => {
                assert_eq!(failure.code, FailureCode::AlreadyDone);
            }
            [(_, ItemEnd::Final { success: false })] if !done => {}
            _ => panic!("{ends:?}"),
        }
    }
}

#[test]
fn a_replacement_after_a_restart_makes_the_call_that_was_signed() {
    let (mut before, _) = in_flight();
    let flight = before.flights.remove(&5).unwrap();
    let attempt = Attempt {
        flight: FLIGHT,
        nonce: 5,
        number: 0,
        signed: Signed {
            tx_hash: B256::repeat_byte(9),
            raw: Bytes::from_static(b"raw"),
            voids: false,
            gas_limit: 30_100,
            max_fee: 21,
            priority_fee: Some(1),
            rollup_fee: U256::ZERO,
            signed_at: UnixSeconds::default(),
        },
        broadcast: Broadcast::Accepted,
        broadcast_detail: None,
    };
    let intents = flight.intents;
    let open =
        OpenFlight { id: FLIGHT, nonce: 5, intents, attempts: vec![attempt], inclusion: None };
    let snapshot = LaneSnapshot { flights: vec![open], ..LaneSnapshot::default() };
    let signed = Call { to: Address::repeat_byte(0x77), value: U256::from(3), data: Bytes::new() };
    let read = |raw: &Bytes| (raw[..] == b"raw"[..]).then(|| signed.clone());
    let mut lane = Lane::restore(KEY, before.config, Arc::new(Singles), snapshot, &read);
    lane.step(view(20, 5));
    let effects = lane.step(view(30, 5));
    let tx = effects.iter().find_map(|effect| match effect {
        Effect::Sign { tx, .. } => Some(tx),
        _ => None,
    });
    let tx = tx.unwrap_or_else(|| panic!("{effects:?}"));
    assert_eq!((tx.target, tx.value), (TxTarget::To(signed.to), signed.value));
}

#[test]
fn what_a_chain_lost_beyond_finality_goes_out_again_every_few_blocks() {
    let (mut lane, hash) = in_flight();
    lane.step(view(13, 6));
    let found = Look::Found { hash, receipt: receipt(11), canonical: Canonical::Yes };
    lane.step(looked(Canonical::Unknown, found));
    assert_eq!(lane.step(view(14, 6)), []);
    let alert = Effect::Alert(Alert::FinalityBroken { nonce: 5, was: 6 });
    assert_eq!(lane.step(view(12, 5)), [alert, Effect::Restore(5..6)]);
    assert_eq!(lane.step(view(13, 5)), []);
    assert_eq!(lane.step(view(14, 5)), [Effect::Restore(5..6)]);
    assert_eq!(lane.step(view(15, 6)), []);
}

#[test]
fn what_failed_transactions_cost_comes_out_of_the_budget() {
    let budget = U256::from(1_500_000);
    let (mut lane, hash) = in_flight_of(|request| request.max_cost = Some(budget));
    lane.step(view(13, 6));
    let dry = Receipt { success: false, gas_used: 30_100, effective_gas_price: 20, ..receipt(11) };
    let found = Look::Found { hash, receipt: dry, canonical: Canonical::Yes };
    lane.step(looked(Canonical::Unknown, found));
    lane.step(view(14, 6));
    let effects = lane.step(Event::Estimated(vec![IntentId(1)], Some(GAS)));
    let [Effect::Sign { tx, .. }] = &effects[..] else { panic!("{effects:?}") };
    // 1,500,000 less 602,000, for 60,100 gas.
    assert_eq!(tx.fees.max_fee(), 14);
}

#[test]
fn what_is_done_before_a_final_block_is_done_for_good_though_nobody_has_its_state() {
    let (mut lane, hash) = in_flight_of(|request| request.repeat_safe = true);
    let reverted = Receipt { success: false, gas_used: 20_000, ..receipt(11) };
    let found = || Look::Found { hash, receipt: reverted.clone(), canonical: Canonical::Yes };
    for (block, ends) in [(13, false), (15, false), (16, false), (17, true)] {
        lane.step(view(block, 6));
        lane.step(looked(Canonical::Unknown, found()));
        lane.step(Event::Asked(IntentId(1), Answer::Unread));
        let effects = lane.step(looked(Canonical::Unknown, found()));
        let over = matches!(effects[..], [Effect::Finalise(FLIGHT, ..)]);
        assert_eq!(over, ends, "block {block}: {effects:?}");
    }
}

#[test]
fn what_used_a_nonce_is_searched_for_though_receipts_cannot_be_asked_for() {
    let (mut lane, _) = in_flight_of(|request| request.repeat_safe = true);
    let unavailable = |lane: &mut Lane, search| {
        let effects = lane.step(looked(Canonical::Yes, Look::Unavailable));
        assert!(matches!(effects[..], [Effect::Search { nonce: 5, .. }]), "{effects:?}");
        lane.step(Event::Searched { nonce: 5, search })
    };
    for block in 11..15 {
        lane.step(view(block, 6));
        assert_eq!(unavailable(&mut lane, Search::Unavailable), [], "block {block}");
    }
    lane.step(view(15, 6));
    let foreign = Search::Found { hash: B256::repeat_byte(3), block: (11, hash(11)) };
    assert!(is_lost(&unavailable(&mut lane, foreign)));
}
