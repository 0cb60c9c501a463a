//! What one endpoint alone is not believed: absences, nonces, blocks that differ.

use capstan_base::{Address, B256};
use capstan_chain::{BlockTag, ChainError, Found, RpcError, Voices};
use serde_json::{Value, json};

use crate::client;
use crate::fake::{Fake, Say};

const TX: B256 = B256::repeat_byte(0xaa);

fn receipt(tx: B256) -> Value {
    json!({
        "transactionHash": tx, "blockNumber": "0x5", "blockHash": B256::repeat_byte(1),
        "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x7", "logs": [],
    })
}

async fn voices(endpoints: &[&Fake]) -> Result<Option<Voices>, ChainError> {
    let found = client(endpoints).receipts(&[TX]).await.pop().unwrap()?;
    Ok(match found {
        Found::Yes(receipt) => {
            assert_eq!(receipt.tx_hash, TX);
            None
        }
        Found::No(voices) => Some(voices),
    })
}

#[tokio::test]
async fn one_receipt_is_enough_and_one_null_is_not() {
    let (empty, other) = (Fake::knowing(json!(null)).await, Fake::knowing(json!(null)).await);
    let has = Fake::knowing(receipt(TX)).await;
    assert_eq!(voices(&[&empty, &has]).await.unwrap(), None);
    assert_eq!(voices(&[&has, &empty]).await.unwrap(), None);
    assert_eq!(voices(&[&empty, &other]).await.unwrap(), Some(Voices::Agreed));
    assert_eq!(voices(&[&empty]).await.unwrap(), Some(Voices::Single));
    assert_eq!(client(&[&empty, &other]).receipt(TX).await.unwrap(), None);
}

#[tokio::test]
async fn a_null_of_a_laggard_counts_for_nothing() {
    let laggard = Fake::knowing(json!(null)).await.at(100);
    let (first, second) =
        (Fake::knowing(json!(null)).await.at(200), Fake::knowing(json!(null)).await.at(201));
    let agreed = voices(&[&laggard, &first, &second]).await.unwrap();
    assert_eq!((agreed, laggard.asked()), (Some(Voices::Agreed), 0));
    let broken = Fake::answering(503, "").await.at(201);
    let single = voices(&[&laggard, &first, &broken]).await.unwrap();
    assert_eq!((single, laggard.asked()), (Some(Voices::Single), 0));
    // Alone it can only say what it has.
    let broken_too = Fake::answering(503, "").await.at(200);
    let error = voices(&[&laggard, &broken, &broken_too]).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let laggard = Fake::knowing(receipt(TX)).await.at(100);
    assert_eq!(voices(&[&laggard, &broken, &broken_too]).await.unwrap(), None);
}

#[tokio::test]
async fn what_one_far_ahead_shows_counts_and_what_it_lacks_does_not() {
    let liar = Fake::knowing(json!(null)).await.at(1_000_000);
    let (first, second) = (Fake::knowing(json!(null)).await, Fake::answering(503, "").await);
    assert_eq!(voices(&[&liar, &first, &second]).await.unwrap(), Some(Voices::Single));
    let liar = Fake::knowing(receipt(TX)).await.at(1_000_000);
    assert_eq!(voices(&[&liar, &first, &second]).await.unwrap(), None);
}

#[tokio::test]
async fn a_receipt_of_another_transaction_is_no_answer() {
    let confused = Fake::knowing(receipt(B256::repeat_byte(0xbb))).await;
    let error = voices(&[&confused]).await.unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("receipt is of another transaction"), "{text}");
    let empty = Fake::knowing(json!(null)).await;
    assert_eq!(voices(&[&confused, &empty]).await.unwrap(), Some(Voices::Single));
}

#[tokio::test]
async fn the_lower_of_two_nonces_counts() {
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
