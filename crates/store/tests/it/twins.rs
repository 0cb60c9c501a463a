//! The store in memory and the database, given the same writes, answer the same.

use core::time::Duration;

use capstan_base::{B256, UnixSeconds};
use capstan_store::{
    Broadcast, BroadcastNote, EngineStore, Failure, FailureCode, Fence, FlightId, IntentFilter,
    IntentId, IntentState, ItemEnd, MemoryStore, Store,
};
use proptest::prelude::*;

use crate::samples::{LANE, attempt, inclusion, intent};

#[derive(Clone, Debug)]
enum Write {
    Submit(u8),
    Acquire(bool),
    Renew(u64),
    Release(u64),
    Attempt { epoch: u64, intents: Vec<u64>, nonce: u64, hash: u8 },
    Broadcast(u8),
    Include(u64, u64),
    Reorg(u64, u64),
    Final { epoch: u64, flight: u64, ends: Vec<(u64, u8)> },
    Lost(u64, u64),
    Fail(u64, u64),
    Note(u64, bool),
}

fn write() -> impl Strategy<Value = Write> {
    // Mostly the first epoch, so that most writes pass.
    let epoch = || prop_oneof![6 => Just(1u64), 1 => Just(2u64)];
    let ids = || prop::collection::vec(1..5u64, 0..3);
    prop_oneof![
        4 => (0..5u8).prop_map(Write::Submit),
        1 => any::<bool>().prop_map(Write::Acquire),
        1 => epoch().prop_map(Write::Renew),
        1 => epoch().prop_map(Write::Release),
        8 => (epoch(), ids(), 0..4u64, 0..12u8)
            .prop_map(|(epoch, intents, nonce, hash)| Write::Attempt { epoch, intents, nonce, hash }),
        1 => (0..12u8).prop_map(Write::Broadcast),
        3 => (epoch(), 1..5u64).prop_map(|(epoch, flight)| Write::Include(epoch, flight)),
        2 => (epoch(), 1..5u64).prop_map(|(epoch, flight)| Write::Reorg(epoch, flight)),
        3 => (epoch(), 1..5u64, prop::collection::vec((1..5u64, 0..4u8), 0..3))
            .prop_map(|(epoch, flight, ends)| Write::Final { epoch, flight, ends }),
        2 => (epoch(), 1..5u64).prop_map(|(epoch, flight)| Write::Lost(epoch, flight)),
        1 => (epoch(), 1..5u64).prop_map(|(epoch, id)| Write::Fail(epoch, id)),
        1 => (1..5u64, any::<bool>()).prop_map(|(id, same)| Write::Note(id, same)),
    ]
}

/// What a store answers to a write, as text.
async fn apply(store: &dyn EngineStore, write: &Write) -> String {
    let fence = |epoch: &u64| Fence { lane: LANE, epoch: *epoch };
    let failure = || Failure { code: FailureCode::Reverted, detail: "0x".to_owned() };
    let hour = Duration::from_secs(3600);
    let ids = |ids: &[u64]| ids.iter().copied().map(IntentId).collect::<Vec<_>>();
    match write {
        Write::Submit(key) => format!("{:?}", store.submit_intent(intent(&key.to_string())).await),
        Write::Acquire(first) => {
            let owner = if *first { "first" } else { "second" };
            format!("{:?}", store.acquire_lane(LANE, owner, hour).await)
        }
        Write::Renew(epoch) => format!("{:?}", store.renew_lane(fence(epoch), hour).await),
        Write::Release(epoch) => format!("{:?}", store.release_lane(fence(epoch)).await),
        Write::Attempt { epoch, intents, nonce, hash } => {
            let new = attempt(&ids(intents), *nonce, *hash);
            format!("{:?}", store.record_attempt(fence(epoch), new).await)
        }
        Write::Broadcast(hash) => {
            let (tx_hash, detail) = (B256::repeat_byte(*hash), Some("no".to_owned()));
            let note = BroadcastNote { tx_hash, broadcast: Broadcast::Refused, detail };
            format!("{:?}", store.note_broadcasts(vec![note]).await)
        }
        Write::Include(epoch, flight) => {
            let done = store.record_inclusion(fence(epoch), FlightId(*flight), inclusion(1, 7));
            format!("{:?}", done.await)
        }
        Write::Reorg(epoch, flight) => {
            let done = store.record_reorg(fence(epoch), FlightId(*flight), "gone".to_owned());
            format!("{:?}", done.await)
        }
        Write::Final { epoch, flight, ends } => {
            let end = |kind: &u8| match kind {
                0 => ItemEnd::Queued("alone".to_owned()),
                1 => ItemEnd::Failed(failure()),
                2 => ItemEnd::Final { success: false },
                _ => ItemEnd::Final { success: true },
            };
            let ends = ends.iter().map(|(id, kind)| (IntentId(*id), end(kind))).collect();
            let (fence, flight) = (fence(epoch), FlightId(*flight));
            format!("{:?}", store.record_final(fence, flight, inclusion(2, 8), ends).await)
        }
        Write::Lost(epoch, flight) => {
            let done = store.record_lost(fence(epoch), FlightId(*flight), "lost".to_owned());
            format!("{:?}", done.await)
        }
        Write::Fail(epoch, id) => {
            format!("{:?}", store.record_failure(fence(epoch), IntentId(*id), failure()).await)
        }
        Write::Note(id, same) => {
            let detail = if *same { "same" } else { "other" };
            format!("{:?}", store.note(IntentId(*id), "noted", detail.to_owned()).await)
        }
    }
}

/// All that can be read, clocks left out.
async fn picture(store: &dyn EngineStore) -> String {
    let still = |intents: &mut [capstan_store::Intent]| {
        for intent in intents {
            (intent.created_at, intent.updated_at) =
                (UnixSeconds::default(), UnixSeconds::default());
        }
    };
    let mut text = String::new();
    for state in [None, Some(IntentState::Included), Some(IntentState::Failed)] {
        let filter = IntentFilter { state, ..IntentFilter::default() };
        let mut intents = store.intents(filter).await.unwrap();
        still(&mut intents);
        for intent in &intents {
            text += &format!("{:?}\n", store.attempts(intent.id).await.unwrap());
            for row in store.history(intent.id).await.unwrap() {
                text += &format!("{} {}\n", row.what, row.detail);
            }
        }
        text += &format!("{intents:?}\n");
    }
    let mut snapshot = store.lane_snapshot(LANE).await.unwrap();
    snapshot.flights.iter_mut().for_each(|flight| still(&mut flight.intents));
    let mut queued = store.queued(LANE, Some(IntentId(1)), 2).await.unwrap();
    still(&mut queued);
    text + &format!("{snapshot:?}\n{queued:?}\n{:?}\n", store.open_lanes().await.unwrap())
}

/// The database's own words for a broken constraint are its own.
fn without_source(answer: &str) -> &str {
    answer.split(", source").next().unwrap_or(answer)
}

async fn compare(writes: &[Write]) -> Result<(), TestCaseError> {
    let (database, memory) = (Store::open_in_memory().unwrap(), MemoryStore::new());
    let start = [0, 1, 2].map(Write::Submit);
    for write in start.iter().chain([&Write::Acquire(true)]).chain(writes) {
        let expected = apply(&database, write).await;
        let found = apply(&memory, write).await;
        prop_assert_eq!(without_source(&found), without_source(&expected), "{:?}", write);
    }
    let expected = picture(&database).await;
    prop_assert_eq!(picture(&memory).await, expected);
    Ok(())
}

proptest! {
    #[test]
    fn memory_answers_as_the_database_does(writes in prop::collection::vec(write(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(&writes))?;
    }
}
