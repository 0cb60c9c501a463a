//! What every `SessionStore` must do: vouchers never fall, ending is one transaction, races have one
//! winner.

use std::sync::Arc;

use capstan_base::{ChainId, U256};
use capstan_store::{
    Closing, Failure, FailureCode, Intent, IntentFilter, Limits, NewIntent, SessionInsert,
    SessionState, SessionStore, SettleOutcome, Store, StoreError, Transition, VoucherOutcome,
    all_intents, newest_intents,
};

use crate::samples::{
    CHAIN, amount, at, fence, intent, key, price, session, tally, terms, voucher,
};
use crate::stores::each_session_store;

/// Runs a check on every implementation, each with one open session.
async fn each_with_session<F: Future<Output = ()>>(check: impl Fn(Arc<dyn SessionStore>) -> F) {
    each_session_store(async |store| {
        assert_eq!(store.insert_session(session(1)).await.unwrap(), SessionInsert::Created);
        check(store).await;
    })
    .await;
}

async fn outbox(store: &Arc<dyn SessionStore>) -> Vec<Intent> {
    store.intents(IntentFilter::default()).await.unwrap()
}

fn closing() -> Closing {
    let close_tx = capstan_base::B256::repeat_byte(5);
    Closing { paid: amount(90), fee: amount(1), refund: amount(9), close_tx }
}

#[tokio::test]
async fn inserting_twice_keeps_the_first() {
    each_with_session(async |store| {
        let mut again = session(1);
        again.opened_at = at(999);
        let SessionInsert::Existing(stored) = store.insert_session(again).await.unwrap() else {
            panic!("inserted twice")
        };
        assert_eq!((stored.terms, stored.price, stored.opened_at), (terms(1), price(), at(100)));
        assert_eq!(store.count_sessions(Some(CHAIN), Some(SessionState::Open)).await.unwrap(), 1);
        assert_eq!(store.count_sessions(Some(ChainId(1)), None).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_voucher_never_falls() {
    each_with_session(async |store| {
        let key = key(1);
        let record = async |units, tokens, counted| {
            store
                .record_voucher(key, &voucher(key.session_id, units, tokens), &tally(counted))
                .await
                .unwrap()
        };
        assert_eq!(record(10, 4, 4).await, VoucherOutcome::Stored);
        assert_eq!(record(10, 4, 4).await, VoucherOutcome::Stored, "the same again");
        assert_eq!(record(10, 3, 4).await, VoucherOutcome::NotHigher, "another of the same height");
        assert_eq!(record(9, 5, 5).await, VoucherOutcome::NotHigher, "less money");
        assert_eq!(record(10, 9, 4).await, VoucherOutcome::NotHigher, "only its own token count");
        assert_eq!(record(11, 5, 3).await, VoucherOutcome::NotHigher, "smaller tally");
        assert_eq!(record(10, 5, 5).await, VoucherOutcome::Stored, "free tokens");
        assert_eq!(record(1 << 90, u64::MAX, 5).await, VoucherOutcome::Stored, "a ceiling");
        assert_eq!(record(1 << 90, u64::MAX, 6).await, VoucherOutcome::Stored, "tally under it");
        let stored = store.session(key).await.unwrap().unwrap();
        assert_eq!(stored.voucher, Some(voucher(key.session_id, 1 << 90, u64::MAX)));
        assert_eq!(stored.tally, tally(6));

        let unknown = crate::samples::key(2);
        let outcome = store
            .record_voucher(unknown, &voucher(unknown.session_id, 1, 1), &tally(1))
            .await
            .unwrap();
        assert_eq!(outcome, VoucherOutcome::UnknownSession);
        store.settle_session(key, "ended", None).await.unwrap();
        assert_eq!(record(1 << 91, u64::MAX, 9).await, VoucherOutcome::Closed);
    })
    .await;
}

#[tokio::test]
async fn detaching_and_attaching_go_back_and_forth() {
    each_with_session(async |store| {
        let key = key(1);
        assert_eq!(store.attach_session(key).await.unwrap(), Transition::Done);
        assert_eq!(store.detach_session(key, at(200)).await.unwrap(), Transition::Done);
        assert_eq!(store.detach_session(key, at(300)).await.unwrap(), Transition::Done);
        let stored = store.session(key).await.unwrap().unwrap();
        assert_eq!((stored.state, stored.detached_at), (SessionState::Detached, Some(at(200))));
        assert_eq!(store.attach_session(key).await.unwrap(), Transition::Done);
        assert_eq!(store.session(key).await.unwrap().unwrap().detached_at, None);
        store.settle_session(key, "ended", None).await.unwrap();
        let refused = Transition::Refused(SessionState::Abandoned);
        assert_eq!(store.attach_session(key).await.unwrap(), refused);
        assert_eq!(
            store.detach_session(crate::samples::key(9), at(1)).await.unwrap(),
            Transition::Unknown
        );
    })
    .await;
}

#[tokio::test]
async fn ten_endings_race_and_one_settles() {
    each_with_session(async |store| {
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let intent = intent(&format!("settle-{n}"));
                    store
                        .settle_session(key(1), &format!("reason {n}"), Some(intent))
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut won = Vec::new();
        for task in tasks {
            if let SettleOutcome::Settling(id) = task.await.unwrap() {
                won.push(id);
            }
        }
        assert_eq!(won.len(), 1);
        let intents = outbox(&store).await;
        assert_eq!(intents.len(), 1, "a loser leaves nothing in the outbox");
        let stored = store.session(key(1)).await.unwrap().unwrap();
        assert_eq!((stored.state, stored.settle_intent), (SessionState::Settling, Some(won[0])));
    })
    .await;
}

#[tokio::test]
async fn a_refused_intent_leaves_the_session_open() {
    each_with_session(async |store| {
        let mut other = intent("taken");
        other.gas_limit = None;
        store.submit_intent(other).await.unwrap();
        let error = store.settle_session(key(1), "ended", Some(intent("taken"))).await.unwrap_err();
        assert!(matches!(error, StoreError::KeyConflict { .. }));
        assert_eq!(store.session(key(1)).await.unwrap().unwrap().state, SessionState::Open);
    })
    .await;
}

#[tokio::test]
async fn a_dead_settlement_can_be_replaced_and_a_live_one_not() {
    each_with_session(async |store| {
        let first = store.settle_session(key(1), "ended", Some(intent("1"))).await.unwrap();
        let SettleOutcome::Settling(first) = first else { panic!("{first:?}") };
        let again = store.settle_session(key(1), "again", Some(intent("2"))).await.unwrap();
        let state = SessionState::Settling;
        assert_eq!(again, SettleOutcome::AlreadyEnded { state, intent: Some(first) });
        let failure = Failure { code: FailureCode::Reverted, detail: String::new() };
        store.record_failure(fence(&*store).await, first, failure).await.unwrap();
        let second = store.settle_session(key(1), "again", Some(intent("2"))).await.unwrap();
        assert!(matches!(second, SettleOutcome::Settling(id) if id != first), "{second:?}");
    })
    .await;
}

#[tokio::test]
async fn closing_figures_are_kept_once_from_any_state() {
    each_with_session(async |store| {
        assert_eq!(store.finish_session(key(1), closing()).await.unwrap(), Transition::Done);
        let mut other = closing();
        other.paid = amount(1);
        assert_eq!(store.finish_session(key(1), other).await.unwrap(), Transition::Already);
        let settled = store.sessions_in(SessionState::Settled).await.unwrap();
        assert_eq!(settled.len(), 1);
        assert_eq!(settled[0].closing, Some(closing()));
        let outcome = store.settle_session(key(1), "late", Some(intent("late"))).await.unwrap();
        assert!(matches!(outcome, SettleOutcome::AlreadyEnded { intent: None, .. }));
        assert_eq!(outbox(&store).await, []);
    })
    .await;
}

#[tokio::test]
async fn limits_of_a_queued_intent_can_be_changed_and_of_no_other() {
    each_with_session(async |store| {
        let settling = store.settle_session(key(1), "ended", Some(intent("1"))).await.unwrap();
        let SettleOutcome::Settling(queued) = settling else { panic!("{settling:?}") };
        let signed = store.submit_intent(intent("2")).await.unwrap().id();
        let fence = fence(&*store).await;
        let bound = crate::samples::attempt(&[signed], 0, 1);
        store.record_attempt(fence, bound).await.unwrap();
        let (max_cost, worth) = (Some(U256::from(77)), None);
        let limits = [queued, signed].map(|id| Limits { id, max_cost, worth });
        assert_eq!(store.limit_queued(limits.to_vec()).await.unwrap(), 1);
        let now = store.intent(queued).await.unwrap().unwrap().request;
        assert_eq!(now, NewIntent { max_cost, worth, ..intent("1") });
        assert_eq!(store.intent(signed).await.unwrap().unwrap().request, intent("2"));
        let listed = store.queued(crate::samples::LANE, None, 9).await.unwrap();
        assert_eq!(listed[0].request.max_cost, max_cost, "an engine reads it so");
    })
    .await;
}

#[tokio::test]
async fn every_intent_is_listed_beyond_the_first_page() {
    let store = Store::open_in_memory().unwrap();
    let writes = (0..1001).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.submit_intent(intent(&n.to_string())).await.unwrap() })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!(store.intents(IntentFilter::default()).await.unwrap().len(), 1000);
    let all = all_intents(&store, IntentFilter::default()).await.unwrap();
    assert!(all.len() == 1001 && all.is_sorted_by_key(|intent| intent.id));
    let newest = newest_intents(&store, IntentFilter::default(), 3).await.unwrap();
    assert_eq!(newest, all[998..]);
    let failed = IntentFilter { chain_id: Some(ChainId(1)), ..IntentFilter::default() };
    assert_eq!(all_intents(&store, failed).await.unwrap(), []);
}
