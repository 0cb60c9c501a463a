//! The queue shows intents in order, and word of a new one reaches other machines.

use core::time::Duration;

use super::*;
use crate::engine_store::EngineStore;
use crate::postgres::intents::insert_intent;

async fn keys(store: &PgStore, after: Option<IntentId>) -> Vec<String> {
    let queued = store.queued(LANE, after, 100).await.unwrap();
    queued.into_iter().map(|intent| intent.request.idempotency_key).collect()
}

#[tokio::test]
async fn an_intent_that_commits_late_is_not_passed_over() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let (a, b) = (machine(&url, "a").await, machine(&url, "b").await);
    let mut slow = a.pool.begin().await.unwrap();
    let first = insert_intent(&mut slow, &intent("first")).await.unwrap().id();
    // Submissions do not wait for each other.
    let submit = b.submit_intent(intent("second"));
    let second = tokio::time::timeout(WHILE, submit).await.expect("it waited").unwrap().id();
    assert!(first < second);
    let reader = tokio::spawn({
        let b = b.clone();
        async move { keys(&b, None).await }
    });
    tokio::time::sleep(WHILE).await;
    assert!(!reader.is_finished(), "the queue was read without the older intent");
    slow.commit().await.unwrap();
    assert_eq!(reader.await.unwrap(), ["first", "second"]);
    assert_eq!(keys(&b, Some(second)).await, [] as [&str; 0]);
}

#[tokio::test]
async fn word_of_an_intent_reaches_another_machine() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let (a, b) = (machine(&url, "a").await, machine(&url, "b").await);
    b.submitted(LANE).await;
    // What was said before b listened may be told once more.
    while tokio::time::timeout(WHILE, b.submitted(LANE)).await.is_ok() {}
    let other = LaneKey { chain_id: ChainId(1), ..LANE };
    b.submitted(other).await;
    while tokio::time::timeout(WHILE, b.submitted(other)).await.is_ok() {}

    a.submitted(LANE).await;
    while tokio::time::timeout(WHILE, a.submitted(LANE)).await.is_ok() {}

    // Said while nobody waits, it is kept.
    a.submit_intent(intent("1")).await.unwrap();
    tokio::time::sleep(WHILE).await;
    let word = tokio::time::timeout(Duration::from_secs(2), b.submitted(LANE)).await;
    word.expect("no word came");
    let foreign = tokio::time::timeout(WHILE, b.submitted(other)).await;
    assert!(foreign.is_err(), "word of one lane woke another");
    let own = tokio::time::timeout(WHILE, a.submitted(LANE)).await;
    assert!(own.is_err(), "a machine heard its own word");
}
