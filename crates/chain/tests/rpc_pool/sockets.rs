//! Endpoints over WebSocket that break, stay silent, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use capstan_base::ChainId;
use capstan_chain::rpc::PoolOptions;
use capstan_chain::{RpcPool, RpcUrl};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::fake::CHAIN;
use crate::{IMPATIENT, OPTIONS, eventually, price};

/// Answers until `broken` says what to do instead of the answer to "eth_gasPrice": close, say
/// nothing, or something else. Three new heads go before that answer.
async fn start(broken: fn(usize) -> Option<Message>) -> (RpcUrl, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/APIKEY", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    let Ok(request) = serde_json::from_slice::<Value>(&message.into_data()) else {
                        continue;
                    };
                    let entry =
                        |request: &Value, result| json!({ "id": request["id"], "result": result });
                    let reply = match request["method"].as_str() {
                        Some("eth_chainId") => entry(&request, json!(format!("{CHAIN:#x}"))),
                        Some("eth_subscribe") => entry(&request, json!("0x1")),
                        Some(_) => match broken(connection) {
                            Some(Message::Close(_)) => return,
                            Some(other) => {
                                let _ = socket.send(other).await;
                                continue;
                            }
                            None => {
                                for number in ["0x10", "0x11", "0x12"] {
                                    let head = json!({ "method": "eth_subscription", "params": {
                                        "subscription": "0x1", "result": { "number": number } } });
                                    let _ = socket.send(Message::text(head.to_string())).await;
                                }
                                entry(&request, json!("0x7"))
                            }
                        },
                        // A batch, back in reverse.
                        None => request
                            .as_array()
                            .unwrap()
                            .iter()
                            .rev()
                            .map(|request| entry(request, request["params"][0].clone()))
                            .collect(),
                    };
                    let _ = socket.send(Message::text(reply.to_string())).await;
                }
            });
        }
    });
    (url, connections)
}

fn pool(url: RpcUrl, options: PoolOptions) -> RpcPool {
    RpcPool::new(ChainId(CHAIN), &[url], options)
}

#[tokio::test]
async fn requests_batches_and_heads_share_one_connection() {
    let (url, connections) = start(|_| None).await;
    let pool = pool(url, OPTIONS);
    let mut head = pool.head();
    let prices = futures_util::future::join_all((0..20).map(|_| price(&pool))).await;
    assert!(prices.iter().all(|price| price.as_deref() == Ok("0x7")), "{prices:?}");
    let batch: Vec<Result<u64, _>> =
        pool.call_many("echo", (0..10).map(|n| json!([n])).collect()).await;
    assert_eq!(batch, (0..10).map(Ok).collect::<Vec<_>>());
    let risen = head.wait_for(|head| *head == 0x12);
    tokio::time::timeout(Duration::from_secs(5), risen).await.unwrap().unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_or_falls_silent_is_made_anew() {
    let close: fn(usize) -> Option<Message> = |n| (n == 0).then_some(Message::Close(None));
    let silent: fn(usize) -> Option<Message> = |n| (n == 0).then(|| Message::Ping(vec![].into()));
    for broken in [close, silent] {
        let (url, connections) = start(broken).await;
        let pool = pool(url, IMPATIENT);
        let error = price(&pool).await.unwrap_err();
        assert!(error.is_retryable() && !error.to_string().contains("APIKEY"), "{error}");
        eventually("it is read again", async || price(&pool).await.is_ok()).await;
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn garbage_on_a_socket_is_no_answer() {
    let garbage: [fn(usize) -> Option<Message>; 3] = [
        |n| (n < 9).then(|| Message::text("<html>")),
        |n| (n < 9).then(|| Message::binary(vec![0xff, 0x00])),
        |n| (n < 9).then(|| Message::text(r#"{"id":12345,"result":"0x9"}"#)),
    ];
    for garbage in garbage {
        let (url, _) = start(garbage).await;
        let started = std::time::Instant::now();
        assert!(price(&pool(url, IMPATIENT)).await.unwrap_err().is_retryable());
        assert!(started.elapsed() < Duration::from_secs(8));
    }
}

#[tokio::test]
async fn the_connection_ends_with_the_pool() {
    let (url, _) = start(|_| None).await;
    let pool = pool(url, OPTIONS);
    price(&pool).await.unwrap();
    let mut head = pool.head();
    drop(pool);
    let gone = async { while head.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(8), gone).await.expect("a task outlives the pool");
}
