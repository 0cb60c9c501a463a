//! What every `EngineStore` must do. A further implementation adds itself to `each_store`.

use std::sync::Arc;

use capstan_base::B256;
use capstan_store::{
    Broadcast, EngineStore, Failure, FailureCode, IntentFilter, IntentId, IntentOutcome,
    IntentState, Store, StoreError,
};

use crate::samples::{LANE, attempt, inclusion, intent};

/// Runs a check on every implementation.
async fn each_store<F: Future<Output = ()>>(check: impl Fn(Arc<dyn EngineStore>) -> F) {
    check(Arc::new(Store::open_in_memory().unwrap())).await;
    let directory = tempfile::tempdir().unwrap();
    check(Arc::new(Store::open(directory.path().join("capstan.db")).unwrap())).await;
}

async fn submit(store: &Arc<dyn EngineStore>, key: &str) -> IntentId {
    store.submit_intent(intent(key)).await.unwrap().id()
}

async fn state(store: &Arc<dyn EngineStore>, id: IntentId) -> IntentState {
    store.intent(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_key_names_one_intent_and_one_payload() {
    each_store(async |store| {
        let first = store.submit_intent(intent("a")).await.unwrap();
        let IntentOutcome::Created(id) = first else { panic!("{first:?}") };
        assert_eq!(store.submit_intent(intent("a")).await.unwrap(), IntentOutcome::Existing(id));
        let mut other = intent("a");
        other.gas_limit = None;
        let error = store.submit_intent(other).await.unwrap_err();
        assert!(matches!(error, StoreError::KeyConflict { existing, .. } if existing == id));
        assert_eq!(store.intent(id).await.unwrap().unwrap().request, intent("a"));
    })
    .await;
}

#[tokio::test]
async fn ten_submissions_race_and_one_creates() {
    each_store(async |store| {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.submit_intent(intent("race")).await.unwrap() })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            created += u32::from(matches!(task.await.unwrap(), IntentOutcome::Created(_)));
        }
        assert_eq!(created, 1);
    })
    .await;
}

#[tokio::test]
async fn the_first_attempt_binds_the_nonce_and_moves_the_lane() {
    each_store(async |store| {
        let (first, second) = (submit(&store, "a").await, submit(&store, "b").await);
        assert_eq!(store.record_attempt(attempt(first, 4, 1)).await.unwrap(), 0);
        assert_eq!(store.record_attempt(attempt(first, 4, 2)).await.unwrap(), 1);
        assert_eq!(store.record_attempt(attempt(first, 4, 2)).await.unwrap(), 1, "same hash");
        let taken = store.record_attempt(attempt(second, 4, 3)).await.unwrap_err();
        assert!(matches!(taken, StoreError::NonceTaken { nonce: 4, .. }), "{taken}");
        let moved = store.record_attempt(attempt(first, 5, 4)).await.unwrap_err();
        assert!(matches!(moved, StoreError::WrongIntentState { .. }), "{moved}");

        let snapshot = store.lane_snapshot(LANE).await.unwrap();
        assert_eq!(snapshot.next_nonce, 5);
        assert_eq!(snapshot.intents.len(), 2);
        assert_eq!(snapshot.intents[0].nonce, Some(4));
        assert_eq!(snapshot.intents[1].state, IntentState::Queued);
        assert_eq!(snapshot.attempts.len(), 2);
        assert_eq!(snapshot.attempts[0].signed, attempt(first, 4, 1));
        assert_eq!(snapshot.attempts[0].broadcast, Broadcast::Signed);
        assert_eq!(store.open_lanes().await.unwrap(), [LANE]);
    })
    .await;
}

#[tokio::test]
async fn ten_intents_race_for_a_nonce_and_one_gets_it() {
    each_store(async |store| {
        let mut tasks = Vec::new();
        for salt in 0..10u8 {
            let id = submit(&store, &salt.to_string()).await;
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                store.record_attempt(attempt(id, 0, salt)).await.is_ok()
            }));
        }
        let mut won = 0;
        for task in tasks {
            won += u32::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(store.lane_snapshot(LANE).await.unwrap().attempts.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_intent_goes_from_flight_to_block_back_and_to_finality() {
    each_store(async |store| {
        let id = submit(&store, "a").await;
        store.record_attempt(attempt(id, 0, 1)).await.unwrap();
        store
            .note_broadcast(B256::repeat_byte(1), Broadcast::Refused, Some("no".to_owned()))
            .await
            .unwrap();
        store.record_inclusion(id, inclusion(1, 10)).await.unwrap();
        assert_eq!(store.intent(id).await.unwrap().unwrap().inclusion, Some(inclusion(1, 10)));
        store.record_reorg(id, "block 10".to_owned()).await.unwrap();
        assert_eq!(state(&store, id).await, IntentState::InFlight);
        store.record_inclusion(id, inclusion(1, 11)).await.unwrap();
        store.record_final(id, inclusion(1, 11)).await.unwrap();
        store.record_final(id, inclusion(1, 12)).await.unwrap();
        let done = store.intent(id).await.unwrap().unwrap();
        assert_eq!((done.state, done.inclusion), (IntentState::Final, Some(inclusion(1, 11))));
        assert!(store.record_reorg(id, String::new()).await.is_err(), "final is final");
        assert_eq!(store.lane_snapshot(LANE).await.unwrap().final_below, 1);
        assert_eq!(store.open_lanes().await.unwrap(), []);
        let attempts = store.attempts(id).await.unwrap();
        assert_eq!(attempts[0].broadcast_detail.as_deref(), Some("no"));
        let history = store.history(id).await.unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].what, "reorged");
    })
    .await;
}

#[tokio::test]
async fn a_requeued_intent_is_free_for_another_nonce() {
    each_store(async |store| {
        let id = submit(&store, "a").await;
        store.record_attempt(attempt(id, 0, 1)).await.unwrap();
        store.requeue(id, "nonce 0 used by another".to_owned()).await.unwrap();
        assert_eq!(store.intent(id).await.unwrap().unwrap().nonce, None);
        assert_eq!(store.lane_snapshot(LANE).await.unwrap().attempts, []);
        assert_eq!(store.record_attempt(attempt(id, 1, 2)).await.unwrap(), 0);
        assert_eq!(store.attempts(id).await.unwrap().len(), 2, "the lost one is remembered");
        assert_eq!(store.history(id).await.unwrap()[0].what, "requeued");
    })
    .await;
}

#[tokio::test]
async fn only_a_queued_intent_can_fail() {
    each_store(async |store| {
        let failure = Failure { code: FailureCode::Reverted, detail: "0x01".to_owned() };
        let (queued, bound) = (submit(&store, "a").await, submit(&store, "b").await);
        store.record_failure(queued, failure.clone()).await.unwrap();
        assert_eq!(store.intent(queued).await.unwrap().unwrap().failure, Some(failure.clone()));
        store.record_attempt(attempt(bound, 0, 1)).await.unwrap();
        assert!(store.record_failure(bound, failure.clone()).await.is_err());
        let unknown = store.record_failure(IntentId(99), failure).await.unwrap_err();
        assert!(matches!(unknown, StoreError::UnknownIntent(IntentId(99))));
    })
    .await;
}

#[tokio::test]
async fn notes_do_not_repeat_and_lists_filter() {
    each_store(async |store| {
        let id = submit(&store, "a").await;
        for _ in 0..3 {
            store.note(id, "cap_reached", "1 wei".to_owned()).await.unwrap();
        }
        assert_eq!(store.history(id).await.unwrap().len(), 1);
        submit(&store, "b").await;
        let page = IntentFilter { after: Some(id), limit: Some(5), ..IntentFilter::default() };
        assert_eq!(store.intents(page).await.unwrap().len(), 1);
        let failed = IntentFilter { state: Some(IntentState::Failed), ..IntentFilter::default() };
        assert_eq!(store.intents(failed).await.unwrap(), []);
    })
    .await;
}
