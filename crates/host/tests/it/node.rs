//! An endpoint of a chain that is told how it stands: JSON-RPC as far as reading sessions and funds
//! needs it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use alloy_primitives::{U64, U256};
use alloy_sol_types::{SolCall, SolEvent};
use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::post;
use capstan_base::{Address, B256, ChainId, SessionKey};
use capstan_chain::bindings::abi::JobMarketplace;
use capstan_chain::{ChainClient, ChainConfig, ChainRegistry};
use serde_json::{Value, json};

/// What the chain says.
#[derive(Default)]
pub struct Chain {
    pub head: u64,
    pub safe: u64,
    /// Closed sessions: block and transaction.
    pub closed: HashMap<SessionKey, (u64, B256)>,
    /// Transactions with a receipt besides those that closed a session, and whether closings are in it.
    pub receipts: HashMap<B256, bool>,
    /// Transactions that an event tells of and that have no receipt.
    pub invented: Vec<B256>,
    pub balance: U256,
    /// Calls of these contracts fail.
    pub broken: Vec<Address>,
    /// How often each method was asked for.
    pub asked: BTreeMap<String, usize>,
}

/// The endpoint.
pub struct Node {
    url: String,
    chain: Arc<Mutex<Chain>>,
}

impl Node {
    pub async fn start(chain: Chain) -> Self {
        let chain = Arc::new(Mutex::new(chain));
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&chain));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, chain }
    }

    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    /// Base Sepolia at this endpoint, with a marketplace.
    pub fn config(&self, marketplace: Address) -> ChainConfig {
        let set = |name: &str| match name {
            "BASE_SEPOLIA_RPC_URL" => Some(self.url.clone()),
            "BASE_SEPOLIA_JOB_MARKETPLACE" => Some(marketplace.to_string()),
            "BASE_SEPOLIA_NODE_REGISTRY" => Some(Address::repeat_byte(0x0b).to_string()),
            _ => None,
        };
        let registry = ChainRegistry::load(&toml::Table::new(), set).unwrap();
        registry.get(ChainId(84532)).unwrap().clone()
    }
}

/// Clients as a host holds them.
pub fn chains(config: ChainConfig) -> BTreeMap<ChainId, Arc<ChainClient>> {
    BTreeMap::from([(config.chain_id, Arc::new(ChainClient::connect(config)))])
}

async fn answer(State(chain): State<Arc<Mutex<Chain>>>, Json(asked): Json<Value>) -> Json<Value> {
    let mut chain = chain.lock().unwrap();
    let mut one = |asked: &Value| {
        let method = asked["method"].as_str().unwrap();
        *chain.asked.entry(method.to_owned()).or_default() += 1;
        match chain.say(method, &asked["params"]) {
            Some(result) => json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }),
            None => json!({
                "jsonrpc": "2.0", "id": asked["id"],
                "error": { "code": -32000, "message": "as told" },
            }),
        }
    };
    Json(match &asked {
        Value::Array(all) => all.iter().map(&mut one).collect(),
        asked => one(asked),
    })
}

impl Chain {
    fn say(&self, method: &str, params: &Value) -> Option<Value> {
        Some(match method {
            "eth_chainId" => json!(U64::from(84532)),
            "eth_getBlockByNumber" => self.block(self.height(&params[0])),
            "eth_getBalance" => json!(self.balance),
            "eth_getCode" => json!("0x"),
            "eth_gasPrice" | "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_call" => {
                let to: Address = serde_json::from_value(params[0]["to"].clone()).unwrap();
                if self.broken.contains(&to) {
                    return None;
                }
                let data = params[0].get("data").or_else(|| params[0].get("input")).unwrap();
                let data: alloy_primitives::Bytes = serde_json::from_value(data.clone()).unwrap();
                match JobMarketplace::sessionsCall::abi_decode(&data) {
                    Ok(call) => self.session(to, call.sessionId, self.height(&params[1])),
                    Err(_) => json!(format!("0x{}", "00".repeat(32))),
                }
            }
            "eth_getLogs" => {
                let filter = &params[0];
                let address: Address = serde_json::from_value(filter["address"].clone()).unwrap();
                let id = filter["topics"][1].as_str().unwrap();
                let (from, to) =
                    (self.height(&filter["fromBlock"]), self.height(&filter["toBlock"]));
                let found = self.closed.iter().filter(|(key, (block, _))| {
                    key.marketplace == address
                        && key.session_id.0.to_string() == id
                        && (from..=to).contains(block)
                });
                found.map(|(key, (block, tx))| log(key, *block, *tx)).collect()
            }
            "eth_getTransactionReceipt" => {
                let hash: B256 = serde_json::from_value(params[0].clone()).unwrap();
                if self.invented.contains(&hash) {
                    return Some(Value::Null);
                }
                let closes = || self.closed.iter().filter(|(_, (_, tx))| *tx == hash);
                let tells = match self.receipts.get(&hash) {
                    Some(tells) => *tells,
                    None if closes().next().is_some() => true,
                    None => return Some(Value::Null),
                };
                let logs = closes().filter(|_| tells);
                let number = closes().map(|(_, (block, _))| *block).next().unwrap_or(90);
                json!({
                    "transactionHash": hash, "blockNumber": U64::from(number),
                    "blockHash": block_hash(number),
                    "status": "0x1", "gasUsed": "0xea60", "effectiveGasPrice": "0x2",
                    "logs": logs.map(|(key, (block, tx))| log(key, *block, *tx)).collect::<Vec<_>>(),
                })
            }
            _ => return None,
        })
    }

    fn height(&self, tag: &Value) -> u64 {
        match tag.as_str().unwrap() {
            "latest" => self.head,
            "safe" | "finalized" => self.safe,
            number => number.parse::<U64>().unwrap().to(),
        }
    }

    fn block(&self, number: u64) -> Value {
        json!({
            "number": U64::from(number), "hash": block_hash(number), "timestamp": "0x1",
            "baseFeePerGas": "0x1",
        })
    }

    fn session(&self, marketplace: Address, id: B256, height: u64) -> Value {
        let is = |key: &&SessionKey| key.marketplace == marketplace && key.session_id.0 == id;
        let closed = self.closed.keys().find(is).and_then(|key| self.closed.get(key));
        let status = if closed.is_some_and(|(block, _)| *block <= height) { 3 } else { 1 };
        let session = JobMarketplace::Session {
            status,
            feeBps: 100,
            challengeEnd: Default::default(),
            presented: Default::default(),
            topUp: Default::default(),
        };
        json!(alloy_primitives::Bytes::from(JobMarketplace::sessionsCall::abi_encode_returns(
            &session
        )))
    }
}

fn block_hash(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

fn log(key: &SessionKey, block: u64, tx: B256) -> Value {
    let event = JobMarketplace::SessionClosed {
        sessionId: key.session_id.0,
        host: Address::repeat_byte(0xaa),
        renter: Address::repeat_byte(0xcc),
        reason: 0,
        token: Address::ZERO,
        hostPaid: alloy_primitives::Uint::from(6),
        fee: alloy_primitives::Uint::from(1),
        refund: alloy_primitives::Uint::from(993),
        tokens: 6,
        transcriptRoot: B256::ZERO,
    };
    let data = event.encode_log_data();
    json!({
        "address": key.marketplace, "topics": data.topics(), "data": data.data,
        "blockNumber": U64::from(block), "transactionHash": tx,
    })
}
