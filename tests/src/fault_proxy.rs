//! A JSON-RPC proxy in front of a node that fails its callers in every way endpoints are known to.
//!
//! Without a rule it passes bytes through as they are. Batches are understood: each entry has a
//! fault of its own, and the worst of them decides what becomes of the exchange. It speaks HTTP by
//! hyper alone, since no framework above it lets a handler close a connection without an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{B256, Bytes, keccak256};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

mod exchange;
mod node;
mod rule;

pub use node::Node;
pub use rule::{Fault, Rule};

/// The proxy; gone when dropped.
pub struct FaultProxy {
    /// Endpoint to use instead of the node's own.
    pub url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    node: Arc<Node>,
    state: Mutex<State>,
    strict: AtomicBool,
}

struct State {
    rules: Vec<Rule>,
    dice: fastrand::Rng,
    /// Polls for which each transaction's receipt stays hidden.
    hidden: HashMap<String, u32>,
    struck: BTreeMap<&'static str, u64>,
    sent: BTreeSet<B256>,
}

impl FaultProxy {
    /// A proxy of its own before the node at this endpoint, without a rule.
    pub async fn before(url: &str) -> Self {
        Self::sharing(Arc::new(Node::new(url)), 0).await
    }

    /// A proxy before a node that others stand before too; chances are drawn from this seed.
    pub async fn sharing(node: Arc<Node>, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let state = State {
            rules: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
            hidden: HashMap::new(),
            struck: BTreeMap::new(),
            sent: BTreeSet::new(),
        };
        let strict = AtomicBool::new(false);
        let shared = Arc::new(Shared { node, state: Mutex::new(state), strict });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        Self { url, shared, server }
    }

    /// From now on these rules, the first that strikes; none is plain passing through.
    pub fn set(&self, rules: Vec<Rule>) {
        self.shared.state().rules = rules;
    }

    /// From now on this, whatever is asked.
    pub fn only(&self, fault: Fault) {
        self.set(vec![Rule::all(fault)]);
    }

    /// From now on no rule; receipts that were hidden are no longer.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        state.hidden.clear();
    }

    /// Whether raw transactions are taken by the rules of geth and reth rather than anvil's.
    pub fn be_strict(&self, strict: bool) {
        self.shared.strict.store(strict, Ordering::SeqCst);
    }

    /// Faults so far, by name.
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        self.shared.state().struck.clone()
    }

    /// Hashes of all raw transactions it was given.
    pub fn sent(&self) -> BTreeSet<B256> {
        self.shared.state().sent.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_strict(&self) -> bool {
        self.strict.load(Ordering::SeqCst)
    }

    /// The first rule that strikes this request.
    fn draw(&self, entry: &Value, in_batch: bool) -> Option<Fault> {
        let method = entry["method"].as_str()?;
        let mut state = self.state();
        let State { rules, dice, struck, .. } = &mut *state;
        let fault = rules.iter_mut().find_map(|rule| rule.strikes(method, in_batch, dice))?;
        *struck.entry(fault.name()).or_default() += 1;
        Some(fault)
    }

    /// True while a transaction's receipt stays hidden; counts the poll.
    fn hides(&self, entry: &Value, polls: u32) -> bool {
        let hash = entry["params"][0].to_string();
        let mut state = self.state();
        let left = state.hidden.entry(hash).or_insert(polls);
        let hides = *left > 0;
        *left = left.saturating_sub(1);
        hides
    }

    fn saw_raw(&self, raw: &Value) {
        if let Some(raw) = raw.as_str().and_then(|raw| raw.parse::<Bytes>().ok()) {
            self.state().sent.insert(keccak256(raw));
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move {
                    let body = request.into_body().collect().await.map_err(|_| exchange::Broken)?;
                    shared.exchange(body.to_bytes().into()).await
                }
            });
            // A broken connection is what was asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
