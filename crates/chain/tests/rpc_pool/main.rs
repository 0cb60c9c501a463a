//! The pool against endpoints that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panic")]

mod agreement;
mod batches;
mod calls;
mod delegation;
mod fake;
mod fees;
mod heads;
mod logs;
mod newest;
mod nonces;
mod sockets;

use std::time::Duration;

use capstan_base::ChainId;
use capstan_chain::rpc::PoolOptions;
use capstan_chain::types::Bytes;
use capstan_chain::{ChainClient, ChainRegistry, RpcError, RpcPool, SendOutcome};
use fake::{CHAIN, Fake};
use serde_json::json;

/// A deadline that a loaded machine keeps.
const OPTIONS: PoolOptions = PoolOptions {
    deadline: Duration::from_secs(10),
    cool_down: Duration::from_millis(200),
    ejection: Duration::from_secs(60),
    look: Duration::from_millis(20),
    recheck: Duration::from_secs(60),
    silence: Duration::from_secs(60),
};

/// For tests that wait for the deadline.
const IMPATIENT: PoolOptions = PoolOptions { deadline: Duration::from_millis(800), ..OPTIONS };

fn pool(endpoints: &[&Fake]) -> RpcPool {
    pool_with(endpoints, OPTIONS)
}

fn pool_with(endpoints: &[&Fake], options: PoolOptions) -> RpcPool {
    let urls: Vec<_> = endpoints.iter().map(|fake| fake.url.clone()).collect();
    RpcPool::new(ChainId(CHAIN), &urls, options)
}

/// A client of a chain with contracts at addresses of no matter.
fn client(endpoints: &[&Fake]) -> ChainClient {
    client_with(endpoints, OPTIONS)
}

fn client_with(endpoints: &[&Fake], options: PoolOptions) -> ChainClient {
    let set = |name: &str| match name {
        "BASE_SEPOLIA_JOB_MARKETPLACE" => Some("0x1111111111111111111111111111111111111111"),
        "BASE_SEPOLIA_NODE_REGISTRY" => Some("0x2222222222222222222222222222222222222222"),
        _ => None,
    };
    let registry =
        ChainRegistry::load(&toml::Table::new(), |name| set(name).map(str::to_owned)).unwrap();
    let mut config = registry.get(ChainId(CHAIN)).unwrap().clone();
    config.rpc_urls = endpoints.iter().map(|fake| fake.url.clone()).collect();
    ChainClient::with_options(config, options)
}

async fn price(pool: &RpcPool) -> Result<String, RpcError> {
    pool.call("eth_gasPrice", json!([])).await
}

/// Waits until it holds; what is awaited takes a few looks at the heads.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}: not within fifteen seconds");
}
#[tokio::test]
async fn reads_fail_over_from_every_kind_of_broken_endpoint() {
    let good = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    for (status, body) in [
        (429, "slow down"),
        (503, "busy"),
        (502, r#"{"id":ID,"result":"0x6"}"#),
        (200, "<html>maintenance</html>"),
        (200, r#"{"id":ID,"resu"#),
        (200, r#"{"id":999999,"result":"0x6"}"#),
        (200, r#"{"id":ID}"#),
        (200, r#"{"id":ID,"result":{"unexpected":1}}"#),
        (200, r#"{"id":ID,"error":{"code":-32005,"message":"limit exceeded"}}"#),
        (200, r#"{"id":ID,"error":{"code":-32000,"message":"header not found"}}"#),
        (404, ""),
    ] {
        let broken = Fake::answering(status, body).await;
        assert_eq!(price(&pool(&[&broken, &good])).await, Ok("0x7".to_owned()), "{status} {body}");
    }
}

#[tokio::test]
async fn a_slow_endpoint_is_left_at_the_deadline_and_cools_down() {
    let slow = Fake::slow(Duration::from_secs(30), |_, _| None).await;
    let good = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    // It rests long enough for what is asked meanwhile, and short enough to be waited for.
    let options = PoolOptions { cool_down: Duration::from_secs(2), ..IMPATIENT };
    let pool = pool_with(&[&slow, &good], options);
    let started = std::time::Instant::now();
    assert_eq!(price(&pool).await, Ok("0x7".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(price(&pool).await, Ok("0x7".to_owned()));
    assert_eq!((slow.asked(), good.asked()), (1, 2), "a cooling endpoint is not asked");
    eventually("it is asked again afterwards", async || {
        price(&pool).await == Ok("0x7".to_owned()) && slow.asked() == 2
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_never_read_and_never_sent_to() {
    let wrong = Fake::start(|_, _| None).await;
    wrong.state.chain.store(1, std::sync::atomic::Ordering::SeqCst);
    let good = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    let both = pool(&[&wrong, &good]);
    assert_eq!(price(&both).await, Ok("0x7".to_owned()));
    assert_eq!(both.send_raw(&Bytes::from_static(&[1])).await, SendOutcome::Accepted);
    assert_eq!(wrong.asked(), 0);

    let alone = pool(&[&wrong]);
    let error = price(&alone).await.unwrap_err();
    assert!(matches!(error, RpcError::WrongChain { found: ChainId(1), .. }), "{error}");
    assert!(!error.to_string().contains("APIKEY"));
    assert!(matches!(alone.send_raw(&Bytes::from_static(&[1])).await, SendOutcome::Unknown(_)));
}

#[tokio::test]
async fn null_and_revert_are_answers_not_failures() {
    let null = Fake::answering(200, r#"{"id":ID,"result":null}"#).await;
    let other = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    let answer: Option<String> =
        pool(&[&null, &other]).call("eth_getTransactionReceipt", json!([])).await.unwrap();
    assert_eq!(answer, None);

    let body = r#"{"id":ID,"error":{"code":3,"message":"execution reverted","data":"0x1234"}}"#;
    let reverting = Fake::answering(200, body).await;
    let error = price(&pool(&[&reverting, &other])).await.unwrap_err();
    assert!(
        matches!(&error, RpcError::Refused { revert: Some(data), .. } if data.len() == 2),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert_eq!(other.asked(), 0);
}

#[tokio::test]
async fn an_error_answer_is_given_when_nobody_knows_better_and_no_error_shows_a_key() {
    let refusing =
        Fake::answering(200, r#"{"id":ID,"error":{"code":-32000,"message":"header not found"}}"#)
            .await;
    let broken = Fake::answering(503, "").await;
    let error = price(&pool(&[&refusing, &broken])).await.unwrap_err();
    assert!(matches!(&error, RpcError::Refused { code: -32000, .. }), "{error}");
    assert!(error.is_retryable());

    let error = price(&pool(&[&broken])).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("http status 503"));
    assert!(!error.to_string().contains("APIKEY"), "{error}");
    assert_eq!(price(&pool(&[])).await, Err(RpcError::NoEndpoint));
}

#[tokio::test]
async fn a_broadcast_goes_to_all_and_one_success_wins() {
    let low =
        Fake::answering(200, r#"{"id":ID,"error":{"code":-32000,"message":"nonce too low"}}"#)
            .await;
    let broken = Fake::answering(503, "").await;
    let good = Fake::answering(200, r#"{"id":ID,"result":"0xabcd"}"#).await;
    let raw = Bytes::from_static(&[2, 3]);
    assert_eq!(pool(&[&low, &broken, &good]).send_raw(&raw).await, SendOutcome::Accepted);
    eventually("all have it", async || (low.asked(), broken.asked(), good.asked()) == (1, 1, 1))
        .await;

    assert_eq!(pool(&[&broken, &low]).send_raw(&raw).await, SendOutcome::NonceTooLow);
    assert!(matches!(pool(&[&broken]).send_raw(&raw).await, SendOutcome::Unknown(_)));
}

const REFUSED: &str = r#"{"id":ID,"error":{"code":-32000,"message":"invalid sender"}}"#;

#[tokio::test]
async fn a_refusal_for_good_does_not_hide_an_endpoint_that_may_have_it() {
    let refusing = Fake::answering(200, REFUSED).await;
    let silent = Fake::slow(Duration::from_secs(30), |_, _| None).await;
    let raw = Bytes::from_static(&[2, 3]);
    assert!(matches!(pool(&[&refusing]).send_raw(&raw).await, SendOutcome::Rejected(_)));
    assert!(matches!(
        pool_with(&[&refusing, &silent], IMPATIENT).send_raw(&raw).await,
        SendOutcome::Unknown(_)
    ));
}

#[tokio::test]
async fn a_refusal_by_all_that_live_is_heard_though_one_is_dead_for_good() {
    let refusing = Fake::answering(200, REFUSED).await;
    let raw = Bytes::from_static(&[2, 3]);
    let dead = Fake::answering(503, "").await;
    let options = PoolOptions { cool_down: Duration::from_secs(60), ..OPTIONS };
    let both = pool_with(&[&refusing, &dead], options);
    assert!(matches!(both.send_raw(&raw).await, SendOutcome::Unknown(_)), "it may have it");
    assert!(matches!(both.send_raw(&raw).await, SendOutcome::Rejected(_)), "it was down before");
    eventually("it is sent to all the same", async || dead.asked() >= 2).await;

    let barred = r#"{"id":ID,"error":{"code":-32601,"message":"method not whitelisted"}}"#;
    let barred = Fake::answering(200, barred).await;
    assert!(matches!(pool(&[&barred]).send_raw(&raw).await, SendOutcome::Unknown(_)));
    let outcome = pool(&[&barred, &refusing]).send_raw(&raw).await;
    assert!(matches!(outcome, SendOutcome::Rejected(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_broadcast_waits_once_for_an_endpoint_that_hangs() {
    let full = r#"{"id":ID,"error":{"code":-32000,"message":"txpool is full"}}"#;
    let full = Fake::answering(200, full).await;
    let hanging = Fake::slow(Duration::from_secs(60), |_, _| None).await;
    let options = PoolOptions { cool_down: Duration::from_secs(60), ..IMPATIENT };
    let pool = pool_with(&[&full, &hanging], options);
    let raw = Bytes::from_static(&[2, 3]);
    assert_eq!(pool.send_raw(&raw).await, SendOutcome::PoolFull);
    let started = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(pool.send_raw(&raw).await, SendOutcome::PoolFull);
    }
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    eventually("it is sent to in the background", async || hanging.asked() == 11).await;
}
