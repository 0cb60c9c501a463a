//! The pool's ways against a real node: WebSocket, batches, the use of a nonce, rollup fees.

use std::time::Duration;

use alloy_primitives::{Bytes, U256, keccak256};
use capstan_base::{Address, B256, ChainId};
use capstan_chain::{
    BlockTag, ChainClient, ChainConfig, Found, GasEstimate, LocalSigner, SendOutcome, TxFields,
    Voices, calls,
};
use serde_json::{Value, json};

use crate::support::Chain;

/// Transfers of one wei with consecutive nonces, signed.
async fn transfers(client: &ChainClient, signer: &LocalSigner, count: u64) -> Vec<(B256, Bytes)> {
    let first = client.account_nonce(signer.address(), BlockTag::Latest).await.unwrap();
    let fees = client.gas_price().await.unwrap().offer();
    let call = calls::native_transfer(Address::repeat_byte(5), U256::from(1));
    let sign = |nonce| {
        let fields = TxFields::of_call(client.chain_id(), nonce, &call, 21_000, fees);
        let signed = signer.sign_transaction(&fields).unwrap();
        (signed.hash, signed.raw)
    };
    (first..first + count).map(sign).collect()
}

/// Sends and waits until the last is mined.
async fn send(client: &ChainClient, signed: &[(B256, Bytes)]) {
    let raw: Vec<_> = signed.iter().map(|(_, raw)| raw.clone()).collect();
    let outcomes = client.send_raw_many(&raw).await;
    assert!(outcomes.iter().all(|outcome| *outcome == SendOutcome::Accepted), "{outcomes:?}");
    let (last, _) = signed.last().unwrap();
    while client.receipt(*last).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn with_urls(chain: &Chain, urls: &[String]) -> ChainClient {
    let rpc_urls = urls.iter().map(|url| url.parse().unwrap()).collect();
    ChainClient::connect(ChainConfig { rpc_urls, ..chain.client.config().clone() })
}

async fn node<R: serde::de::DeserializeOwned>(
    chain: &Chain,
    method: &'static str,
    params: Value,
) -> R {
    chain.client.pool().call(method, params).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_endpoint_does_all_that_http_does_and_tells_of_heads() {
    let chain = Chain::start().await;
    let http = format!("{}", chain.client.config().rpc_urls[0]);
    let socket = http.replace("http://", "ws://");
    let client = with_urls(&chain, std::slice::from_ref(&socket));
    client.verify().await.unwrap();
    let mut heads = client.pool().head();
    let signed = transfers(&client, &chain.renter, 3).await;
    send(&client, &signed).await;
    let mined = client.receipt(signed[2].0).await.unwrap().unwrap().block_number;
    let risen = heads.wait_for(|head| *head >= mined);
    tokio::time::timeout(Duration::from_secs(5), risen).await.unwrap().unwrap();

    // Both at once, which are one node: they agree.
    let both = with_urls(&chain, &[http, socket]);
    let hashes = [signed[0].0, B256::repeat_byte(9), signed[2].0];
    let receipts = both.receipts(&hashes).await;
    let [Ok(Found::Yes(first)), Ok(Found::No(Voices::Agreed)), Ok(Found::Yes(third))] =
        &receipts[..]
    else {
        panic!("{receipts:?}")
    };
    assert_eq!((first.tx_hash, third.tx_hash), (hashes[0], hashes[2]));
    assert_eq!(both.block_hash(first.block_number).await.unwrap(), Some(first.block_hash));
    let all = both.block_receipts(first.block_number).await.unwrap().unwrap();
    assert!(all.contains(first), "{all:?}");
    assert_eq!(both.block_receipts(1 << 40).await.ok().flatten(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_are_estimated_and_a_hundred_transactions_sent_at_once() {
    let chain = Chain::start().await;
    let client = &chain.client;
    let good = calls::native_transfer(Address::repeat_byte(5), U256::from(1));
    let bad = calls::withdraw(chain.deployed.contracts.node_registry, Address::ZERO, Address::ZERO);
    let mut many = vec![good; 119];
    many[60] = bad;
    let estimates = client.estimate_many(chain.renter.address(), &many).await;
    for (n, estimate) in estimates.iter().enumerate() {
        match estimate.as_ref().unwrap() {
            GasEstimate::Gas(gas) => assert!(*gas >= 21_000 && n != 60),
            GasEstimate::Revert(_) => assert_eq!(n, 60),
        }
    }
    let signed = transfers(client, &chain.renter, 120).await;
    send(client, &signed).await;
    let hashes: Vec<_> = signed.iter().map(|(hash, _)| *hash).collect();
    let receipts = client.receipts(&hashes).await;
    let mined = receipts.iter().filter(|found| matches!(found, Ok(Found::Yes(_)))).count();
    assert_eq!(mined, 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_that_used_a_nonce_is_found() {
    let chain = Chain::start().await;
    let (client, renter) = (&chain.client, chain.renter.address());
    let first = client.account_nonce(renter, BlockTag::Latest).await.unwrap();
    let early = transfers(client, &chain.renter, 7).await;
    send(client, &early).await;
    let _: Value = node(&chain, "anvil_mine", json!(["0x28"])).await;
    // Two in one block.
    let _: Value = node(&chain, "evm_setAutomine", json!([false])).await;
    let late = transfers(client, &chain.renter, 2).await;
    let raw: Vec<_> = late.iter().map(|(_, raw)| raw.clone()).collect();
    client.send_raw_many(&raw).await;
    let _: Value = node(&chain, "anvil_mine", json!(["0x28"])).await;

    let head = client.head(BlockTag::Latest).await.unwrap().number;
    for (nonce, (hash, _)) in (first..).zip(early.iter().chain(&late)) {
        let found = client.nonce_use(renter, nonce, 0, u64::MAX).await.unwrap().unwrap();
        assert_eq!(found.tx_hash, *hash);
        let receipt = client.receipt(*hash).await.unwrap().unwrap();
        assert_eq!(
            (found.block.number, found.block.hash),
            (receipt.block_number, receipt.block_hash)
        );
        let at = found.block.number;
        let in_one = client.nonce_use(renter, nonce, at, at).await.unwrap();
        assert_eq!(in_one, Some(found));
        assert_eq!(client.nonce_use(renter, nonce, at + 1, head).await.unwrap(), None, "before it");
        assert_eq!(client.nonce_use(renter, nonce, 0, at - 1).await.unwrap(), None, "after it");
    }
    assert_eq!(client.nonce_use(renter, first + 9, 0, head).await.unwrap(), None, "not used yet");
    assert_eq!(client.nonce_use(renter, first, head + 5, head + 9).await.unwrap(), None);
}

/// Says 42 to anything.
const LATE_ORACLE: &str = "0x602a5f5260205ff3";

/// Says 42 to `getL1FeeUpperBound` and reverts on anything else.
fn early_oracle() -> String {
    let selector = &keccak256("getL1FeeUpperBound(uint256)")[..4];
    format!(
        "0x5f3560e01c63{}146011575f5ffd5b602a5f5260205ff3",
        alloy_primitives::hex::encode(selector)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollup_fee_is_l1_fee_and_operator_fee_where_there_is_one() {
    const ORACLE: &str = "0x420000000000000000000000000000000000000F";
    let chain = Chain::start().await;
    let fee =
        async |client: &ChainClient| client.rollup_fee_upper_bound(500, 60_000).await.unwrap();
    assert_eq!(fee(&chain.client).await, U256::ZERO, "no oracle");
    let _: Value = node(&chain, "anvil_setCode", json!([ORACLE, early_oracle()])).await;
    let fresh = || ChainClient::connect(chain.client.config().clone());
    let early = fresh();
    assert_eq!(fee(&early).await, U256::from(42));
    assert_eq!(early.l1_fee_upper_bound(500).await.unwrap(), U256::from(42));
    let _: Value = node(&chain, "anvil_setCode", json!([ORACLE, LATE_ORACLE])).await;
    assert_eq!(fee(&early).await, U256::from(42), "what it lacks is remembered");
    assert_eq!(fee(&fresh()).await, U256::from(84));
    // A revert says that the oracle is old; no answer says nothing.
    let dead = with_urls(&chain, &["http://127.0.0.1:9/".to_owned()]);
    assert!(dead.rollup_fee_upper_bound(500, 60_000).await.is_err());
    assert_eq!(early.chain_id(), ChainId(84_532));
}
