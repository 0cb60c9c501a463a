//! One endpoint and its health.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::U64;
use capstan_base::ChainId;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::rpc::pool::PoolOptions;
use crate::rpc::transport::{self, RpcFault};
use crate::rpc::url::RpcUrl;

/// A server may ask for a longer pause than our own, but never for more than this.
const MAX_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Health {
    /// Failures since the last success.
    failures: u32,
    /// Not asked before this.
    until: Option<Instant>,
    /// Answered with the right chain id since it was last down.
    checked: bool,
    /// The wrong chain id it answered with.
    wrong_chain: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    url: RpcUrl,
    expected: ChainId,
    options: PoolOptions,
    client: reqwest::Client,
    health: Mutex<Health>,
    next_id: AtomicU64,
}

impl Endpoint {
    pub(crate) fn new(
        url: RpcUrl,
        expected: ChainId,
        options: PoolOptions,
        client: reqwest::Client,
    ) -> Self {
        let next_id = AtomicU64::new(1);
        Self { url, expected, options, client, health: Mutex::default(), next_id }
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

    /// Asks once, after making sure of the chain id. Health is updated by what comes back.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Box<RawValue>, RpcFault> {
        if !self.health().checked {
            self.check_chain().await?;
        }
        self.exchange(method, params).await
    }

    async fn check_chain(&self) -> Result<(), RpcFault> {
        let answer = self.exchange("eth_chainId", &json!([])).await?;
        let found: U64 = serde_json::from_str(answer.get())
            .map_err(|_| RpcFault::Garbled("chain id is not a number"))?;
        let found = found.to::<u64>();
        let mut health = self.health();
        if found == self.expected.0 {
            health.checked = true;
            health.wrong_chain = None;
            return Ok(());
        }
        health.wrong_chain = Some(found);
        health.until = Instant::now().checked_add(self.options.ejection);
        warn!(endpoint = %self.url, expected = %self.expected, found, "endpoint serves another chain");
        Err(RpcFault::WrongChain(found))
    }

    async fn exchange(&self, method: &str, params: &Value) -> Result<Box<RawValue>, RpcFault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let deadline = self.options.deadline;
        let answer =
            transport::request(&self.client, &self.url, deadline, id, method, params).await;
        self.record(method, started.elapsed(), answer.as_ref().err());
        answer
    }

    fn record(&self, method: &str, took: Duration, fault: Option<&RpcFault>) {
        let outcome = match fault {
            None => "ok",
            Some(RpcFault::Answer(_)) => "error",
            Some(RpcFault::RateLimited(_)) => "rate_limited",
            Some(_) => "failed",
        };
        metrics::counter!("capstan_rpc_requests_total",
            "chain" => self.expected.to_string(), "endpoint" => self.url.to_string(),
            "outcome" => outcome)
        .increment(1);
        metrics::histogram!("capstan_rpc_seconds", "chain" => self.expected.to_string())
            .record(took.as_secs_f64());
        let mut health = self.health();
        match fault {
            None | Some(RpcFault::Answer(_)) => {
                health.failures = 0;
                health.until = None;
            }
            Some(fault) => {
                health.failures = health.failures.saturating_add(1);
                health.checked = false;
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
