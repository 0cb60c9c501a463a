//! Receipts: which two cannot both be true, and whose signature counts.

use alloy_primitives::{Address, B256};
use capstan_base::{ChainId, Receipt, SessionId, SignatureError, SignedReceipt};

use crate::vectors::{KEY, SIGNER, signed};

fn receipt() -> Receipt {
    Receipt::of(&signed().voucher)
}

#[test]
fn it_says_what_the_voucher_says() {
    let (voucher, receipt) = (signed().voucher, receipt());
    assert_eq!(
        (receipt.session_id, receipt.amount, receipt.tokens, receipt.transcript_root),
        (voucher.session_id, voucher.amount, voucher.tokens, voucher.transcript_root)
    );
    assert!(!receipt.last);
}

#[test]
fn two_for_one_place_contradict_each_other_by_amount_or_root() {
    let one = receipt();
    let more = one.amount.checked_add(one.amount).unwrap();
    for other in [
        Receipt { amount: more, ..one },
        Receipt { transcript_root: B256::ZERO, ..one },
        Receipt { amount: more, last: true, ..one },
    ] {
        assert!(one.contradicts(&other) && other.contradicts(&one), "{other:?}");
    }
    for other in [
        one,
        Receipt { last: true, ..one },
        Receipt { tokens: one.tokens + 1, amount: more, ..one },
        Receipt { session_id: SessionId(B256::ZERO), amount: more, ..one },
    ] {
        assert!(!one.contradicts(&other) && !other.contradicts(&one), "{other:?}");
    }
}

#[test]
fn the_newest_has_most_tokens_and_then_is_the_last() {
    let one = receipt();
    let last = Receipt { last: true, ..one };
    let longer = Receipt { tokens: one.tokens + 1, ..one };
    assert!(one.is_as_new_as(&one));
    assert!(last.is_as_new_as(&one) && !one.is_as_new_as(&last));
    assert!(longer.is_as_new_as(&last) && !last.is_as_new_as(&longer));
}

/// A voucher's signature, of the same fields under the same domain, is none of a receipt.
#[test]
fn a_voucher_is_no_receipt() {
    let taken = SignedReceipt { receipt: receipt(), signature: signed().signature };
    let verified = taken.verify(&KEY, SIGNER);
    assert!(matches!(verified, Err(SignatureError::WrongSigner { .. })), "{verified:?}");
}

#[test]
fn every_part_of_it_and_of_its_domain_is_signed() {
    let (one, market) = (receipt(), KEY.marketplace);
    let digest = one.digest(KEY.chain_id, market);
    for other in [
        Receipt { session_id: SessionId(B256::ZERO), ..one },
        Receipt { amount: one.amount.checked_add(one.amount).unwrap(), ..one },
        Receipt { tokens: one.tokens + 1, ..one },
        Receipt { transcript_root: B256::ZERO, ..one },
        Receipt { last: true, ..one },
    ] {
        assert_ne!(other.digest(KEY.chain_id, market), digest, "{other:?}");
    }
    assert_ne!(one.digest(ChainId(1), market), digest);
    assert_ne!(one.digest(KEY.chain_id, Address::ZERO), digest);
}
