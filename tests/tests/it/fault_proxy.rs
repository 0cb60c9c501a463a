//! The fault proxy in front of a real node: each rule does what its name says, none does nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use capstan_base::ChainId;
use capstan_chain::{Call, Fees, LocalSigner, TxFields};
use capstan_tests::anvil::{Anvil, Mining};
use capstan_tests::fault_proxy::{Fault, FaultProxy, Node, Rule};
use serde_json::{Value, json};

const CHAIN: u64 = 84532;
const GWEI: u128 = 1_000_000_000;

/// A node that mines on demand, and a proxy before it.
struct Bench {
    anvil: Anvil,
    proxy: FaultProxy,
    account: LocalSigner,
}

/// What came back: status and body.
type Answer = Option<(u16, String)>;

impl Bench {
    async fn start() -> Self {
        let anvil = Anvil::start(CHAIN, Mining::Instant);
        let proxy = FaultProxy::before(&anvil.url).await;
        let account = LocalSigner::random();
        let coins = U256::from(10_u128.pow(20));
        anvil.rpc("anvil_setBalance", json!([account.address(), coins])).await;
        anvil.rpc("anvil_mine", json!(["0xa"])).await;
        anvil.rpc("evm_setAutomine", json!([false])).await;
        Self { anvil, proxy, account }
    }

    async fn ask(&self, body: &Value) -> Answer {
        post(&self.proxy.url, body).await
    }

    /// One call through the proxy; its answer has to be JSON.
    async fn call(&self, method: &str, params: Value) -> Value {
        let (status, body) = self.ask(&request(1, method, params)).await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    fn raw(&self, nonce: u64, gwei: u128) -> Value {
        let fees = Fees::Eip1559 { max_fee: gwei * GWEI, priority_fee: gwei * GWEI / 10 };
        let to = Address::repeat_byte(7);
        let call = Call { to, value: U256::from(1), data: Default::default() };
        let fields = TxFields::of_call(ChainId(CHAIN), nonce, &call, 21_000, fees);
        json!([self.account.sign_transaction(&fields).expect("a signature").raw])
    }

    async fn send(&self, nonce: u64, gwei: u128) -> Value {
        self.call("eth_sendRawTransaction", self.raw(nonce, gwei)).await
    }

    /// Hashes of the account's transactions in the node's pool.
    async fn pool(&self) -> usize {
        Node::new(&self.anvil.url).pool(self.account.address()).await.len()
    }

    async fn head(&self) -> u64 {
        number(&self.anvil.rpc("eth_blockNumber", json!([])).await)
    }
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("no number: {value}"));
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number")
}

async fn post(url: &str, body: &Value) -> Answer {
    let client = reqwest::Client::builder().timeout(Duration::from_millis(700)).build().unwrap();
    let response = client.post(url).json(body).send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}

/// A batch of three and what is in it.
fn batch() -> Value {
    json!([
        request(7, "eth_chainId", json!([])),
        request(8, "eth_blockNumber", json!([])),
        request(9, "eth_getBlockByNumber", json!(["latest", false])),
    ])
}

#[tokio::test]
async fn without_a_rule_bytes_pass_as_they_are() {
    let bench = Bench::start().await;
    for body in [
        request(1, "eth_getBlockByNumber", json!(["latest", false])),
        request(2, "no_such_method", json!([])),
        batch(),
        json!([]),
        json!("no request at all"),
    ] {
        let direct = post(&bench.anvil.url, &body).await.expect("an answer");
        assert_eq!(bench.ask(&body).await.expect("an answer"), direct, "{body}");
    }
    // A rule for another method changes nothing either.
    bench.proxy.set(vec![Rule::on("eth_call", Fault::Html)]);
    assert_eq!(bench.ask(&batch()).await, post(&bench.anvil.url, &batch()).await);
    assert!(bench.proxy.struck().is_empty());
}

#[tokio::test]
async fn a_dropped_request_is_carried_out_only_after() {
    let bench = Bench::start().await;
    let raw = request(1, "eth_sendRawTransaction", bench.raw(0, 10));
    for (fault, in_pool) in [(Fault::DropBefore, 0), (Fault::Hang, 0), (Fault::DropAfter, 1)] {
        bench.proxy.only(fault);
        assert_eq!(bench.ask(&raw).await, None, "{fault:?}");
        assert_eq!(bench.pool().await, in_pool, "{fault:?}");
    }
    assert_eq!(bench.proxy.sent().len(), 1, "the same bytes");
    bench.proxy.clear();
    let known = bench.call("eth_sendRawTransaction", bench.raw(0, 10)).await;
    assert!(known["error"]["message"].as_str().unwrap().contains("already"), "{known}");
    bench.proxy.only(Fault::Delay(Duration::from_millis(300)));
    let begun = Instant::now();
    bench.call("eth_chainId", json!([])).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn http_and_json_may_be_anything() {
    let bench = Bench::start().await;
    let chain_id = request(1, "eth_chainId", json!([]));
    bench.proxy.only(Fault::TooManyRequests(3));
    let response =
        reqwest::Client::new().post(&bench.proxy.url).json(&chain_id).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    bench.proxy.only(Fault::Unavailable);
    assert_eq!(bench.ask(&chain_id).await.unwrap().0, 503);
    bench.proxy.only(Fault::Html);
    assert!(bench.ask(&chain_id).await.unwrap().1.starts_with("<html>"));
    bench.proxy.only(Fault::Truncated);
    let (status, half) = bench.ask(&chain_id).await.unwrap();
    assert!(
        status == 200 && half.starts_with('{') && serde_json::from_str::<Value>(&half).is_err()
    );
    bench.proxy.only(Fault::BrokenOff);
    assert_eq!(bench.ask(&chain_id).await, None);
    for (fault, expected) in [
        (Fault::WrongType, json!({ "jsonrpc": "2.0", "id": 1, "result": {} })),
        (Fault::ForeignId, json!({ "jsonrpc": "2.0", "id": u32::MAX, "result": "0x14a34" })),
        (Fault::NoId, json!({ "jsonrpc": "2.0", "result": "0x14a34" })),
        (Fault::Absent, json!({ "jsonrpc": "2.0", "id": 1 })),
        (Fault::WrongChain(1), json!({ "jsonrpc": "2.0", "id": 1, "result": "0x1" })),
    ] {
        bench.proxy.only(fault);
        assert_eq!(bench.call("eth_chainId", json!([])).await, expected, "{fault:?}");
    }
    bench.proxy.only(Fault::Twice);
    assert_eq!(bench.call("eth_chainId", json!([])).await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn entries_of_a_batch_have_faults_of_their_own() {
    let bench = Bench::start().await;
    let ids = async |fault| {
        bench.proxy.set(vec![Rule::on("eth_blockNumber", fault)]);
        let (_, body) = bench.ask(&batch()).await.expect("an answer");
        let answers: Vec<Value> = serde_json::from_str(&body).expect("a batch");
        answers.iter().map(|answer| answer["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids(Fault::Shuffled).await, [Some(9), Some(8), Some(7)]);
    assert_eq!(ids(Fault::ForeignId).await, [Some(7), Some(9), Some(9)]);
    assert_eq!(ids(Fault::NoId).await, [Some(7), None, Some(9)]);
    assert_eq!(ids(Fault::Absent).await, [Some(7), Some(9)]);
    assert_eq!(ids(Fault::Twice).await, [Some(7), Some(8), Some(8), Some(9)]);
    bench.proxy.set(vec![Rule::on("eth_chainId", Fault::DropBefore)]);
    assert_eq!(bench.ask(&batch()).await, None, "one entry decides for all");
    bench.proxy.set(vec![Rule::on("eth_blockNumber", Fault::WrongType)]);
    let (_, body) = bench.ask(&batch()).await.unwrap();
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!("0x14a34"), &json!({})));
}

#[tokio::test]
async fn a_stale_node_knows_nothing_newer() {
    let bench = Bench::start().await;
    let account = json!([bench.account.address(), "latest"]);
    let hash = bench.send(0, 10).await["result"].clone();
    bench.anvil.rpc("anvil_mine", json!(["0x2"])).await;
    let head = bench.head().await;
    bench.proxy.only(Fault::Stale(3));
    assert_eq!(number(&bench.call("eth_blockNumber", json!([])).await["result"]), head - 3);
    for (tag, behind) in [("latest", 3), ("safe", 4), ("finalized", 5)] {
        let block = bench.call("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(number(&block["result"]["number"]), head - behind, "{tag}");
    }
    let newest = json!([format!("0x{head:x}"), false]);
    assert_eq!(bench.call("eth_getBlockByNumber", newest).await["result"], Value::Null);
    let receipt = bench.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["result"], Value::Null);
    assert_eq!(bench.call("eth_getTransactionCount", account.clone()).await["result"], "0x0");
    bench.proxy.only(Fault::Stale(1));
    assert_eq!(bench.call("eth_getTransactionCount", account).await["result"], "0x1");
    let receipt = bench.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["result"]["status"], "0x1");
}

#[tokio::test]
async fn a_node_may_lie_about_receipts_and_nonces() {
    let bench = Bench::start().await;
    let hash = bench.send(0, 10).await["result"].clone();
    bench.anvil.rpc("evm_mine", json!([])).await;
    bench.proxy.only(Fault::NoReceipt(2));
    for poll in 0..4 {
        let receipt = bench.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["result"].is_null(), poll < 2, "poll {poll}");
    }
    let account = json!([bench.account.address(), "latest"]);
    for (by, seen) in [(-1, "0x0"), (-5, "0x0"), (3, "0x4")] {
        bench.proxy.only(Fault::Nonce(by));
        let nonce = bench.call("eth_getTransactionCount", account.clone()).await;
        assert_eq!(nonce["result"], seen, "{by}");
    }
}

#[tokio::test]
async fn a_node_may_refuse_what_it_has_and_have_what_it_refuses() {
    let bench = Bench::start().await;
    for (nonce, fault, words, taken) in [
        (0, Fault::Underpriced, "replacement transaction underpriced", 0),
        (0, Fault::PoolFull, "txpool is full", 0),
        (0, Fault::InFlightLimit, "in-flight transaction limit", 0),
        (0, Fault::AlreadyKnown, "already known", 0),
        (0, Fault::AlreadyHad, "already known", 1),
    ] {
        bench.proxy.only(fault);
        let answer = bench.send(nonce, 10).await;
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(words), "{answer}");
        assert_eq!(bench.pool().await, taken, "{fault:?}");
    }
    assert_eq!(bench.proxy.struck()["already_known"], 1);
}

#[tokio::test]
async fn a_rule_strikes_by_chance_and_by_count() {
    let bench = Bench::start().await;
    bench.proxy.set(vec![Rule::on("eth_chainId", Fault::Unavailable).times(2)]);
    let statuses = async |rounds: u32| {
        let mut all = Vec::new();
        for _ in 0..rounds {
            all.push(bench.ask(&request(1, "eth_chainId", json!([]))).await.unwrap().0);
        }
        all
    };
    assert_eq!(statuses(4).await, [503, 503, 200, 200]);
    bench.proxy.set(vec![Rule::all(Fault::Unavailable).chance(500)]);
    let first = statuses(40).await;
    assert!(first.contains(&200) && first.contains(&503), "{first:?}");
}

#[tokio::test]
async fn a_strict_node_takes_what_geth_takes() {
    let bench = Bench::start().await;
    bench.proxy.be_strict(true);
    let words = |answer: Value| answer["error"]["message"].as_str().unwrap_or("taken").to_owned();
    assert_eq!(words(bench.send(0, 100).await), "taken");
    assert_eq!(words(bench.send(0, 109).await), "replacement transaction underpriced");
    assert_eq!(words(bench.send(0, 110).await), "taken");
    assert!(words(bench.send(0, 110).await).contains("already"));
    for nonce in 1..16 {
        assert_eq!(words(bench.send(nonce, 100).await), "taken");
    }
    assert_eq!(words(bench.send(16, 100).await), "txpool is full");
    assert_eq!(words(bench.send(15, 200).await), "taken", "a replacement needs no slot");
    bench.anvil.rpc("evm_mine", json!([])).await;
    for nonce in 17..33 {
        assert_eq!(words(bench.send(nonce, 100).await), "taken");
    }
    assert_eq!(words(bench.send(33, 100).await), "txpool is full");
    assert_eq!(words(bench.send(16, 100).await), "taken", "those behind it wait for it");
    // In two blocks, whatever part of a pool anvil takes into one.
    bench.anvil.rpc("anvil_mine", json!(["0x2"])).await;
    let delegated = format!("0xef0100{}", "11".repeat(20));
    bench.anvil.rpc("anvil_setCode", json!([bench.account.address(), delegated])).await;
    let gapped = "gapped-nonce tx from delegated accounts";
    assert_eq!(words(bench.send(34, 100).await), gapped);
    assert_eq!(words(bench.send(33, 100).await), "taken");
    let limit = "in-flight transaction limit reached for delegated accounts";
    assert_eq!(words(bench.send(34, 100).await), limit);
    assert_eq!(words(bench.send(33, 200).await), "taken");
    bench.proxy.be_strict(false);
    assert_eq!(words(bench.send(34, 100).await), "taken");
}

#[tokio::test]
async fn proxies_before_one_node_share_its_pool_rules() {
    let bench = Bench::start().await;
    let node = Arc::new(Node::new(&bench.anvil.url));
    let (one, two) =
        (FaultProxy::sharing(Arc::clone(&node), 1).await, FaultProxy::sharing(node, 2).await);
    one.be_strict(true);
    two.be_strict(true);
    // Both at once: one of two equal fees is refused, whichever comes second.
    let body = |gwei| request(1, "eth_sendRawTransaction", bench.raw(0, gwei));
    let (ten, eleven) = (body(100), body(105));
    let (first, second) = tokio::join!(post(&one.url, &ten), post(&two.url, &eleven));
    let refused = [first, second]
        .iter()
        .filter(|answer| answer.as_ref().unwrap().1.contains("underpriced"))
        .count();
    assert_eq!(refused, 1);
    assert_eq!(bench.pool().await, 1);
}
