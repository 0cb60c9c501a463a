//! The pool against endpoints that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use capstan_base::{Address, ChainId};
use capstan_chain::rpc::PoolOptions;
use capstan_chain::types::Bytes;
use capstan_chain::{ChainClient, ChainRegistry, RpcError, RpcPool, RpcUrl, SendOutcome};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CHAIN: ChainId = ChainId(84_532);

/// An endpoint: `behave` gets the method and gives status and body. The chain id is answered
/// rightly unless `behave` does it.
struct Fake {
    url: RpcUrl,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    async fn start<F>(behave: F) -> Self
    where
        F: Fn(&str) -> Option<(u16, String)> + Clone + Send + Sync + 'static,
    {
        Self::slow(Duration::ZERO, behave).await
    }

    async fn slow<F>(delay: Duration, behave: F) -> Self
    where
        F: Fn(&str) -> Option<(u16, String)> + Clone + Send + Sync + 'static,
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/APIKEY", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, delay, behave.clone(), Arc::clone(&counter)));
            }
        });
        Self { url: url.parse().unwrap(), asked }
    }

    async fn answering(status: u16, body: &'static str) -> Self {
        Self::start(move |method| (method != "eth_chainId").then(|| (status, body.to_owned())))
            .await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One request, one answer, end of connection: as much of HTTP/1.1 as the pool's client needs.
async fn serve<F>(mut stream: TcpStream, delay: Duration, behave: F, counter: Arc<AtomicUsize>)
where
    F: Fn(&str) -> Option<(u16, String)>,
{
    let request = read_request(&mut stream).await;
    let method = request["method"].as_str().unwrap();
    let mut answer = behave(method);
    if method == "eth_chainId" {
        answer = answer.or(Some((200, r#"{"id":ID,"result":"0x14a34"}"#.to_owned())));
    } else {
        counter.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(delay).await;
    }
    let (status, body) = answer.unwrap_or((200, r#"{"id":ID,"result":"0x1"}"#.to_owned()));
    let body = body.replace("ID", &request["id"].to_string());
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
    // A client that gave up is no fault of the server.
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(request) = body.and_then(|body| serde_json::from_str(body).ok()) {
            return request;
        }
    }
}

fn pool(endpoints: &[&Fake]) -> RpcPool {
    let urls: Vec<_> = endpoints.iter().map(|fake| fake.url.clone()).collect();
    let options = PoolOptions {
        deadline: Duration::from_millis(400),
        cool_down: Duration::from_millis(200),
        ejection: Duration::from_secs(60),
    };
    RpcPool::new(CHAIN, &urls, options)
}

async fn number(pool: &RpcPool) -> Result<String, RpcError> {
    pool.call("eth_blockNumber", json!([])).await
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
        assert_eq!(number(&pool(&[&broken, &good])).await, Ok("0x7".to_owned()), "{status} {body}");
    }
}

#[tokio::test]
async fn a_slow_endpoint_is_left_at_the_deadline_and_cools_down() {
    let slow = Fake::slow(Duration::from_secs(30), |_| None).await;
    let good = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    let pool = pool(&[&slow, &good]);
    let started = std::time::Instant::now();
    assert_eq!(number(&pool).await, Ok("0x7".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(number(&pool).await, Ok("0x7".to_owned()));
    assert_eq!((slow.asked(), good.asked()), (1, 2), "a cooling endpoint is not asked");
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(number(&pool).await, Ok("0x7".to_owned()));
    assert_eq!(slow.asked(), 2, "it is asked again afterwards");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_never_read_and_never_sent_to() {
    let wrong = Fake::start(|method| {
        (method == "eth_chainId").then(|| (200, r#"{"id":ID,"result":"0x1"}"#.to_owned()))
    })
    .await;
    let good = Fake::answering(200, r#"{"id":ID,"result":"0x7"}"#).await;
    let both = pool(&[&wrong, &good]);
    assert_eq!(number(&both).await, Ok("0x7".to_owned()));
    assert_eq!(both.send_raw(&Bytes::from_static(&[1])).await, SendOutcome::Accepted);
    assert_eq!(wrong.asked(), 0);

    let alone = pool(&[&wrong]);
    let error = number(&alone).await.unwrap_err();
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
    let error = number(&pool(&[&reverting, &other])).await.unwrap_err();
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
    let error = number(&pool(&[&refusing, &broken])).await.unwrap_err();
    assert!(matches!(&error, RpcError::Refused { code: -32000, .. }), "{error}");
    assert!(error.is_retryable());

    let error = number(&pool(&[&broken])).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("http status 503"));
    assert!(!error.to_string().contains("APIKEY"), "{error}");
    assert_eq!(number(&pool(&[])).await, Err(RpcError::NoEndpoint));
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
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((low.asked(), broken.asked(), good.asked()), (1, 1, 1));

    assert_eq!(pool(&[&broken, &low]).send_raw(&raw).await, SendOutcome::NonceTooLow);
    assert!(matches!(pool(&[&broken]).send_raw(&raw).await, SendOutcome::Unknown(_)));
}

#[tokio::test]
async fn a_refusal_for_good_does_not_hide_an_endpoint_that_may_have_it() {
    let refusing =
        Fake::answering(200, r#"{"id":ID,"error":{"code":-32000,"message":"invalid sender"}}"#)
            .await;
    let silent = Fake::slow(Duration::from_secs(30), |_| None).await;
    let raw = Bytes::from_static(&[2, 3]);
    assert!(matches!(pool(&[&refusing]).send_raw(&raw).await, SendOutcome::Rejected(_)));
    assert!(matches!(pool(&[&refusing, &silent]).send_raw(&raw).await, SendOutcome::Unknown(_)));
}

#[tokio::test]
async fn a_refused_probe_means_no_delegation_and_silence_is_an_error() {
    let check = async |fake: Fake, expected: Option<bool>| {
        let registry = ChainRegistry::load(&toml::Table::new(), |_| None).unwrap();
        let mut config = registry.known(CHAIN).unwrap().clone();
        config.rpc_urls = vec![fake.url.clone()];
        let client = ChainClient::connect(config);
        let supported = client.supports_delegation(Address::repeat_byte(1)).await;
        assert_eq!(supported.ok(), expected);
        assert_eq!(fake.asked(), 1);
    };
    let refusal = r#"{"id":ID,"error":{"code":-32602,"message":"unknown field"}}"#;
    check(Fake::answering(200, refusal).await, Some(false)).await;
    let reverted = r#"{"id":ID,"error":{"code":3,"message":"reverted","data":"0x"}}"#;
    check(Fake::answering(200, reverted).await, Some(false)).await;
    // A node that overlooks what it does not know: a transaction of 68 bytes and nothing more.
    check(Fake::answering(200, r#"{"id":ID,"result":"0x5640"}"#).await, Some(false)).await;
    check(Fake::answering(200, r#"{"id":ID,"result":"0xc350"}"#).await, Some(true)).await;
    check(Fake::answering(503, "busy").await, None).await;
    check(Fake::answering(429, "slow down").await, None).await;
}
