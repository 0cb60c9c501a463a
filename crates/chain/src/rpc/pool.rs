//! Several endpoints behind one face: reads go to the freshest that agrees with the others,
//! broadcasts to all.

mod agree;
mod broadcast;
mod look;
mod open;
mod tally;
mod voices;

use core::time::Duration;
use std::sync::{Arc, Mutex};

use capstan_base::ChainId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::RpcError;
use crate::rpc::board::Board;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::pool::open::{Open, shaped};
use crate::rpc::select::{self, Candidate, View};
use crate::rpc::url::RpcUrl;

pub(crate) use agree::Ran;
pub use agree::{Found, Voices};

/// Endpoints that must say the same before it is believed.
pub(crate) const VOICES: usize = 2;

/// Times of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Longest wait for one answer of one endpoint. Default 5 s: a healthy endpoint needs less than
    /// one, and a settlement worker must get to the next endpoint within a few blocks.
    pub deadline: Duration,
    /// Pause after the first failure, doubled with each further one up to a minute. Default 1 s.
    pub cool_down: Duration,
    /// Pause for an endpoint that serves another chain. Default 5 min: that is a mistake of
    /// somebody's configuration, and does not mend by itself soon.
    pub ejection: Duration,
    /// How often heads are looked at while the pool is in use and has more than one endpoint.
    /// Default 1 s; a client takes half the block time of its chain.
    pub look: Duration,
    /// How long a chain id counts: a URL may begin to serve another chain. Default 1 min. An
    /// outage, or a head that leaps, ends it at once.
    pub recheck: Duration,
    /// How long an endpoint that answers nothing of what two have to say is waited for, before what
    /// one other shows is enough. Default 30 s: a hiccup passes sooner, and one that is down for
    /// good must not hold settlements up for ever.
    pub silence: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            cool_down: Duration::from_secs(1),
            ejection: Duration::from_secs(300),
            look: Duration::from_secs(1),
            recheck: Duration::from_secs(60),
            silence: Duration::from_secs(30),
        }
    }
}

impl PoolOptions {
    /// The defaults for a chain with this time between blocks. Looking more often than five times a
    /// second tells no more of who lags; less often than every two seconds tells it too late.
    pub fn for_block_time(block_time: Duration) -> Self {
        let look = (block_time / 2).clamp(Duration::from_millis(200), Duration::from_secs(2));
        Self { look, ..Self::default() }
    }
}

/// The endpoints of one chain. Clones share connections and health.
#[derive(Clone, Debug)]
pub struct RpcPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoints: Vec<Arc<Endpoint>>,
    board: Arc<Board>,
    options: PoolOptions,
    /// When heads were last looked at, and the looks that are still on their way: they end with
    /// the pool.
    looked: Mutex<(Option<Instant>, JoinSet<()>)>,
    first_look: tokio::sync::Mutex<()>,
}

impl RpcPool {
    /// In order of preference. Does no IO: an endpoint's chain id is checked before its first use,
    /// again after each time it was down, and now and then.
    pub fn new(chain: ChainId, urls: &[RpcUrl], options: PoolOptions) -> Self {
        let client = reqwest::Client::builder()
            // A redirect could lead a request with its API key, or a transaction, anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.deadline)
            .build()
            .unwrap_or_default();
        let board = Arc::new(Board::new(urls.len()));
        let endpoint = |place: (usize, RpcUrl)| {
            Arc::new(Endpoint::new(place, chain, options, &client, Arc::clone(&board)))
        };
        let endpoints = urls.iter().cloned().enumerate().map(endpoint).collect();
        let (looked, first_look) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { inner: Arc::new(Inner { endpoints, board, options, looked, first_look }) }
    }

    /// The same pool, whose metrics call the chain so instead of by its id.
    #[must_use]
    pub fn of_chain(self, name: &str) -> Self {
        self.inner.endpoints.iter().for_each(|endpoint| endpoint.call_chain(name));
        self
    }

    /// Asks one endpoint after another until one gives a result of type `R`. An answer of `null`
    /// is a result: take it as an `Option`. It is the word of one endpoint; [`RpcPool::find`] asks
    /// for more.
    ///
    /// # Errors
    /// [`RpcError::Refused`] if an endpoint answered with an error. A revert is such an answer at
    /// once; any other is given only when no other endpoint knows better.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<R, RpcError> {
        let mut answers = self.call_many(method, vec![params]).await;
        answers.pop().unwrap_or(Err(RpcError::NoEndpoint))
    }

    /// The same for many requests of one method, batched where the endpoint takes batches. One
    /// result per request, in their order: what one endpoint does not answer, the next is asked.
    pub async fn call_many<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Vec<Result<R, RpcError>> {
        let order = self.order().await;
        let mut open = Open::new(method, params);
        for candidate in order {
            let Some(endpoint) = self.endpoint(candidate) else { continue };
            for (index, answer) in open.ask(endpoint, |_| true).await {
                match answer.and_then(|raw| shaped::<R>(&raw)) {
                    Ok(result) => open.settle(index, Ok(result)),
                    Err(fault) => open.failed(index, endpoint, fault),
                }
            }
            if open.open().next().is_none() {
                break;
            }
        }
        open.finish(self.all_wrong())
    }

    /// Scheme and host of each endpoint, and whether it is in use.
    pub fn endpoints(&self) -> Vec<(String, bool)> {
        let order = select::order(&self.views());
        let is_used =
            |index| order.iter().any(|found| found.index == index && !found.is_last_resort());
        let state = |(index, endpoint): (usize, &Arc<Endpoint>)| {
            (endpoint.url().to_string(), is_used(index))
        };
        self.inner.endpoints.iter().enumerate().map(state).collect()
    }

    /// The height that the endpoints agree on, as far as the pool has seen it. Changes wake whoever
    /// waits for a block; they are a hint, and come sooner from an endpoint with a WebSocket.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.inner.board.newest()
    }

    /// True if there is nobody to ask for a second opinion.
    pub(crate) fn is_single(&self) -> bool {
        self.inner.endpoints.len() < VOICES
    }

    /// False for a head that is beyond all that the other endpoints make likely.
    pub(crate) fn is_plausible(&self, head: u64) -> bool {
        let agreed = select::agreed_head(&self.views());
        agreed.is_none_or(|agreed| head.saturating_sub(agreed) <= select::MAX_BEHIND)
    }

    fn endpoint(&self, candidate: Candidate) -> Option<&Arc<Endpoint>> {
        self.inner.endpoints.get(candidate.index)
    }

    /// Whom to ask, by what is known now of their heads.
    async fn order(&self) -> Vec<Candidate> {
        self.look().await;
        let views = self.views();
        let agreed = select::agreed_head(&views);
        for (view, endpoint) in views.iter().zip(&self.inner.endpoints) {
            metrics::gauge!("capstan_rpc_head_lag_blocks",
                "chain" => endpoint.chain_name(), "endpoint" => endpoint.url().to_string())
            .set(lag(agreed, view.head));
        }
        select::order(&views)
    }

    fn views(&self) -> Vec<View> {
        let now = Instant::now();
        let health = |(view, endpoint): (View, &Arc<Endpoint>)| {
            let cooling = endpoint.cooling();
            let is_wrong = cooling.is_some() && endpoint.wrong_chain().is_some();
            let resting = cooling.map(|until| until.duration_since(now));
            View { wrong_chain: is_wrong, resting, ..view }
        };
        self.inner.board.views().into_iter().zip(&self.inner.endpoints).map(health).collect()
    }

    fn all_wrong(&self) -> Option<RpcError> {
        let endpoints = &self.inner.endpoints;
        let wrong: Vec<_> = endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint, endpoint.wrong_chain()?)))
            .collect();
        let (endpoint, found) = *wrong.first().filter(|_| wrong.len() == endpoints.len())?;
        Some(RpcError::WrongChain {
            endpoint: endpoint.url().to_string(),
            expected: endpoint.expected(),
            found,
        })
    }
}

/// Blocks behind what is agreed, below zero ahead; not a number while either is unknown, so that a
/// silent endpoint does not keep the lag it had. Exact far beyond any height.
#[allow(clippy::cast_precision_loss, reason = "a gauge")]
fn lag(agreed: Option<u64>, head: Option<u64>) -> f64 {
    agreed.zip(head).map_or(f64::NAN, |(agreed, head)| agreed as f64 - head as f64)
}

#[cfg(test)]
mod tests {
    use super::lag;

    #[test]
    fn the_lag_of_an_endpoint_whose_head_is_unknown_is_no_number() {
        assert_eq!(lag(Some(7), Some(5)).to_bits(), 2_f64.to_bits());
        assert_eq!(lag(Some(5), Some(7)).to_bits(), (-2_f64).to_bits());
        assert!(lag(Some(7), None).is_nan() && lag(None, Some(7)).is_nan());
    }
}
