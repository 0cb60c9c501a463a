//! What every `EngineStore` must do.

use core::time::Duration;
use std::sync::Arc;

use capstan_base::{Address, B256, U256};
use capstan_store::{
    Broadcast, BroadcastNote, EngineStore, Failure, FailureCode, IntentFilter, IntentId,
    IntentOutcome, IntentState, ItemEnd, LaneKey, Place, StoreError,
};

use crate::samples::{CHAIN, LANE, attempt, fence, inclusion, intent};
use crate::stores::each_store;

const LEASE: Duration = Duration::from_secs(60);

async fn submit(store: &Arc<dyn EngineStore>, key: &str) -> IntentId {
    store.submit_intent(intent(key)).await.unwrap().id()
}

async fn submit_many(store: &Arc<dyn EngineStore>, keys: [&str; 3]) -> Vec<IntentId> {
    let mut ids = Vec::new();
    for key in keys {
        ids.push(submit(store, key).await);
    }
    ids
}

async fn state(store: &Arc<dyn EngineStore>, id: IntentId) -> IntentState {
    store.intent(id).await.unwrap().unwrap().state
}

fn note(tx: u8, broadcast: Broadcast, detail: Option<&str>) -> Vec<BroadcastNote> {
    let tx_hash = B256::repeat_byte(tx);
    vec![BroadcastNote { tx_hash, broadcast, detail: detail.map(str::to_owned) }]
}

#[tokio::test]
async fn a_key_names_one_intent_and_one_payload() {
    each_store(async |store| {
        let first = store.submit_intent(intent("a")).await.unwrap();
        let IntentOutcome::Created(id) = first else { panic!("{first:?}") };
        assert_eq!(store.submit_intent(intent("a")).await.unwrap(), IntentOutcome::Existing(id));
        let mut other = intent("a");
        other.worth = None;
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
        let fence = fence(&*store).await;
        let (first, second) = (submit(&store, "a").await, submit(&store, "b").await);
        let bound = store.record_attempt(fence, attempt(&[first], 4, 1)).await.unwrap();
        assert_eq!(bound.number, 0);
        let again = store.record_attempt(fence, attempt(&[first], 4, 2)).await.unwrap();
        assert_eq!((again.flight, again.number), (bound.flight, 1));
        let same = store.record_attempt(fence, attempt(&[first], 4, 2)).await.unwrap();
        assert_eq!(same, again, "same hash");
        let taken = store.record_attempt(fence, attempt(&[second], 4, 3)).await.unwrap_err();
        assert!(matches!(taken, StoreError::NonceTaken { nonce: 4, .. }), "{taken}");
        let moved = store.record_attempt(fence, attempt(&[first], 5, 4)).await.unwrap_err();
        assert!(matches!(moved, StoreError::WrongIntentState { .. }), "{moved}");
        let empty = store.record_attempt(fence, attempt(&[], 6, 5)).await.unwrap_err();
        assert!(matches!(empty, StoreError::NoIntents), "{empty}");

        let snapshot = store.lane_snapshot(LANE).await.unwrap();
        assert_eq!(snapshot.next_nonce, 5);
        let [flight] = &snapshot.flights[..] else { panic!("{snapshot:?}") };
        assert_eq!((flight.id, flight.nonce, flight.inclusion), (bound.flight, 4, None));
        assert_eq!(flight.intents.len(), 1);
        assert_eq!(flight.attempts.len(), 2);
        assert_eq!(flight.attempts[0].signed, attempt(&[first], 4, 1).signed);
        assert_eq!(flight.attempts[0].broadcast, Broadcast::Signed);
        let queued = store.queued(LANE, None, 10).await.unwrap();
        assert_eq!(queued.iter().map(|intent| intent.id).collect::<Vec<_>>(), [second]);
        assert_eq!(store.queued(LANE, Some(second), 10).await.unwrap(), []);
        assert_eq!(store.open_lanes().await.unwrap(), [LANE]);
        let place = Place { flight: bound.flight, nonce: 4, items: 1 };
        assert_eq!(store.intent(first).await.unwrap().unwrap().place, Some(place));
    })
    .await;
}

#[tokio::test]
async fn ten_intents_race_for_a_nonce_and_one_gets_it() {
    each_store(async |store| {
        let fence = fence(&*store).await;
        let mut tasks = Vec::new();
        for salt in 0..10u8 {
            let id = submit(&store, &salt.to_string()).await;
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                store.record_attempt(fence, attempt(&[id], 0, salt)).await.is_ok()
            }));
        }
        let mut won = 0;
        for task in tasks {
            won += u32::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(store.lane_snapshot(LANE).await.unwrap().flights.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_flight_goes_to_a_block_back_and_to_finality_with_all_it_carries() {
    each_store(async |store| {
        let fence = fence(&*store).await;
        let ids = submit_many(&store, ["a", "b", "c"]).await;
        let flight = store.record_attempt(fence, attempt(&ids, 0, 1)).await.unwrap().flight;
        store.note_broadcasts(note(1, Broadcast::Refused, Some("no"))).await.unwrap();
        store.record_inclusion(fence, flight, inclusion(1, 10)).await.unwrap();
        let included = store.intent(ids[1]).await.unwrap().unwrap();
        assert_eq!(included.inclusion, Some(inclusion(1, 10)));
        assert_eq!(included.state, IntentState::Included);
        let filter = IntentFilter { state: Some(IntentState::Included), ..IntentFilter::default() };
        assert_eq!(store.intents(filter).await.unwrap().len(), 3);
        store.record_reorg(fence, flight, "block 10".to_owned()).await.unwrap();
        assert_eq!(state(&store, ids[2]).await, IntentState::InFlight);
        store.record_inclusion(fence, flight, inclusion(1, 11)).await.unwrap();
        let ends = vec![
            (ids[0], ItemEnd::Final { success: true }),
            (ids[1], ItemEnd::Queued("it failed in the batch".to_owned())),
            (ids[2], ItemEnd::Final { success: false }),
        ];
        let short = ends[..2].to_vec();
        let wrong = store.record_final(fence, flight, inclusion(1, 11), short).await.unwrap_err();
        assert!(matches!(wrong, StoreError::OtherItems { .. }), "{wrong}");
        for block in [11, 12] {
            let again = store.record_final(fence, flight, inclusion(1, block), ends.clone());
            again.await.unwrap();
        }
        let done = store.intent(ids[0]).await.unwrap().unwrap();
        assert_eq!((done.state, done.inclusion), (IntentState::Final, Some(inclusion(1, 11))));
        assert_eq!(done.place.unwrap().items, 3);
        let isolated = store.intent(ids[1]).await.unwrap().unwrap();
        assert_eq!((isolated.state, isolated.place), (IntentState::Queued, None));
        assert_eq!(isolated.spent, inclusion(1, 11).share(3), "once, however often it is told");
        assert_eq!((done.spent, inclusion(1, 11).share(3).is_zero()), (U256::ZERO, false));
        let failed = store.intent(ids[2]).await.unwrap().unwrap();
        assert!(failed.is_dead(), "the batch succeeded, the item did not");
        let reorg = store.record_reorg(fence, flight, String::new()).await;
        assert!(reorg.is_err(), "final is final");
        let snapshot = store.lane_snapshot(LANE).await.unwrap();
        assert_eq!((snapshot.final_below, snapshot.flights), (1, vec![]));
        let mined = store.mined_attempts(LANE, 0..9).await.unwrap();
        assert_eq!(mined.iter().map(|one| (one.nonce, one.number)).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(store.mined_attempts(LANE, 1..9).await.unwrap(), []);
        assert_eq!(store.open_lanes().await.unwrap(), [LANE], "one is queued again");
        let attempts = store.attempts(ids[0]).await.unwrap();
        assert_eq!(attempts[0].broadcast_detail.as_deref(), Some("no"));
        let words = |rows: Vec<capstan_store::HistoryRow>| {
            rows.into_iter().map(|row| row.what).collect::<Vec<_>>()
        };
        assert_eq!(words(store.history(ids[0]).await.unwrap()), ["reorged"]);
        assert_eq!(words(store.history(ids[1]).await.unwrap()), ["reorged", "isolated"]);
    })
    .await;
}

#[tokio::test]
async fn every_attempt_of_a_nonce_carries_the_same_intents() {
    each_store(async |store| {
        let fence = fence(&*store).await;
        let ids = submit_many(&store, ["a", "b", "c"]).await;
        store.record_attempt(fence, attempt(&ids[..2], 0, 1)).await.unwrap();
        for others in [&ids[..1], &ids[..], &[ids[1], ids[0]], &ids[2..]] {
            let error = store.record_attempt(fence, attempt(others, 0, 2)).await.unwrap_err();
            assert!(matches!(error, StoreError::NonceTaken { .. }), "{error}");
        }
        // One of them is bound already: none of the others is bound by the failed write.
        assert!(store.record_attempt(fence, attempt(&ids[1..], 1, 3)).await.is_err());
        assert_eq!(state(&store, ids[2]).await, IntentState::Queued);
    })
    .await;
}

#[tokio::test]
async fn intents_of_a_lost_flight_are_free_for_another_nonce() {
    each_store(async |store| {
        let fence = fence(&*store).await;
        let ids = submit_many(&store, ["a", "b", "c"]).await;
        let lost = store.record_attempt(fence, attempt(&ids, 0, 1)).await.unwrap().flight;
        store.record_lost(fence, lost, "nonce 0 used by another".to_owned()).await.unwrap();
        store.record_lost(fence, lost, "again".to_owned()).await.unwrap();
        assert_eq!(store.history(ids[0]).await.unwrap().len(), 1, "told once");
        assert_eq!(store.intent(ids[0]).await.unwrap().unwrap().place, None);
        assert_eq!(store.lane_snapshot(LANE).await.unwrap().flights, []);
        let included = store.record_inclusion(fence, lost, inclusion(1, 3)).await;
        assert!(included.is_err(), "lost is lost");
        let next = store.record_attempt(fence, attempt(&ids[..1], 1, 2)).await.unwrap();
        assert_eq!(next.number, 0);
        assert_eq!(store.attempts(ids[0]).await.unwrap().len(), 2, "the lost one is remembered");
        assert_eq!(store.history(ids[0]).await.unwrap()[0].what, "requeued");
        // The transaction that had used the nonce may be reorganised away.
        store.record_attempt(fence, attempt(&ids[1..2], 0, 3)).await.unwrap();
        let again = store.intent(ids[1]).await.unwrap().unwrap().place.unwrap().flight;
        store.record_lost(fence, again, "once more".to_owned()).await.unwrap();
        let same = store.record_attempt(fence, attempt(&ids[1..2], 0, 3)).await.unwrap();
        assert_eq!(same.number, 0, "the same bytes, in another flight");
        assert_ne!(same.flight, again);
    })
    .await;
}

#[tokio::test]
async fn only_a_queued_intent_can_fail() {
    each_store(async |store| {
        let fence = fence(&*store).await;
        let failure = Failure { code: FailureCode::Reverted, detail: "0x01".to_owned() };
        let (queued, bound) = (submit(&store, "a").await, submit(&store, "b").await);
        for _ in 0..2 {
            store.record_failure(fence, queued, failure.clone()).await.unwrap();
        }
        assert_eq!(store.intent(queued).await.unwrap().unwrap().failure, Some(failure.clone()));
        store.record_attempt(fence, attempt(&[bound], 0, 1)).await.unwrap();
        assert!(store.record_failure(fence, bound, failure.clone()).await.is_err());
        let unknown = store.record_failure(fence, IntentId(99), failure).await.unwrap_err();
        assert!(matches!(unknown, StoreError::UnknownIntent(IntentId(99))));
    })
    .await;
}

#[tokio::test]
async fn a_lane_has_one_owner_and_an_old_fence_writes_nothing() {
    each_store(async |store| {
        let first = fence(&*store).await;
        assert_eq!(store.acquire_lane(LANE, "other", LEASE).await.unwrap(), None);
        assert!(store.renew_lane(first, Duration::ZERO).await.unwrap());
        let second = store.acquire_lane(LANE, "other", LEASE).await.unwrap().unwrap();
        assert!(second.epoch > first.epoch);
        assert!(!store.renew_lane(first, LEASE).await.unwrap());

        let id = submit(&store, "a").await;
        let failure = Failure { code: FailureCode::Reverted, detail: String::new() };
        let flight = store.record_attempt(second, attempt(&[id], 0, 1)).await.unwrap().flight;
        let ends = vec![(id, ItemEnd::Final { success: true })];
        for refused in [
            store.record_attempt(first, attempt(&[id], 0, 2)).await.map(drop),
            store.record_inclusion(first, flight, inclusion(1, 3)).await,
            store.record_final(first, flight, inclusion(1, 3), ends).await,
            store.record_reorg(first, flight, String::new()).await,
            store.record_lost(first, flight, String::new()).await,
            store.record_failure(first, id, failure).await,
        ] {
            assert!(matches!(refused, Err(StoreError::Fenced { lane }) if lane == LANE));
        }
        assert_eq!(state(&store, id).await, IntentState::InFlight);
        assert_eq!(store.attempts(id).await.unwrap().len(), 1);

        store.release_lane(first).await.unwrap();
        assert_eq!(store.acquire_lane(LANE, "third", LEASE).await.unwrap(), None, "not his");
        store.release_lane(second).await.unwrap();
        assert!(store.record_inclusion(second, flight, inclusion(1, 3)).await.is_err());
        let third = store.acquire_lane(LANE, "third", LEASE).await.unwrap().unwrap();
        assert!(third.epoch > second.epoch);
        store.record_inclusion(third, flight, inclusion(1, 3)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn ten_engines_race_for_a_lane_and_one_gets_it() {
    each_store(async |store| {
        let tasks: Vec<_> = (0..10)
            .map(|engine| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    store.acquire_lane(LANE, &format!("engine {engine}"), LEASE).await.unwrap()
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += u32::from(task.await.unwrap().is_some());
        }
        assert_eq!(won, 1);
    })
    .await;
}

#[tokio::test]
async fn a_fence_of_one_lane_does_not_write_for_another() {
    each_store(async |store| {
        let other = LaneKey { chain_id: CHAIN, sender: Address::repeat_byte(0xab) };
        let foreign = store.acquire_lane(other, "engine", LEASE).await.unwrap().unwrap();
        let own = fence(&*store).await;
        let id = submit(&store, "a").await;
        assert!(store.record_attempt(foreign, attempt(&[id], 0, 1)).await.is_err());
        let flight = store.record_attempt(own, attempt(&[id], 0, 1)).await.unwrap().flight;
        assert!(store.record_inclusion(foreign, flight, inclusion(1, 3)).await.is_err());
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
