//! Whom the pool reads from, by what the endpoints say of their heads and their chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capstan_base::ChainId;
use capstan_chain::rpc::PoolOptions;
use capstan_chain::types::Bytes;
use capstan_chain::{RpcPool, SendOutcome};
use serde_json::{Value, json};

use crate::fake::{CHAIN, Fake, Say};
use crate::{IMPATIENT, OPTIONS, eventually, pool, price};

async fn named(name: &str, head: u64) -> Fake {
    Fake::knowing(json!(name)).await.at(head)
}

async fn is_read(pool: &RpcPool, name: &str) -> bool {
    price(pool).await.is_ok_and(|found| found == name)
}

#[tokio::test]
async fn a_frozen_endpoint_is_left_and_comes_back_by_itself() {
    let (frozen, second, third) =
        (named("frozen", 100).await, named("second", 100).await, named("third", 100).await);
    let pool = pool(&[&frozen, &second, &third]);
    assert!(is_read(&pool, "frozen").await, "the first of equals");
    second.set_head(110);
    third.set_head(111);
    eventually("the freshest is read", async || is_read(&pool, "third").await).await;
    eventually("the frozen one is out of use", async || {
        price(&pool).await.unwrap();
        pool.endpoints().iter().map(|(_, used)| *used).eq([false, true, true])
    })
    .await;
    let before = frozen.asked();
    for _ in 0..10 {
        assert!(is_read(&pool, "third").await);
    }
    assert_eq!(frozen.asked(), before);
    frozen.set_head(111);
    eventually("it is back", async || is_read(&pool, "frozen").await).await;
}

#[tokio::test]
async fn the_first_read_knows_who_lags() {
    let (frozen, second, third) =
        (named("frozen", 100).await, named("second", 200).await, named("third", 201).await);
    assert!(is_read(&pool(&[&frozen, &second, &third]), "third").await);
    assert_eq!(frozen.asked(), 0);
}

#[tokio::test]
async fn one_far_ahead_of_all_others_is_not_believed() {
    let (liar, second, third) =
        (named("liar", 1_000_000).await, named("second", 100).await, named("third", 101).await);
    let pool = pool(&[&liar, &second, &third]);
    for _ in 0..5 {
        assert!(is_read(&pool, "third").await);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(liar.asked(), 0);
    assert_eq!(*pool.head().borrow(), 101);
}

#[tokio::test]
async fn of_two_the_one_ahead_is_read_once_it_shows_its_block() {
    let shows = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&shows);
    let ahead = Fake::start(move |method, params| match method {
        "eth_gasPrice" => Some(Say::Result(json!("ahead"))),
        "eth_getBlockByNumber" if shown.load(Ordering::SeqCst) => {
            Some(Say::Result(json!({ "number": params[0] })))
        }
        "eth_getBlockByNumber" => Some(Say::Result(Value::Null)),
        _ => None,
    })
    .await
    .at(500);
    let behind = named("behind", 100).await;
    let pool = pool(&[&ahead, &behind]);
    for _ in 0..10 {
        assert!(is_read(&pool, "behind").await, "so far it only says so");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    shows.store(true, Ordering::SeqCst);
    eventually("it is believed", async || is_read(&pool, "ahead").await).await;
    let before = behind.asked();
    assert!(is_read(&pool, "ahead").await);
    assert_eq!(behind.asked(), before);
    behind.set_head(495);
    eventually("the other is back in use", async || {
        price(&pool).await.unwrap();
        pool.endpoints().iter().all(|(_, used)| *used)
    })
    .await;
}

async fn a_changed_chain_is_noticed(recheck: Duration, head: u64) {
    let (changing, steady) = (named("changing", 100).await, named("steady", 100).await);
    let urls = [changing.url.clone(), steady.url.clone()];
    let pool = RpcPool::new(ChainId(CHAIN), &urls, PoolOptions { recheck, ..OPTIONS });
    assert!(is_read(&pool, "changing").await);
    changing.state.chain.store(1, Ordering::SeqCst);
    changing.set_head(head);
    eventually("it is noticed", async || is_read(&pool, "steady").await).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_read(&pool, "steady").await);
    let before = changing.asked();
    assert_eq!(pool.send_raw(&Bytes::from_static(&[1])).await, SendOutcome::Accepted);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(changing.asked(), before, "nothing is sent to another chain");
}

#[tokio::test]
async fn a_url_that_begins_to_serve_another_chain_is_noticed_in_time() {
    a_changed_chain_is_noticed(Duration::from_millis(100), 100).await;
}

#[tokio::test]
async fn a_head_that_leaps_has_the_chain_checked_at_once() {
    a_changed_chain_is_noticed(Duration::from_secs(3_600), 5_000_000).await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_even_for_its_head_holds_nobody_up_for_long() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let good = named("good", 100).await;
    let pool = RpcPool::new(ChainId(CHAIN), &[hanging, good.url.clone()], IMPATIENT);
    let started = std::time::Instant::now();
    for _ in 0..20 {
        assert!(is_read(&pool, "good").await);
    }
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_dropped_pool_asks_nobody_any_more() {
    let endpoints = [named("a", 100).await, named("b", 100).await];
    let pool = pool(&[&endpoints[0], &endpoints[1]]);
    assert!(is_read(&pool, "a").await);
    let mut head = pool.head();
    drop(pool);
    // Every task that could observe a head is gone with the pool.
    let gone = tokio::time::timeout(Duration::from_secs(8), async {
        while head.changed().await.is_ok() {}
    });
    gone.await.expect("a task outlives the pool");
}
