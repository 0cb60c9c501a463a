//! Merging and its reverse, on sound, foreign and damaged calldata.

use alloy_primitives::{LogData, keccak256};
use alloy_sol_types::SolEvent;
use capstan_base::{Amount, B256, ModelId, UnixSeconds};
use proptest::prelude::*;

use super::*;
use crate::bindings::abi::JobMarketplace::{SessionClosed, SessionCompletionFailed};
use crate::bindings::calls::{complete_session_job, finalize_session, native_transfer};
use crate::bindings::decode_revert;
use crate::signer::LocalSigner;
use crate::types::{Bytes, Log, Receipt};

const MARKET: Address = Address::repeat_byte(0xaa);
const ACCOUNT: Address = Address::repeat_byte(0xbb);
const KIND: BatchKind = BatchKind::Completions { marketplace: MARKET };
const SELF: BatchKind = BatchKind::SelfCall { account: ACCOUNT };

fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

fn terms(salt: u64) -> SessionTerms {
    SessionTerms {
        host: ACCOUNT,
        renter: Address::repeat_byte(3),
        token: Address::repeat_byte(4),
        deposit: amount(1_000),
        expiry: UnixSeconds::new(1_900_000_000).unwrap(),
        voucher_key: Address::repeat_byte(5),
        model: ModelId(B256::repeat_byte(6)),
        salt: keccak256(salt.to_be_bytes()),
    }
}

fn voucher(terms: &SessionTerms, owed: u128) -> SignedVoucher {
    let voucher = Voucher {
        session_id: terms.id(),
        amount: amount(owed),
        tokens: 12,
        transcript_root: B256::repeat_byte(7),
    };
    let key = LocalSigner::from_bytes("test", &[9; 32]).unwrap();
    SignedVoucher { signature: key.sign_digest_65(voucher.session_id.0).unwrap(), voucher }
}

fn close(salt: u64) -> Call {
    let terms = terms(salt);
    complete_session_job(MARKET, &terms, Some(&voucher(&terms, 500)), amount(499))
}

/// The same close with its voucher or signature changed.
fn changed(change: impl FnOnce(&mut SignedVoucher)) -> Call {
    let terms = terms(1);
    let mut voucher = voucher(&terms, 500);
    change(&mut voucher);
    complete_session_job(MARKET, &terms, Some(&voucher), amount(499))
}

fn byte_changed(place: usize, value: u8) -> Call {
    changed(|signed| {
        let mut bytes = signed.signature.0.to_vec();
        bytes[place] = value;
        signed.signature = Signature65(bytes.into());
    })
}

fn receipt(logs: Vec<(Address, LogData)>) -> Receipt {
    let log = |(address, data)| Log { address, data, block_number: 1, tx_hash: B256::ZERO };
    Receipt {
        tx_hash: B256::ZERO,
        block_number: 1,
        block_hash: B256::ZERO,
        success: true,
        gas_used: 0,
        effective_gas_price: 0,
        l1_fee: 0,
        contract_address: None,
        logs: logs.into_iter().map(log).collect(),
    }
}

fn closed(salt: u64) -> LogData {
    let event = SessionClosed {
        sessionId: terms(salt).id().0,
        host: ACCOUNT,
        renter: Address::ZERO,
        reason: 0,
        token: Address::ZERO,
        hostPaid: Default::default(),
        fee: Default::default(),
        refund: Default::default(),
        tokens: 0,
        transcriptRoot: B256::ZERO,
    };
    event.encode_log_data()
}

fn refused(index: u64, salt: u64) -> LogData {
    let reason = Bytes::from_static(&[1, 2]);
    let (index, session_id) = (U256::from(index), terms(salt).id().0);
    SessionCompletionFailed { index, sessionId: session_id, reason }.encode_log_data()
}

fn call_failed(index: u64) -> LogData {
    let reason = Bytes::from_static(&[3]);
    SelfBatch::CallFailed { index: U256::from(index), reason }.encode_log_data()
}

fn executed(calls: u64, failed: u64) -> LogData {
    let (calls, failed) = (U256::from(calls), U256::from(failed));
    SelfBatch::BatchExecuted { calls, failed }.encode_log_data()
}

/// Words for each outcome; "done" for success.
fn told(kind: BatchKind, calls: &[Call], receipt: &Receipt) -> Vec<String> {
    let calls: Vec<_> = calls.iter().collect();
    let words = |outcome| match outcome {
        ItemOutcome::Done => "done".to_owned(),
        ItemOutcome::Failed { reason } => decode_revert(&reason),
    };
    outcomes(kind, &calls, receipt).into_iter().map(words).collect()
}

#[test]
fn closes_are_merged_as_if_they_had_been_made_together() {
    let bare = terms(3);
    let calls = [close(1), close(2), complete_session_job(MARKET, &bare, None, Amount::ZERO)];
    assert!(calls.iter().all(|call| native_kind(call) == Some(KIND)));
    let item = |salt| {
        let terms = terms(salt);
        CompletionItem { voucher: Some(voucher(&terms, 500)), terms, claim: amount(499) }
    };
    let last = CompletionItem { terms: bare, voucher: None, claim: Amount::ZERO };
    let expected = complete_session_jobs(MARKET, &[item(1), item(2), last]).unwrap();
    assert_eq!(merge(KIND, &[&calls[0], &calls[1], &calls[2]]), Some(expected));
    assert_eq!(merge(KIND, &[&calls[1]]), Some(calls[1].clone()));
    assert_eq!(merge(KIND, &[]), None);
    assert_eq!(sort_key(&calls[0]), Some((Address::repeat_byte(4), Address::repeat_byte(3))));
}

#[test]
fn what_the_packed_form_cannot_say_goes_alone() {
    let check = |call: Call, why: &str| {
        assert_eq!(native_kind(&call), None, "{why}");
        assert_eq!(sort_key(&call), None, "{why}");
        assert_eq!(merge(KIND, &[&close(1), &call]), None, "{why}");
        assert_eq!(merge(KIND, &[&call]), None, "{why}");
    };
    check(Call { value: U256::ONE, ..close(1) }, "value");
    check(changed(|signed| signed.voucher.session_id.0.0[0] ^= 1), "voucher of another session");
    check(changed(|signed| signed.signature = Signature65(Bytes::new())), "amount, no signature");
    check(changed(|signed| signed.signature = Signature65(vec![1; 64].into())), "64 bytes");
    check(byte_changed(64, 0), "v");
    check(byte_changed(32, 0x80), "high s");
    check(changed(|signed| signed.signature = Signature65(zeros().into())), "zeros");
    check(finalize_session(MARKET, &terms(1)), "another call");
    check(native_transfer(MARKET, U256::ZERO), "no data");
    let long = [&close(1).data[..], &[0]].concat().into();
    check(Call { data: long, ..close(1) }, "a byte too many");
    let dirty: Vec<u8> = close(1).data.iter().enumerate().map(dirtied).collect();
    check(Call { data: dirty.into(), ..close(1) }, "dirty upper bits of the host's word");
    let elsewhere = Call { to: ACCOUNT, ..close(1) };
    assert_eq!(merge(KIND, &[&close(2), &elsewhere]), None, "another contract");
}

fn zeros() -> Vec<u8> {
    let mut bytes = vec![0; 65];
    bytes[64] = 27;
    bytes
}

/// The first word of the terms, behind selector and offset.
fn dirtied((place, byte): (usize, &u8)) -> u8 {
    if place == 4 + 32 { 1 } else { *byte }
}

#[test]
fn only_the_marketplaces_own_word_counts() {
    let calls = [close(1), close(2), close(3)];
    let logs = vec![
        (MARKET, closed(1)),
        (MARKET, refused(1, 2)),
        (ACCOUNT, closed(3)),
        (MARKET, closed(77)),
        (MARKET, LogData::default()),
    ];
    let unknown = "the receipt does not mention the session";
    let expected = ["done", "unknown error 0x0102", unknown];
    assert_eq!(told(KIND, &calls, &receipt(logs.clone())), expected);
    let reverted = Receipt { success: false, ..receipt(logs) };
    assert_eq!(told(KIND, &calls, &reverted), ["the transaction reverted"; 3]);
}

#[test]
fn the_second_of_two_closes_of_one_session_failed() {
    let calls = [close(1), close(1)];
    let logs = vec![(MARKET, closed(1)), (MARKET, refused(1, 1))];
    assert_eq!(told(KIND, &calls, &receipt(logs)), ["done", "unknown error 0x0102"]);
}

#[test]
fn self_calls_are_done_only_by_the_word_of_the_account() {
    let to = Address::repeat_byte(1);
    let calls = [close(1), native_transfer(to, U256::from(5))];
    let merged = merge(SELF, &[&calls[0], &calls[1]]).unwrap();
    assert_eq!((merged.to, merged.value), (ACCOUNT, U256::ZERO));
    let asked = SelfBatch::executeCall::abi_decode(&merged.data).unwrap().calls;
    let made =
        |call: &SelfBatch::Call| Call { to: call.to, value: call.value, data: call.data.clone() };
    assert_eq!(asked.iter().map(made).collect::<Vec<_>>(), calls);
    assert_eq!(merge(SELF, &[&calls[1]]), Some(calls[1].clone()));
    assert_eq!(merge(SELF, &[&calls[1], &native_transfer(ACCOUNT, U256::ONE)]), None);

    let check = |logs: Vec<LogData>, expected: [&str; 2]| {
        let logs = logs.into_iter().map(|log| (ACCOUNT, log)).collect();
        assert_eq!(told(SELF, &calls, &receipt(logs)), expected);
    };
    check(vec![executed(2, 0)], ["done", "done"]);
    check(vec![call_failed(1), executed(2, 1)], ["done", "unknown error 0x03"]);
    check(vec![], ["the account's code is not the one that makes batches"; 2]);
    let contradiction = ["the receipt's logs contradict each other"; 2];
    check(vec![executed(2, 1)], contradiction);
    check(vec![executed(3, 0)], contradiction);
    let foreign = receipt(vec![(to, executed(2, 0))]);
    assert_ne!(told(SELF, &calls, &foreign), ["done", "done"]);
    assert_eq!(told(SELF, &calls[..1], &receipt(vec![])), ["done"]);
}

proptest! {
    #[test]
    fn foreign_bytes_are_nobodys_batch(to: [u8; 20], data: Vec<u8>, topics: Vec<[u8; 32]>) {
        let call = Call { to: to.into(), value: U256::ZERO, data: data.clone().into() };
        prop_assert_eq!(native_kind(&call), None);
        let selector = JobMarketplace::completeSessionJobCall::SELECTOR;
        let ours = Call { data: [&selector[..], &data].concat().into(), ..call.clone() };
        prop_assert_eq!(native_kind(&ours), None);
        let topics = topics.into_iter().take(4).map(B256::from).collect();
        let log = LogData::new_unchecked(topics, data.into());
        let receipt = receipt(vec![(MARKET, log.clone()), (ACCOUNT, log)]);
        let both = [&call, &ours];
        for kind in [KIND, SELF] {
            let none = outcomes(kind, &both, &receipt).iter().all(|o| *o != ItemOutcome::Done);
            prop_assert!(none);
        }
    }

    /// Damaged calldata is either refused, or is another close that says in packed form just what it
    /// said before.
    #[test]
    fn damaged_calldata_is_refused_or_kept_whole(
        place: prop::sample::Index, flip in 1..=u8::MAX, cut: prop::sample::Index, shorten: bool,
    ) {
        let mut data = close(1).data.to_vec();
        *place.get_mut(&mut data) ^= flip;
        if shorten {
            data.truncate(cut.index(data.len()));
        }
        let call = Call { data: data.into(), ..close(1) };
        if let Some(kind) = native_kind(&call) {
            let item = completion(&call).unwrap();
            let again = complete_session_job(MARKET, &item.terms, item.voucher.as_ref(), item.claim);
            prop_assert_eq!(&again, &call);
            let both = merge(kind, &[&call, &close(2)]).unwrap();
            prop_assert_eq!(both.data.len(), 4 + 64 + 2 * 9 * 32);
        }
    }
}
