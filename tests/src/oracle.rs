//! Money as the chain tells it: raw logs and calls, decoded by hand, sharing no code with the
//! product.

use serde_json::{Value, json};

use crate::anvil::rpc;

/// keccak256 of `SessionClosed(bytes32,address,address,uint8,address,uint96,uint96,uint96,uint64,bytes32)`.
fn closed_topic() -> String {
    topic(
        "SessionClosed(bytes32,address,address,uint8,address,uint96,uint96,uint96,uint64,bytes32)",
    )
}

fn topic(signature: &str) -> String {
    alloy_primitives::keccak256(signature).to_string()
}

fn selector(signature: &str) -> String {
    alloy_primitives::keccak256(signature).to_string()[..10].to_owned()
}

/// One closing event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// 0 completed, 1 finalised, 2 timed out.
    pub reason: u8,
    /// Base units to the host's ledger balance.
    pub host_paid: u128,
    /// Base units to the protocol.
    pub fee: u128,
    /// Base units back to the renter.
    pub refund: u128,
    /// Tokens the voucher stated.
    pub tokens: u64,
    /// Transcript root the voucher stated.
    pub root: String,
    /// Transaction.
    pub tx: String,
}

/// Every closing of a session; more than one would be a double settlement.
pub async fn closings(url: &str, marketplace: &str, session: &str) -> Vec<Closed> {
    let filter = json!([{
        "fromBlock": "0x0", "address": marketplace, "topics": [closed_topic(), session],
    }]);
    let logs = rpc(url, "eth_getLogs", filter).await;
    let (mut closings, mut seen) = (Vec::new(), Vec::new());
    for log in logs.as_array().expect("a list of logs") {
        // After a reorg anvil also lists logs of blocks that are gone, under whatever is there now.
        let place = (log["blockHash"].clone(), log["logIndex"].clone());
        let block = rpc(url, "eth_getBlockByNumber", json!([log["blockNumber"], false])).await;
        let txs = block["transactions"].as_array().expect("a list of transactions");
        let is_canonical = block["hash"] == place.0 && txs.contains(&log["transactionHash"]);
        if is_canonical && !seen.contains(&place) {
            seen.push(place);
            closings.push(closed(log));
        }
    }
    closings
}

fn closed(log: &Value) -> Closed {
    let data = log["data"].as_str().expect("data").trim_start_matches("0x").to_owned();
    let word = |index: usize| {
        let word = &data[index * 64..(index + 1) * 64];
        u128::from_str_radix(&word[32..], 16).expect("a number of at most 128 bits")
    };
    Closed {
        reason: u8::try_from(word(0)).expect("a reason"),
        host_paid: word(2),
        fee: word(3),
        refund: word(4),
        tokens: u64::try_from(word(5)).expect("a count"),
        root: format!("0x{}", &data[6 * 64..7 * 64]),
        tx: log["transactionHash"].as_str().expect("a hash").to_owned(),
    }
}

fn padded(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
}

/// Ledger balance of an account; the zero address is the native coin.
pub async fn ledger(url: &str, marketplace: &str, account: &str, token: &str) -> u128 {
    let data =
        format!("{}{}{}", selector("balanceOf(address,address)"), padded(account), padded(token));
    number(&rpc(url, "eth_call", json!([{ "to": marketplace, "data": data }, "latest"])).await)
}

/// What an account holds of a token; the zero address is the native coin.
pub async fn held(url: &str, account: &str, token: &str) -> u128 {
    if token.trim_start_matches("0x").bytes().all(|digit| digit == b'0') {
        return number(&rpc(url, "eth_getBalance", json!([account, "latest"])).await);
    }
    let data = format!("{}{}", selector("balanceOf(address)"), padded(account));
    number(&rpc(url, "eth_call", json!([{ "to": token, "data": data }, "latest"])).await)
}

/// True if the transaction is mined and did not revert.
pub async fn succeeded(url: &str, tx: &str) -> bool {
    rpc(url, "eth_getTransactionReceipt", json!([tx])).await["status"] == "0x1"
}

fn number(value: &Value) -> u128 {
    let digits = value.as_str().expect("a hex number").trim_start_matches("0x");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { 0 } else { u128::from_str_radix(digits, 16).expect("at most 128 bits") }
}
