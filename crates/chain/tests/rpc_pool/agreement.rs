//! What one endpoint alone is not believed: receipts and absences, nonces, blocks that differ.

use std::time::Duration;

use capstan_base::{Address, B256};
use capstan_chain::rpc::PoolOptions;
use capstan_chain::{BlockTag, ChainClient, ChainError, Found, RpcError, Voices};
use serde_json::{Value, json};

use crate::fake::{Fake, Say, is_look};
use crate::{OPTIONS, client, client_with, eventually};

const TX: B256 = B256::repeat_byte(0xaa);

fn receipt(tx: B256) -> Value {
    json!({
        "transactionHash": tx, "blockNumber": "0x5", "blockHash": B256::repeat_byte(1),
        "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x7",
        "logs": [{
            "address": Address::ZERO, "topics": [B256::repeat_byte(2)], "data": "0x01",
            "blockNumber": "0x5", "transactionHash": tx, "removed": false,
        }],
    })
}

/// The receipt, with something about it changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut receipt = receipt(TX);
    change(&mut receipt);
    receipt
}

async fn voices_with(client: &ChainClient) -> Result<Option<Voices>, ChainError> {
    let found = client.receipts(&[TX]).await.pop().unwrap()?;
    Ok(match found {
        Found::Yes(receipt) => {
            assert_eq!((receipt.tx_hash, receipt.success), (TX, true));
            assert_eq!((receipt.gas_used, receipt.logs.len()), (21_000, 1));
            None
        }
        Found::No(voices) => Some(voices),
    })
}

async fn voices(endpoints: &[&Fake]) -> Result<Option<Voices>, ChainError> {
    voices_with(&client(endpoints)).await
}

fn is_disagreement<T>(result: &Result<T, ChainError>) -> bool {
    matches!(result, Err(ChainError::Rpc { source: RpcError::Disagreement { .. }, .. }))
}

fn is_unconfirmed<T>(result: &Result<T, ChainError>) -> bool {
    matches!(result, Err(ChainError::Rpc { source: RpcError::Unconfirmed { .. }, .. }))
}

#[tokio::test]
async fn a_receipt_and_its_absence_are_what_two_say() {
    let (empty, other) = (Fake::knowing(json!(null)).await, Fake::knowing(json!(null)).await);
    let (has, also) = (Fake::knowing(receipt(TX)).await, Fake::knowing(receipt(TX)).await);
    assert_eq!(voices(&[&has, &also]).await.unwrap(), None);
    assert_eq!((has.asked(), also.asked()), (1, 1));
    for endpoints in [[&empty, &has], [&has, &empty]] {
        assert!(is_disagreement(&voices(&endpoints).await), "one has it and one has not");
    }
    assert_eq!(voices(&[&empty, &has, &also]).await.unwrap(), None);
    assert_eq!(voices(&[&has, &empty, &also]).await.unwrap(), None);
    assert_eq!(voices(&[&has, &empty, &other]).await.unwrap(), Some(Voices::Agreed));
    assert_eq!(voices(&[&empty, &other]).await.unwrap(), Some(Voices::Agreed));
    assert_eq!(voices(&[&empty]).await.unwrap(), Some(Voices::Single));
    assert_eq!(voices(&[&has]).await.unwrap(), None);
    assert_eq!(client(&[&empty, &other]).receipt(TX).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_receipt_says_is_what_two_say() {
    let (has, also) = (Fake::knowing(receipt(TX)).await, Fake::knowing(receipt(TX)).await);
    for lie in [
        changed(|receipt| receipt["status"] = json!("0x0")),
        changed(|receipt| receipt["gasUsed"] = json!("0x5209")),
        changed(|receipt| receipt["logs"] = json!([])),
        changed(|receipt| receipt["logs"][0]["data"] = json!("0x02")),
        changed(|receipt| receipt["blockHash"] = json!(B256::repeat_byte(9))),
    ] {
        let liar = Fake::knowing(lie).await;
        for endpoints in [[&liar, &has], [&has, &liar]] {
            let result = voices(&endpoints).await;
            assert!(is_disagreement(&result) && result.unwrap_err().is_retryable());
        }
        assert_eq!(voices(&[&liar, &has, &also]).await.unwrap(), None);
        assert_eq!(voices(&[&has, &liar, &also]).await.unwrap(), None);
    }
    // What is left out of a dialect is no contradiction.
    let terse = changed(|receipt| receipt["effectiveGasPrice"] = Value::Null);
    assert_eq!(voices(&[&has, &Fake::knowing(terse).await]).await.unwrap(), None);
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_whole_is_no_receipt() {
    let (has, also) = (Fake::knowing(receipt(TX)).await, Fake::knowing(receipt(TX)).await);
    for broken in [
        changed(|receipt| receipt["logs"][0]["removed"] = json!(true)),
        changed(|receipt| receipt["logs"][0]["blockNumber"] = Value::Null),
        changed(|receipt| receipt["logs"][0]["transactionHash"] = json!(B256::ZERO)),
        changed(|receipt| receipt["logs"][0]["topics"] = json!(vec![B256::ZERO; 5])),
        changed(|receipt| receipt["status"] = Value::Null),
        changed(|receipt| receipt["blockHash"] = Value::Null),
    ] {
        let broken = Fake::knowing(broken).await;
        assert!(voices(&[&broken]).await.unwrap_err().is_retryable());
        assert!(is_unconfirmed(&voices(&[&broken, &has]).await));
        assert_eq!(voices(&[&broken, &has, &also]).await.unwrap(), None);
    }
    let pending = changed(|receipt| {
        receipt["blockHash"] = Value::Null;
        receipt["blockNumber"] = Value::Null;
    });
    let pending = Fake::knowing(pending).await;
    assert_eq!(voices(&[&pending]).await.unwrap(), Some(Voices::Single));
}

#[tokio::test]
async fn one_of_several_is_believed_when_the_others_have_been_silent_for_long() {
    let (has, empty) = (Fake::knowing(receipt(TX)).await, Fake::knowing(json!(null)).await);
    for dead in [Fake::answering(503, "").await, Fake::start(no_such_method).await] {
        let silence = Duration::from_millis(600);
        let options = PoolOptions { silence, ..OPTIONS };
        let present = client_with(&[&has, &dead], options);
        assert!(is_unconfirmed(&voices_with(&present).await), "a hiccup passes");
        eventually("it is believed", async || voices_with(&present).await.is_ok()).await;
        let absent = client_with(&[&empty, &dead], options);
        let started = std::time::Instant::now();
        while started.elapsed() < silence.saturating_mul(2) {
            assert!(is_unconfirmed(&voices_with(&absent).await), "an absence never is");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn no_such_method(method: &str, _: &Value) -> Option<Say> {
    (!is_look(method)).then_some(Say::Error(-32601, "the method is not available"))
}

#[tokio::test]
async fn a_null_of_a_laggard_counts_for_nothing() {
    let laggard = Fake::knowing(json!(null)).await.at(100);
    let (first, second) =
        (Fake::knowing(json!(null)).await.at(200), Fake::knowing(json!(null)).await.at(201));
    let agreed = voices(&[&laggard, &first, &second]).await.unwrap();
    assert_eq!((agreed, laggard.asked()), (Some(Voices::Agreed), 0));
    let broken = Fake::answering(503, "").await.at(201);
    assert!(is_unconfirmed(&voices(&[&laggard, &first, &broken]).await));
    assert_eq!(laggard.asked(), 0);
    // Alone it can only say what it has.
    let broken_too = Fake::answering(503, "").await.at(200);
    let error = voices(&[&laggard, &broken, &broken_too]).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_laggard_confirms_and_contradicts_what_another_shows_and_holds_nobody_up() {
    let late = async |says| Fake::knowing(says).await.at(100);
    let broken = Fake::answering(503, "").await.at(200);
    let two = async |has: &Fake, laggard: &Fake| {
        let third = Fake::knowing(receipt(TX)).await.at(201);
        voices(&[has, laggard, &broken, &third]).await
    };
    let has = Fake::knowing(receipt(TX)).await.at(201);
    assert_eq!(two(&has, &late(json!(null)).await).await.unwrap(), None);
    // With one in step and all others silent or behind.
    let alone = async |laggard: &Fake| voices(&[&has, laggard, &broken]).await;
    assert_eq!(alone(&late(receipt(TX)).await).await.unwrap(), None, "it confirms");
    let lie = changed(|receipt| receipt["status"] = json!("0x0"));
    assert!(is_disagreement(&alone(&late(lie).await).await), "it contradicts");
    assert!(is_unconfirmed(&alone(&late(json!(null)).await).await));
    let ahead = Fake::start(|method, params| match method {
        "eth_getTransactionReceipt" => Some(Say::Result(receipt(TX))),
        "eth_getBlockByNumber" => Some(Say::Result(json!({ "number": params[0] }))),
        _ => None,
    })
    .await
    .at(201);
    let behind = late(json!(null)).await;
    let client = client(&[&ahead, &behind]);
    eventually("one that stands still is not waited for", async || {
        voices_with(&client).await.is_ok_and(|found| found.is_none())
    })
    .await;
}

#[tokio::test]
async fn what_one_far_ahead_says_decides_nothing() {
    let (first, second) = (Fake::knowing(json!(null)).await, Fake::knowing(json!(null)).await);
    let broken = Fake::answering(503, "").await;
    for says in [json!(null), receipt(TX)] {
        let liar = Fake::knowing(says).await.at(1_000_000);
        let agreed = voices(&[&liar, &first, &second]).await.unwrap();
        assert_eq!((agreed, liar.asked()), (Some(Voices::Agreed), 0));
        assert!(voices(&[&liar, &first, &broken]).await.unwrap_err().is_retryable());
    }
}

#[tokio::test]
async fn a_receipt_of_another_transaction_is_no_answer() {
    let confused = Fake::knowing(receipt(B256::repeat_byte(0xbb))).await;
    let error = voices(&[&confused]).await.unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("receipt is of another transaction"), "{text}");
    let (empty, other) = (Fake::knowing(json!(null)).await, Fake::knowing(json!(null)).await);
    assert_eq!(voices(&[&confused, &empty, &other]).await.unwrap(), Some(Voices::Agreed));
}

#[tokio::test]
async fn a_nonce_is_as_high_as_two_say() {
    let high = Fake::knowing(json!("0x9")).await.at(101);
    let low = Fake::knowing(json!("0x7")).await;
    let broken = Fake::answering(200, "<html>").await;
    let nonce = async |endpoints: &[&Fake]| {
        client(endpoints).account_nonce(Address::ZERO, BlockTag::Latest).await.unwrap()
    };
    assert_eq!(nonce(&[&high, &low]).await, 7);
    assert_eq!(nonce(&[&low, &high]).await, 7);
    assert_eq!(nonce(&[&broken, &high, &low]).await, 7);
    assert_eq!(nonce(&[&high, &broken]).await, 9);
    let laggard = Fake::knowing(json!("0x2")).await.at(50);
    assert_eq!(nonce(&[&high, &low, &laggard]).await, 7, "who lags is not asked");
    let (stuck, also) =
        (Fake::knowing(json!("0x2")).await.at(102), Fake::knowing(json!("0x7")).await);
    for endpoints in [[&stuck, &low, &also], [&low, &stuck, &also], [&low, &also, &stuck]] {
        assert_eq!(nonce(&endpoints).await, 7, "one that stands still stops nobody");
    }
    assert_eq!(nonce(&[&stuck, &low, &high]).await, 7);
}

async fn holding(hash: u8) -> Fake {
    Fake::start(move |method, _| {
        let block = json!({ "number": "0x5", "hash": B256::repeat_byte(hash), "timestamp": "0x1" });
        (method == "eth_getBlockByNumber").then_some(Say::Result(block))
    })
    .await
}

#[tokio::test]
async fn another_block_at_a_height_has_to_be_seen_by_two() {
    let (ours, theirs, also) = (holding(1).await, holding(2).await, holding(2).await);
    let hash = async |endpoints: &[&Fake]| client(endpoints).block_hash(5).await;
    assert_eq!(hash(&[&theirs]).await.unwrap(), Some(B256::repeat_byte(2)));
    let error = hash(&[&ours, &theirs]).await.unwrap_err();
    assert!(
        matches!(error, ChainError::Rpc { source: RpcError::Disagreement { .. }, .. }),
        "{error:?}"
    );
    assert!(error.is_retryable());
    assert_eq!(hash(&[&ours, &theirs, &also]).await.unwrap(), Some(B256::repeat_byte(2)));
    let empty = Fake::knowing(json!(null)).await;
    assert_eq!(hash(&[&empty, &ours]).await.unwrap(), Some(B256::repeat_byte(1)));
    assert_eq!(hash(&[&empty]).await.unwrap(), None);
}
