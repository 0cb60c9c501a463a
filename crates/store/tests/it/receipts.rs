//! Receipts of a rental: the newest is kept, and the first two that contradict each other for good.

use capstan_base::SignedReceipt;
use capstan_store::{ReceiptOutcome, Store};

use crate::samples::{key, receipt, rental};

async fn with_rental() -> Store {
    let store = Store::open_in_memory().unwrap();
    store.insert_rental(rental(1), None).await.unwrap();
    store
}

fn of(units: u128, tokens: u64, last: bool) -> SignedReceipt {
    receipt(key(1).session_id, units, tokens, last)
}

async fn check(
    store: &Store,
    signed: &SignedReceipt,
    outcome: ReceiptOutcome,
    kept: [Option<&SignedReceipt>; 2],
) {
    assert_eq!(store.record_receipt(key(1), signed).await.unwrap(), outcome);
    let rental = store.rental(key(1)).await.unwrap().unwrap();
    assert_eq!([rental.receipt.as_ref(), rental.contradiction.as_ref()], kept);
}

#[tokio::test]
async fn the_newest_is_kept() {
    let store = with_rental().await;
    let (first, second, last) = (of(4, 4, false), of(6, 6, false), of(6, 6, true));
    check(&store, &first, ReceiptOutcome::Stored, [Some(&first), None]).await;
    check(&store, &second, ReceiptOutcome::Stored, [Some(&second), None]).await;
    check(&store, &second, ReceiptOutcome::Stored, [Some(&second), None]).await;
    check(&store, &last, ReceiptOutcome::Stored, [Some(&last), None]).await;
    check(&store, &second, ReceiptOutcome::Older, [Some(&last), None]).await;
    check(&store, &first, ReceiptOutcome::Older, [Some(&last), None]).await;
}

#[tokio::test]
async fn two_that_contradict_each_other_are_kept_for_good() {
    let store = with_rental().await;
    let (first, other, third) = (of(4, 4, false), of(5, 4, true), of(9, 9, false));
    check(&store, &first, ReceiptOutcome::Stored, [Some(&first), None]).await;
    let evidence = [Some(&first), Some(&other)];
    check(&store, &other, ReceiptOutcome::Contradicts, evidence).await;
    for later in [&third, &first, &of(7, 4, false)] {
        check(&store, later, ReceiptOutcome::Contradicts, evidence).await;
    }
}

#[tokio::test]
async fn a_closed_rental_takes_its_last_receipt_and_a_stranger_none() {
    let store = with_rental().await;
    store.close_rental(key(1), "done", None).await.unwrap();
    let last = of(4, 4, true);
    check(&store, &last, ReceiptOutcome::Stored, [Some(&last), None]).await;
    let unknown = store.record_receipt(key(2), &last).await.unwrap();
    assert_eq!(unknown, ReceiptOutcome::UnknownSession);
}
