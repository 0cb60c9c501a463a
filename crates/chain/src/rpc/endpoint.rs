//! One endpoint: its transport, its health, and the chain it serves.

mod batch;

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::U64;
use capstan_base::ChainId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::rpc::board::Board;
use crate::rpc::fault::RpcFault;
use crate::rpc::http::{self, Reply};
use crate::rpc::message;
use crate::rpc::pool::PoolOptions;
use crate::rpc::socket::Socket;
use crate::rpc::url::RpcUrl;

/// A server may ask for a longer pause than our own, but never for more than this.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// No chain here makes as many blocks between two looks: another chain is behind the URL, or the
/// endpoint was away.
const LEAP: u64 = 1_000;

/// A row of silence lasts through pauses so many times as long as the silence that counts.
const LONGEST_PAUSE: u32 = 20;

/// A kind of question: an endpoint may never answer one kind, and others always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    method: &'static str,
    /// Of the block it is about, where it names one.
    tag: &'static str,
}

impl Question {
    /// Whatever it is.
    const ANY: Self = Self { method: "", tag: "" };

    /// The kind of these requests, which are all of one.
    pub(crate) fn of(method: &'static str, params: &[Value]) -> Self {
        let named = params.first().and_then(Value::as_array).and_then(|params| params.last());
        let tag = match named.and_then(Value::as_str) {
            Some("latest") => "latest",
            Some("safe") => "safe",
            Some("finalized") => "finalized",
            _ => "",
        };
        Self { method, tag }
    }
}

#[derive(Debug, Default)]
struct Health {
    /// Failures since the last success.
    failures: u32,
    /// Not asked before this.
    until: Option<Instant>,
    /// When it last answered with the right chain id, unless it was down since.
    checked: Option<Instant>,
    /// The wrong chain id it answered with.
    wrong_chain: Option<u64>,
    /// It takes no batches until then.
    no_batches: Option<Instant>,
    /// First and last time in a row that it did not say what two endpoints have to say.
    silent: BTreeMap<Question, (Instant, Instant)>,
}

#[derive(Debug)]
enum Transport {
    Http(reqwest::Client),
    Socket(Socket),
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    url: RpcUrl,
    index: usize,
    expected: ChainId,
    /// What metrics call its chain; its id until it is told.
    chain_name: OnceLock<String>,
    options: PoolOptions,
    transport: Transport,
    board: Arc<Board>,
    health: Mutex<Health>,
    next_id: AtomicU64,
    looking: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(
        (index, url): (usize, RpcUrl),
        expected: ChainId,
        options: PoolOptions,
        client: &reqwest::Client,
        board: Arc<Board>,
    ) -> Self {
        let transport = if url.is_socket() {
            let board = Arc::clone(&board);
            let hint = Arc::new(move |number| {
                board.observe(index, number);
            });
            Transport::Socket(Socket::new(url.clone(), hint))
        } else {
            Transport::Http(client.clone())
        };
        let (health, next_id, looking) = (Mutex::default(), AtomicU64::new(1), false.into());
        let chain_name = OnceLock::new();
        Self {
            url,
            index,
            expected,
            chain_name,
            options,
            transport,
            board,
            health,
            next_id,
            looking,
        }
    }

    /// Says what metrics call its chain.
    pub(crate) fn call_chain(&self, name: &str) {
        // A chain has one name: a second call changes nothing.
        let _ = self.chain_name.set(name.to_owned());
    }

    pub(crate) fn chain_name(&self) -> String {
        self.chain_name.get().cloned().unwrap_or_else(|| self.expected.to_string())
    }

    pub(crate) fn url(&self) -> &RpcUrl {
        &self.url
    }

    pub(crate) fn expected(&self) -> ChainId {
        self.expected
    }

    /// When it may be asked again; `None` if now.
    pub(crate) fn cooling(&self) -> Option<Instant> {
        self.health().until.filter(|until| *until > Instant::now())
    }

    /// The other chain it serves.
    pub(crate) fn wrong_chain(&self) -> Option<ChainId> {
        self.health().wrong_chain.map(ChainId)
    }

    /// Records whether it answered a question of this kind, which two endpoints had to say something to.
    pub(crate) fn heard(&self, question: Question, answered: bool) {
        let (now, mut health) = (Instant::now(), self.health());
        for question in [question, Question::ANY] {
            if answered {
                health.silent.remove(&question);
                continue;
            }
            let row = health.silent.entry(question).or_insert((now, now));
            // Long ago is no row: it was not asked since.
            if now.duration_since(row.1) > self.options.silence.saturating_mul(LONGEST_PAUSE) {
                row.0 = now;
            }
            row.1 = now;
        }
    }

    /// True if it has not answered such a question for so long that nobody waits for it any more. Others
    /// it may answer: a node without old state, or one whose plan lacks a method.
    pub(crate) fn is_silent_for_long(&self, question: Question) -> bool {
        let health = self.health();
        let rows = [question, Question::ANY].map(|question| health.silent.get(&question).copied());
        rows.into_iter().flatten().any(|(first, _)| first.elapsed() >= self.options.silence)
    }

    /// Asks once, after making sure of the chain id. Health is updated by what comes back.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Box<RawValue>, RpcFault> {
        self.ensure_chain(self.options.recheck).await?;
        self.request(method, params).await
    }

    /// Looks where its head is, and now and then which chain it serves, off the path of whoever
    /// waits for an answer. Does nothing while an earlier look is on its way, or if an answer or a
    /// subscription just told.
    pub(crate) async fn look(&self) {
        if self.board.is_fresh(self.index, self.options.look)
            || self.looking.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let _looking = Looking(&self.looking);
        if self.ensure_chain(self.options.recheck / 2).await.is_ok()
            && let Err(fault) = self.request("eth_blockNumber", &json!([])).await
        {
            debug!(endpoint = %self.url, %fault, "the head is not known");
        }
    }

    /// Has it show the block at a head that no other endpoint has.
    pub(crate) async fn show(&self, number: u64) {
        let params = json!([U64::from(number), false]);
        let shown = self.ask("eth_getBlockByNumber", &params).await;
        if shown.is_ok_and(|block| number_of_block(&block) == Some(number)) {
            self.board.show(self.index, number);
        }
    }

    async fn ensure_chain(&self, within: Duration) -> Result<(), RpcFault> {
        let is_fresh = self.health().checked.is_some_and(|checked| checked.elapsed() < within);
        if is_fresh {
            return Ok(());
        }
        let answer = self.request("eth_chainId", &json!([])).await?;
        let found: U64 = serde_json::from_str(answer.get())
            .map_err(|_| RpcFault::Garbled("chain id is not a number"))?;
        let found = found.to::<u64>();
        let mut health = self.health();
        if found == self.expected.0 {
            health.checked = Some(Instant::now());
            health.wrong_chain = None;
            drop(health);
            self.board.admit(self.index);
            return Ok(());
        }
        health.checked = None;
        health.wrong_chain = Some(found);
        health.until = Instant::now().checked_add(self.options.ejection);
        drop(health);
        self.board.forget(self.index);
        warn!(endpoint = %self.url, expected = %self.expected, found, "endpoint serves another chain");
        Err(RpcFault::WrongChain(found))
    }

    async fn request(&self, method: &str, params: &Value) -> Result<Box<RawValue>, RpcFault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let ids = id..id.saturating_add(1);
        let body = message::single(id, method, params);
        let started = Instant::now();
        let reply = self.exchange(&body, ids, self.options.deadline).await;
        let answer = reply.and_then(|reply| {
            let answer = message::parse(&reply.body, id);
            reply.judge(answer.and_then(|answer| answer.map_err(|error| error.into_fault(method))))
        });
        self.record(method, started.elapsed(), answer.as_ref().err());
        if let Ok(raw) = &answer {
            self.observe(method, params, raw);
        }
        answer
    }

    async fn exchange(
        &self,
        body: &Value,
        ids: Range<u64>,
        deadline: Duration,
    ) -> Result<Reply, RpcFault> {
        match &self.transport {
            Transport::Http(client) => {
                let exchange = http::exchange(client, &self.url, body);
                tokio::time::timeout(deadline, exchange).await.unwrap_or(Err(RpcFault::TimedOut))
            }
            Transport::Socket(socket) => socket.exchange(body, ids, deadline).await,
        }
    }

    /// Takes the head out of answers that hold it.
    fn observe(&self, method: &str, params: &Value, raw: &RawValue) {
        let is_latest = params.get(0).and_then(Value::as_str) == Some("latest");
        let number = match method {
            "eth_blockNumber" => {
                serde_json::from_str::<U64>(raw.get()).ok().map(|number| number.to())
            }
            "eth_getBlockByNumber" if is_latest => number_of_block(raw),
            _ => None,
        };
        let Some(number) = number else { return };
        let before = self.board.observe(self.index, number);
        if before.is_some_and(|before| before.abs_diff(number) > LEAP) {
            self.health().checked = None;
        }
    }

    fn record(&self, method: &str, took: Duration, fault: Option<&RpcFault>) {
        let outcome = match fault {
            None => "ok",
            Some(RpcFault::Answer(_) | RpcFault::BatchRefused) => "error",
            Some(RpcFault::RateLimited(_)) => "rate_limited",
            Some(_) => "failed",
        };
        metrics::counter!("capstan_rpc_requests_total",
            "chain" => self.chain_name(), "endpoint" => self.url.to_string(),
            "outcome" => outcome)
        .increment(1);
        metrics::histogram!("capstan_rpc_seconds", "chain" => self.chain_name())
            .record(took.as_secs_f64());
        let mut health = self.health();
        match fault {
            None | Some(RpcFault::Answer(_) | RpcFault::BatchRefused) => {
                health.failures = 0;
                health.until = None;
            }
            Some(fault) => {
                health.failures = health.failures.saturating_add(1);
                health.checked = None;
                let asked = match fault {
                    RpcFault::RateLimited(pause) => pause.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let doubled = 1_u32.checked_shl(health.failures.saturating_sub(1).min(6));
                let own = self.options.cool_down.saturating_mul(doubled.unwrap_or(64));
                let pause = own.max(asked).min(MAX_PAUSE);
                health.until = Instant::now().checked_add(pause);
                debug!(endpoint = %self.url, method, %fault, ?pause, "endpoint failed");
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a look as over, however it ends.
struct Looking<'a>(&'a AtomicBool);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn number_of_block(block: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Block {
        number: U64,
    }
    serde_json::from_str::<Block>(block.get()).ok().map(|block| block.number.to())
}
