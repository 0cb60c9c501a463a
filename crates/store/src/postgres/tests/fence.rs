//! A take-over cannot fall between a writer's check and its commit.

use core::time::Duration;

use super::*;
use crate::engine_store::EngineStore;
use crate::error::StoreError;
use crate::lanes::Fence;
use crate::postgres::attempts::record_attempt;
use crate::postgres::lanes::{acquire, check_fence};

const LEASE: Duration = Duration::from_secs(60);

/// Machine "a" holds the lane, with a lease that is over; "b" may take it.
async fn two_machines(server: &Server) -> (PgStore, PgStore, Fence) {
    let url = url(server);
    let (a, b) = (machine(&url, "a").await, machine(&url, "b").await);
    let fence = a.acquire_lane(LANE, "a", LEASE).await.unwrap().unwrap();
    assert_eq!(b.acquire_lane(LANE, "b", LEASE).await.unwrap(), None);
    assert!(a.renew_lane(fence, Duration::ZERO).await.unwrap());
    (a, b, fence)
}

fn take_over(b: &PgStore) -> tokio::task::JoinHandle<Fence> {
    let b = b.clone();
    tokio::spawn(async move { b.acquire_lane(LANE, "b", LEASE).await.unwrap().unwrap() })
}

#[tokio::test]
async fn a_writer_between_check_and_commit_is_waited_for_and_its_write_is_seen() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let (a, b, fence) = two_machines(&server).await;
    let id = a.submit_intent(intent("a")).await.unwrap().id();

    let mut writer = a.pool.begin().await.unwrap();
    record_attempt(&mut writer, &(fence, attempt(id, 0, 1))).await.unwrap();
    let taker = take_over(&b);
    tokio::time::sleep(WHILE).await;
    assert!(!taker.is_finished(), "the lane was taken while a write of its holder was under way");
    // A renewal, which such a writer must not hold up either, goes past it.
    assert!(a.renew_lane(fence, Duration::ZERO).await.unwrap());
    writer.commit().await.unwrap();

    let newer = taker.await.unwrap();
    assert!(newer.epoch > fence.epoch);
    let snapshot = b.lane_snapshot(LANE).await.unwrap();
    assert_eq!(snapshot.next_nonce, 1, "who takes the lane sees what was written for it");
    let late = a.record_attempt(fence, attempt(id, 0, 2)).await.unwrap_err();
    assert!(matches!(late, StoreError::Fenced { lane: LANE }), "{late}");
}

#[tokio::test]
async fn a_writer_that_comes_during_a_take_over_is_refused_after_it() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let (a, b, fence) = two_machines(&server).await;
    let mut taker = b.pool.begin().await.unwrap();
    let taken = acquire(&mut taker, &(LANE, "b".to_owned(), LEASE)).await.unwrap();
    assert!(taken.is_some());
    let writer = tokio::spawn(async move {
        let mut writer = a.pool.begin().await.unwrap();
        check_fence(&mut writer, fence).await
    });
    tokio::time::sleep(WHILE).await;
    assert!(!writer.is_finished(), "the check did not wait for the take-over's outcome");
    taker.commit().await.unwrap();
    let refused = writer.await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { lane: LANE }), "{refused}");
}

#[tokio::test]
async fn a_writer_during_a_take_over_that_fails_goes_on() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let (a, b, fence) = two_machines(&server).await;
    let mut taker = b.pool.begin().await.unwrap();
    acquire(&mut taker, &(LANE, "b".to_owned(), LEASE)).await.unwrap();
    let writer = tokio::spawn(async move {
        let mut writer = a.pool.begin().await.unwrap();
        check_fence(&mut writer, fence).await
    });
    tokio::time::sleep(WHILE).await;
    taker.rollback().await.unwrap();
    writer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_writer_that_stands_still_is_ended_and_writes_nothing() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let (a, b, fence) = two_machines(&server).await;
    let id = a.submit_intent(intent("a")).await.unwrap().id();
    let mut writer = a.pool.begin().await.unwrap();
    record_attempt(&mut writer, &(fence, attempt(id, 0, 1))).await.unwrap();
    // It says no more, as a machine that was stopped or cut off.
    let taken = tokio::time::timeout(Duration::from_secs(20), take_over(&b)).await;
    taken.expect("a silent writer kept the lane").unwrap();
    let error = writer.commit().await.unwrap_err();
    assert!(crate::DatabaseError::from(error).is_retryable());
    assert_eq!(b.attempts(id).await.unwrap(), []);
}

#[tokio::test]
async fn writers_of_one_fence_do_not_wait_for_each_other() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let a = machine(&url, "a").await;
    let fence = a.acquire_lane(LANE, "a", LEASE).await.unwrap().unwrap();
    let first = a.submit_intent(intent("1")).await.unwrap().id();
    let second = a.submit_intent(intent("2")).await.unwrap().id();
    let mut slow = a.pool.begin().await.unwrap();
    record_attempt(&mut slow, &(fence, attempt(first, 0, 1))).await.unwrap();
    let other = a.record_attempt(fence, attempt(second, 1, 2));
    tokio::time::timeout(WHILE, other).await.expect("it waited").unwrap();
    slow.commit().await.unwrap();
    assert_eq!(a.lane_snapshot(LANE).await.unwrap().flights.len(), 2);
}

#[tokio::test]
async fn one_attempt_at_two_machines_hands_is_one_flight() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let a = machine(&url, "a").await;
    let fence = a.acquire_lane(LANE, "a", LEASE).await.unwrap().unwrap();
    let id = a.submit_intent(intent("1")).await.unwrap().id();
    let mut slow = a.pool.begin().await.unwrap();
    let first = record_attempt(&mut slow, &(fence, attempt(id, 0, 1))).await.unwrap();
    let again = tokio::spawn({
        let a = a.clone();
        async move { a.record_attempt(fence, attempt(id, 0, 2)).await.unwrap() }
    });
    tokio::time::sleep(WHILE).await;
    assert!(!again.is_finished());
    slow.commit().await.unwrap();
    let again = again.await.unwrap();
    assert_eq!((again.flight, again.number), (first.flight, 1));
}
