//! Many requests at once, and what endpoints make of them.

use capstan_base::B256;
use capstan_chain::types::Bytes;
use capstan_chain::{Found, RpcError, RpcPool, SendOutcome, Voices};
use serde_json::{Value, json};

use crate::fake::{Fake, OnBatch, Say};
use crate::{client, pool};

/// Gives its parameter back.
async fn echo(on_batch: OnBatch) -> Fake {
    let echo =
        |method: &str, params: &Value| (method == "echo").then(|| Say::Result(params[0].clone()));
    Fake::start(echo).await.on_batch(on_batch)
}

async fn ask(pool: &RpcPool, count: u64) -> Vec<Result<u64, RpcError>> {
    pool.call_many("echo", (0..count).map(|n| json!([n])).collect()).await
}

fn numbers(count: u64) -> Vec<Result<u64, RpcError>> {
    (0..count).map(Ok).collect()
}

#[tokio::test]
async fn a_hundred_go_in_one_request_and_more_in_several() {
    let fake = echo(|answers| (200, json!(answers))).await;
    let pool = pool(&[&fake]);
    assert_eq!(ask(&pool, 100).await, numbers(100));
    assert_eq!((fake.batches(), fake.asked()), (1, 100));
    assert_eq!(ask(&pool, 250).await, numbers(250));
    assert_eq!((fake.batches(), fake.asked()), (4, 350));
    assert_eq!(ask(&pool, 1).await, numbers(1));
    assert_eq!(fake.batches(), 4, "one alone is no batch");
    assert_eq!(ask(&pool, 0).await, []);
}

#[tokio::test]
async fn answers_are_matched_by_id_and_doubtful_ones_are_asked_for_again() {
    let reversed: OnBatch = |answers| (200, answers.into_iter().rev().collect());
    let missing: OnBatch = |answers| (200, answers.into_iter().step_by(2).collect());
    let doubled: OnBatch = |mut answers| {
        let mut lie = answers[1].clone();
        lie["result"] = json!(99);
        answers.push(lie);
        (200, json!(answers))
    };
    let foreign: OnBatch = |mut answers| {
        answers[2]["id"] = json!(1_000_000);
        answers[3]["id"] = json!(null);
        answers[4]["result"] = Value::Null;
        (200, json!(answers))
    };
    for (on_batch, again) in [(reversed, 0), (missing, 5), (doubled, 1), (foreign, 2)] {
        let fake = echo(on_batch).await;
        let good = echo(|answers| (200, json!(answers))).await;
        assert_eq!(ask(&pool(&[&fake, &good]), 10).await, numbers(10));
        assert_eq!((fake.batches(), fake.asked()), (1, 10 + again));
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_no_batches_is_asked_one_by_one_from_then_on() {
    let object: OnBatch =
        |_| (200, json!({ "id": null, "error": { "code": -32600, "message": "no batches" } }));
    let status: OnBatch = |_| (400, json!("bad request"));
    let empty: OnBatch = |_| (200, json!({ "jsonrpc": "2.0" }));
    for refuse in [object, status, empty] {
        let fake = echo(refuse).await;
        let pool = pool(&[&fake]);
        assert_eq!(ask(&pool, 20).await, numbers(20));
        assert_eq!(ask(&pool, 20).await, numbers(20));
        assert_eq!(fake.batches(), 1, "it is not tried again");
    }
}

#[tokio::test]
async fn a_batch_that_fails_goes_to_the_next_endpoint() {
    let busy: OnBatch = |_| (503, json!("busy"));
    let limited: OnBatch = |_| (429, json!("slow down"));
    let spoken: OnBatch = |_| (200, json!({ "error": { "code": -32005, "message": "slow" } }));
    for fail in [busy, limited, spoken] {
        let (fake, good) = (echo(fail).await, echo(|answers| (200, json!(answers))).await);
        assert_eq!(ask(&pool(&[&fake, &good]), 10).await, numbers(10));
        assert_eq!((fake.batches(), fake.asked(), good.batches()), (1, 10, 1));
    }
    // What is refused alone is asked of the next alone.
    let picky = Fake::start(|method, params| match (method, params[0].as_u64()) {
        ("echo", Some(3)) => Some(Say::Error(-32000, "header not found")),
        ("echo", Some(n)) => Some(Say::Result(json!(n))),
        _ => None,
    })
    .await;
    let good = echo(|answers| (200, json!(answers))).await;
    assert_eq!(ask(&pool(&[&picky, &good]), 10).await, numbers(10));
    assert_eq!(good.asked(), 1);
    let results = ask(&pool(&[&picky]), 10).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9);
    assert!(matches!(results[3], Err(RpcError::Refused { .. })));
}

#[tokio::test]
async fn receipts_of_many_follow_the_rules_of_one() {
    let has = |mine: fn(u8) -> bool| {
        move |method: &str, params: &Value| {
            let hash: B256 = serde_json::from_value(params[0].clone()).ok()?;
            (method == "eth_getTransactionReceipt").then(|| match mine(hash[0]) {
                true => Say::Result(json!({
                    "transactionHash": hash, "blockNumber": "0x5", "blockHash": B256::ZERO,
                    "status": "0x1", "gasUsed": "0x1", "logs": [],
                })),
                false => Say::Result(Value::Null),
            })
        }
    };
    let even = Fake::start(has(|n| n % 2 == 0)).await;
    let low = Fake::start(has(|n| n < 10)).await;
    let three = Fake::start(has(|n| n % 3 == 0)).await;
    let hashes: Vec<_> = (0..20).map(B256::repeat_byte).collect();
    let receipts = client(&[&even, &low, &three]).receipts(&hashes).await;
    for (n, found) in receipts.into_iter().enumerate() {
        let shown = [n % 2 == 0, n < 10, n % 3 == 0].into_iter().filter(|shown| *shown).count();
        match found.unwrap() {
            Found::Yes(receipt) => assert_eq!((receipt.tx_hash, shown > 1), (hashes[n], true)),
            Found::No(voices) => assert_eq!((voices, shown < 2), (Voices::Agreed, true), "{n}"),
        }
    }
    assert_eq!((even.batches(), low.batches(), three.batches()), (1, 1, 1));
    assert_eq!((even.asked(), low.asked()), (20, 20));
    assert_eq!(three.asked(), 10, "what two said alike is not asked of the third");
}

#[tokio::test]
async fn broadcasts_of_many_go_to_all_in_order_and_each_has_its_outcome() {
    let raw: Vec<_> = (0..30).map(|n| Bytes::from(vec![n])).collect();
    let behave = |method: &str, params: &Value| {
        let odd = matches!(params[0].as_str(), Some("0x01" | "0x03"));
        (method == "eth_sendRawTransaction" && odd).then_some(Say::Error(-32000, "nonce too low"))
    };
    let batching = Fake::start(behave).await;
    let refusing = Fake::start(behave).await.on_batch(|_| (400, json!("no")));
    let outcomes = client(&[&batching, &refusing]).send_raw_many(&raw).await;
    let expected =
        |n| if n == 1 || n == 3 { SendOutcome::NonceTooLow } else { SendOutcome::Accepted };
    assert_eq!(outcomes, (0..30).map(expected).collect::<Vec<_>>());
    let order: Vec<_> = raw.iter().map(|raw| json!([raw])).collect();
    assert_eq!(batching.seen(), order);
    // Once as a batch, which it ran and did not answer, once one by one.
    assert_eq!(refusing.seen(), [order.clone(), order].concat());
}
