//! The node behind the proxies, and the rules of public nodes that anvil does not have.

use std::time::Duration;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, Bytes, U64, U128};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Longest wait for the node itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Transactions of one sender that the pools of geth and reth take for certain.
const SLOTS: usize = 16;

/// A node that several proxies stand in front of.
pub struct Node {
    url: String,
    client: reqwest::Client,
    /// Looking at the pool and adding to it are one step when the rules are strict.
    admission: Mutex<()>,
}

impl Node {
    /// The node at this endpoint.
    pub fn new(url: &str) -> Self {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        Self { url: url.to_owned(), client, admission: Mutex::new(()) }
    }

    /// Passes bytes on as they are; gives status, content type and body as they are.
    pub(super) async fn pass(&self, body: Vec<u8>) -> Option<(u16, Option<String>, Vec<u8>)> {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let response = request.body(body).send().await.ok()?;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        Some((status, kind, response.bytes().await.ok()?.into()))
    }

    /// Passes one request on and gives the answer.
    pub(super) async fn ask(&self, request: &Value) -> Option<Value> {
        let (_, _, body) = self.pass(request.to_string().into_bytes()).await?;
        serde_json::from_slice(&body).ok()
    }

    /// Result of a question of the proxy's own.
    pub(super) async fn own(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
        self.ask(&request).await.map(|mut answer| answer["result"].take()).unwrap_or_default()
    }

    /// Height of the newest block.
    pub(super) async fn height(&self) -> u64 {
        number(&self.own("eth_blockNumber", json!([])).await).unwrap_or(0)
    }

    /// Takes a raw transaction as geth and reth would: replacements pay a tenth more in both
    /// fields, a sender has 16 slots, one with EIP-7702 code has one and no gaps.
    pub(super) async fn admit(&self, request: &Value) -> Option<Value> {
        let _one_at_a_time = self.admission.lock().await;
        match self.objection(&request["params"][0]).await {
            None => self.ask(request).await,
            Some(words) => Some(refusal(request, words)),
        }
    }

    async fn objection(&self, raw: &Value) -> Option<&'static str> {
        let raw: Bytes = raw.as_str()?.parse().ok()?;
        let new = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
        let sender = new.recover_signer().ok()?;
        let pool = self.pool(sender).await;
        if pool.iter().any(|old| old["hash"] == json!(new.tx_hash())) {
            // The node's own words say it best.
            return None;
        }
        let same = pool.iter().find(|old| number(&old["nonce"]) == Some(new.nonce()));
        if let Some(old) = same {
            let fee = |field: &str| {
                let value = old.get(field).filter(|value| !value.is_null());
                value.or(old.get("gasPrice")).and_then(wide).unwrap_or(0)
            };
            let (cap, tip) = (fee("maxFeePerGas"), fee("maxPriorityFeePerGas"));
            let new_tip = new.max_priority_fee_per_gas().unwrap_or(new.max_fee_per_gas());
            let is_enough = |new: u128, old: u128| new > old && new * 10 >= old * 11;
            let pays = is_enough(new.max_fee_per_gas(), cap) && is_enough(new_tip, tip);
            return (!pays).then_some("replacement transaction underpriced");
        }
        let next = self.own("eth_getTransactionCount", json!([sender, "latest"])).await;
        let waits = number(&next).is_some_and(|next| new.nonce() > next);
        // The one that may be mined now is let through, or a full pool of later ones would stay.
        if pool.len() >= SLOTS && waits {
            return Some("txpool is full");
        }
        let code = self.own("eth_getCode", json!([sender, "latest"])).await;
        if !code.as_str().is_some_and(|code| code.starts_with("0xef0100")) {
            return None;
        }
        // geth counts what could be mined now: what a reorganisation left behind a gap keeps nobody out.
        let has_gap_below = |held: &Value| number(&held["nonce"]) > number(&next);
        if !pool.iter().all(has_gap_below) {
            return Some("in-flight transaction limit reached for delegated accounts");
        }
        waits.then_some("gapped-nonce tx from delegated accounts")
    }

    /// What the pool holds of a sender.
    pub async fn pool(&self, sender: Address) -> Vec<Value> {
        let content = self.own("txpool_content", json!([])).await;
        let of_sender = |part: &Value| -> Vec<Value> {
            let all = part.as_object().into_iter().flatten();
            let own = all.filter(|(account, _)| account.parse() == Ok(sender));
            own.filter_map(|(_, by_nonce)| by_nonce.as_object())
                .flat_map(|by_nonce| by_nonce.values().cloned())
                .collect()
        };
        [of_sender(&content["pending"]), of_sender(&content["queued"])].concat()
    }
}

/// An error object for a request.
pub(super) fn refusal(request: &Value, words: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -32000, "message": words } })
}

/// A hex quantity.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse::<U64>().ok().map(|number| number.to())
}

fn wide(value: &Value) -> Option<u128> {
    value.as_str()?.parse::<U128>().ok().map(|number| number.to())
}
