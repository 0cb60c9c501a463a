//! Several endpoints behind one face: reads go to the first healthy one, broadcasts to all.

use core::time::Duration;
use std::sync::Arc;

use capstan_base::ChainId;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::debug;

use crate::error::RpcError;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::outcome::SendOutcome;
use crate::rpc::transport::{ErrorObject, RpcFault};
use crate::rpc::url::RpcUrl;
use crate::types::Bytes;

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
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            cool_down: Duration::from_secs(1),
            ejection: Duration::from_secs(300),
        }
    }
}

/// The endpoints of one chain. Clones share connections and health.
#[derive(Clone, Debug)]
pub struct RpcPool {
    endpoints: Arc<[Arc<Endpoint>]>,
}

impl RpcPool {
    /// In order of preference. Does no IO: an endpoint's chain id is checked before its first use
    /// and again after each time it was down.
    pub fn new(chain: ChainId, urls: &[RpcUrl], options: PoolOptions) -> Self {
        let client = reqwest::Client::builder()
            // A redirect could lead a request with its API key, or a transaction, anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.deadline)
            .build()
            .unwrap_or_default();
        let endpoints = urls
            .iter()
            .map(|url| Arc::new(Endpoint::new(url.clone(), chain, options, client.clone())))
            .collect();
        Self { endpoints }
    }

    /// Asks one endpoint after another until one gives a result of type `R`. An answer of `null`
    /// is a result: take it as an `Option`.
    ///
    /// # Errors
    /// [`RpcError::Refused`] if an endpoint answered with an error. A revert is such an answer at
    /// once; any other is given only when no other endpoint knows better.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<R, RpcError> {
        let mut last = None;
        for endpoint in self.in_order() {
            let fault = match endpoint.ask(method, &params).await {
                Ok(raw) => match serde_json::from_str(raw.get()) {
                    Ok(result) => return Ok(result),
                    Err(_) => RpcFault::Garbled("result has an unexpected shape"),
                },
                Err(fault) => fault,
            };
            debug!(endpoint = %endpoint.url(), method, %fault, "asking the next endpoint");
            let error = match fault {
                RpcFault::Answer(error) => refused(method, &error),
                fault => unavailable(method, endpoint, &fault),
            };
            if matches!(&error, RpcError::Refused { revert: Some(_), .. }) {
                return Err(error);
            }
            // An answer, if only an error, says more than a failure.
            if !matches!(
                (&last, &error),
                (Some(RpcError::Refused { .. }), RpcError::Unavailable { .. })
            ) {
                last = Some(error);
            }
        }
        Err(self.all_wrong().or(last).unwrap_or(RpcError::NoEndpoint))
    }

    /// Sends a raw transaction to every endpoint that serves this chain, whatever its health.
    /// Returns as soon as one has it; the others are still served in the background.
    pub async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        let params = Arc::new(json!([raw]));
        let mut sends: FuturesUnordered<_> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wrong_chain().is_none() || endpoint.cooling().is_none())
            .map(|endpoint| {
                let endpoint = Arc::clone(endpoint);
                let params = Arc::clone(&params);
                tokio::spawn(async move {
                    match endpoint.ask("eth_sendRawTransaction", &params).await {
                        Ok(_hash) => SendOutcome::Accepted,
                        Err(fault) => {
                            debug!(endpoint = %endpoint.url(), %fault, "broadcast not accepted");
                            SendOutcome::from_fault(&fault)
                        }
                    }
                })
            })
            .collect();
        let mut best = SendOutcome::Unknown("no endpoint serves this chain".to_owned());
        let mut heard = false;
        while let Some(sent) = sends.next().await {
            let outcome = sent
                .unwrap_or_else(|_| SendOutcome::Unknown("broadcast was interrupted".to_owned()));
            if outcome.is_delivered() {
                return outcome;
            }
            if !heard || outcome.rank() < best.rank() {
                best = outcome;
            }
            heard = true;
        }
        best
    }

    /// Scheme and host of each endpoint, and whether it is in use.
    pub fn endpoints(&self) -> Vec<(String, bool)> {
        let state =
            |endpoint: &Arc<Endpoint>| (endpoint.url().to_string(), endpoint.cooling().is_none());
        self.endpoints.iter().map(state).collect()
    }

    /// Healthy ones in their configured order, then the cooling ones, soonest back first: when all
    /// are down, trying is better than failing. One on another chain is left out until it is due.
    fn in_order(&self) -> Vec<&Arc<Endpoint>> {
        let mut order: Vec<_> = self
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.cooling(), endpoint))
            .filter(|(cooling, endpoint)| cooling.is_none() || endpoint.wrong_chain().is_none())
            .collect();
        order.sort_by_key(|(cooling, _)| *cooling);
        order.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    fn all_wrong(&self) -> Option<RpcError> {
        let wrong: Vec<_> = self
            .endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint, endpoint.wrong_chain()?)))
            .collect();
        let (endpoint, found) = *wrong.first().filter(|_| wrong.len() == self.endpoints.len())?;
        Some(RpcError::WrongChain {
            endpoint: endpoint.url().to_string(),
            expected: endpoint.expected(),
            found,
        })
    }
}

fn refused(method: &'static str, error: &ErrorObject) -> RpcError {
    RpcError::Refused {
        method,
        code: error.code,
        message: error.shortened(),
        revert: error.revert(),
    }
}

fn unavailable(method: &'static str, endpoint: &Endpoint, fault: &RpcFault) -> RpcError {
    RpcError::Unavailable { method, detail: format!("{}: {fault}", endpoint.url()) }
}
