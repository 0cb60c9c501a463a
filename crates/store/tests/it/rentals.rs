//! Rentals: terms are stored with the opening, vouchers before they are sent.

use capstan_base::B256;
use capstan_store::{
    Closing, EngineStore, Failure, FailureCode, RentalInsert, RentalState, Store, VoucherOutcome,
};

use crate::samples::{amount, fence, intent, key, rental, tally, voucher};

async fn with_rental() -> Store {
    let store = Store::open_in_memory().unwrap();
    let outcome = store.insert_rental(rental(1), Some(intent("open"))).await.unwrap();
    assert!(matches!(outcome, RentalInsert::Created(Some(_))));
    store
}

#[tokio::test]
async fn a_rental_is_stored_once_with_its_opening() {
    let store = with_rental().await;
    let again = store.insert_rental(rental(1), Some(intent("open-2"))).await.unwrap();
    let RentalInsert::Existing(stored) = again else { panic!("{again:?}") };
    assert_eq!((stored.state, stored.terms), (RentalState::Opening, rental(1).terms));
    assert!(store.intent_by_key("open").await.unwrap().is_some());
    assert!(store.intent_by_key("open-2").await.unwrap().is_none());
    assert!(store.rental_opened(key(1), B256::repeat_byte(4)).await.unwrap());
    assert!(!store.rental_opened(key(1), B256::repeat_byte(6)).await.unwrap());
    let stored = store.rental(key(1)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.open_tx), (RentalState::Open, Some(B256::repeat_byte(4))));
}

#[tokio::test]
async fn a_signed_voucher_never_falls() {
    let store = with_rental().await;
    let signed = voucher(key(1).session_id, 10, 4);
    let stored = store.record_signed_voucher(key(1), &signed, &tally(4)).await.unwrap();
    assert_eq!(stored, VoucherOutcome::Stored);
    let again = store.record_signed_voucher(key(1), &signed, &tally(4)).await.unwrap();
    assert_eq!(again, VoucherOutcome::Stored, "the same again");
    let lower = voucher(key(1).session_id, 9, 5);
    let refused = store.record_signed_voucher(key(1), &lower, &tally(5)).await.unwrap();
    assert_eq!(refused, VoucherOutcome::NotHigher);
    let rental = store.rental(key(1)).await.unwrap().unwrap();
    assert_eq!((rental.voucher, rental.tally), (Some(signed.clone()), tally(4)));
    store.close_rental(key(1), "done", None).await.unwrap();
    let closed = store.record_signed_voucher(key(1), &signed, &tally(9)).await.unwrap();
    assert_eq!(closed, VoucherOutcome::Closed);
}

#[tokio::test]
async fn closing_may_add_the_renters_own_transaction_once() {
    let store = with_rental().await;
    assert!(store.close_rental(key(1), "done", None).await.unwrap());
    assert!(store.close_rental(key(1), "host is gone", Some(intent("exit"))).await.unwrap());
    assert!(store.close_rental(key(1), "again", Some(intent("exit-2"))).await.unwrap());
    assert!(store.intent_by_key("exit-2").await.unwrap().is_none());
    let rental = store.rental(key(1)).await.unwrap().unwrap();
    assert_eq!(rental.end_reason.as_deref(), Some("done"));
    let exit = store.intent_by_key("exit").await.unwrap().unwrap();
    assert_eq!(rental.close_intent, Some(exit.id));

    let closing = Closing {
        paid: amount(1),
        fee: amount(2),
        refund: amount(3),
        close_tx: B256::repeat_byte(8),
    };
    assert!(store.finish_rental(key(1), closing).await.unwrap());
    assert!(!store.finish_rental(key(1), closing).await.unwrap());
    assert!(!store.close_rental(key(1), "late", Some(intent("late"))).await.unwrap());
    assert!(store.intent_by_key("late").await.unwrap().is_none());
    let closed = store.rentals(Some(RentalState::Closed)).await.unwrap();
    assert_eq!(closed[0].closing, Some(closing));
    assert!(!store.abandon_rental(key(1), "no").await.unwrap());
}

#[tokio::test]
async fn an_exit_that_was_refused_can_be_tried_again() {
    let store = with_rental().await;
    assert!(store.close_rental(key(1), "host is gone", Some(intent("exit"))).await.unwrap());
    let exit = store.intent_by_key("exit").await.unwrap().unwrap();
    let failure = Failure { code: FailureCode::Reverted, detail: "a node that lags".into() };
    let fence = fence(&store).await;
    store.record_failure(fence, exit.id, failure).await.unwrap();
    assert!(store.close_rental(key(1), "again", Some(intent("exit-2"))).await.unwrap());
    let exit = store.intent_by_key("exit-2").await.unwrap().unwrap();
    assert_eq!(store.rental(key(1)).await.unwrap().unwrap().close_intent, Some(exit.id));
}
