//! The plain ways to send many transactions from one key, without a store: what the engine is
//! measured against.

use std::time::{Duration, Instant};

use capstan_chain::{Call, SignedTransaction};
use futures_util::StreamExt as _;

use super::per_second;
use super::stage::{Stage, sign};

/// Pause between looks at a chain that makes a block each second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Requests in flight of the pipelined way: a sender's guaranteed slots in a pool.
const IN_FLIGHT: usize = 16;

/// One at a time: send, wait for the receipt, send the next. Settlements per second.
pub async fn naive(stage: &mut Stage, count: usize) -> f64 {
    let calls = stage.take(count);
    let client = stage.chain().client();
    let started = Instant::now();
    for call in &calls {
        let signed = sign(&stage.host, stage.nonce().await, call);
        let sent = client.send_raw(&signed.raw).await;
        assert!(sent.is_delivered(), "{sent:?}");
        mined(stage, &signed).await;
    }
    per_second(count, started.elapsed())
}

/// Nonces counted here, sixteen requests in flight, and one look for the last receipt: as fast as a
/// program can be that remembers nothing. Settlements per second.
pub async fn pipelined(stage: &mut Stage, count: usize) -> f64 {
    let calls: Vec<Call> = stage.take(count);
    let (client, first) = (stage.chain().client(), stage.nonce().await);
    let started = Instant::now();
    let sent: Vec<SignedTransaction> = futures_util::stream::iter((first..).zip(&calls))
        .map(async |(nonce, call)| {
            let signed = sign(&stage.host, nonce, call);
            let outcome = client.send_raw(&signed.raw).await;
            assert!(outcome.is_delivered(), "{outcome:?}");
            signed
        })
        .buffered(IN_FLIGHT)
        .collect()
        .await;
    mined(stage, sent.last().expect("at least one")).await;
    per_second(count, started.elapsed())
}

async fn mined(stage: &Stage, signed: &SignedTransaction) {
    loop {
        let receipt = stage.chain().client().receipt(signed.hash).await.expect("a chain");
        if let Some(receipt) = receipt {
            assert!(receipt.success, "a close reverted");
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
