//! Renters that stop reading delay nobody but themselves, and are settled for what they paid.

use std::time::{Duration, Instant};

use capstan_tests::key::ApiKey;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

/// Pings sent without reading an answer: more than the host queues for a connection.
const FLOOD: usize = 20_000;

/// How long one answer takes, asked and paid.
async fn answer_takes(scene: &Scene, question: &str) -> Duration {
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    let begun = Instant::now();
    renter.ask(question, 100).await;
    renter.to_end().await;
    let took = begun.elapsed();
    renter.end().await;
    scene.settles_for(&paper, renter.owed()).await;
    took
}

#[tokio::test]
async fn a_renter_that_stops_reading_delays_nobody_else() {
    let scene = Scene::start("grace_seconds = 2\nidle_seconds = 4").await;
    let alone = answer_takes(&scene, "Tell me a story about a fox.").await;

    // One asks over HTTP with the smallest of buffers and reads the first bytes only.
    let key = ApiKey::make(&scene, "renter", "0.001", "0.0005").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let address = scene.url.trim_start_matches("http://").parse().unwrap();
    let mut stuck = socket.connect(address).await.unwrap();
    let body = json!({
        "model": "capstan-tiny", "stream": true, "logprobs": true,
        "messages": [{ "role": "user", "content": "Tell me a story about an owl." }],
    })
    .to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n",
        key.key,
        body.len()
    );
    stuck.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut first = [0; 64];
    stuck.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));

    // One never pays, one floods the host and takes no answer.
    let unpaid = scene.open(DEPOSIT).await;
    let mut mute = Renter::attach(&scene.url, &unpaid).await;
    mute.ask("Tell me a story about a fox.", 100).await;
    let flooded = scene.open(DEPOSIT).await;
    let mut flood = Renter::attach(&scene.url, &flooded).await;
    flood.ask("What is a voucher?", 20).await;
    flood.to_end().await;
    for _ in 0..FLOOD {
        flood.wire.send(json!({ "type": "ping" })).await;
    }

    let beside = answer_takes(&scene, "Tell me a story about a fox.").await;
    assert!(
        beside < alone * 4 + Duration::from_secs(2),
        "{beside:?} beside renters that do not read, {alone:?} alone"
    );

    // All of them end, each paid for exactly what it signed.
    let owed = flood.owed();
    drop(flood);
    scene.settles_for(&flooded, owed).await;
    drop(stuck);
    let closed = key.settled(&scene).await;
    assert!(closed.host_paid + closed.fee <= key.ceiling);
    drop(mute);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(scene.closings(&unpaid).await.is_empty(), "nothing was signed for");
}
