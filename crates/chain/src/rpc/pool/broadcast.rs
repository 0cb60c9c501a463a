//! Raw transactions go to every endpoint of the chain, whatever its health.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tracing::debug;

use crate::rpc::outcome::SendOutcome;
use crate::rpc::pool::RpcPool;
use crate::types::Bytes;

impl RpcPool {
    /// Sends a raw transaction to every endpoint that serves this chain, whatever its health.
    /// Returns as soon as one has it; the others are still served in the background.
    pub async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        let mut outcomes = self.send_raw_many(core::slice::from_ref(raw)).await;
        outcomes.pop().unwrap_or_else(|| SendOutcome::Unknown("nothing was sent".to_owned()))
    }

    /// The same for many, batched where an endpoint takes batches. One outcome per transaction, in
    /// their order; an endpoint gets them in this order too. Returns as soon as each is with some
    /// endpoint, or every endpoint has answered.
    pub async fn send_raw_many(&self, raw: &[Bytes]) -> Vec<SendOutcome> {
        let params: Arc<[Value]> = raw.iter().map(|raw| json!([raw])).collect();
        let mut sends: FuturesUnordered<_> = self
            .inner
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wrong_chain().is_none() || endpoint.cooling().is_none())
            .map(|endpoint| {
                let (endpoint, params) = (Arc::clone(endpoint), Arc::clone(&params));
                tokio::spawn(async move {
                    let answers = endpoint.ask_many("eth_sendRawTransaction", &params).await;
                    let outcome = |answer: Result<_, _>| match answer {
                        Ok(_hash) => SendOutcome::Accepted,
                        Err(fault) => {
                            debug!(endpoint = %endpoint.url(), %fault, "broadcast not accepted");
                            SendOutcome::from_fault(&fault)
                        }
                    };
                    answers.into_iter().map(outcome).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut best: Vec<Option<SendOutcome>> = vec![None; raw.len()];
        while let Some(sent) = sends.next().await {
            let interrupted = || SendOutcome::Unknown("broadcast was interrupted".to_owned());
            let outcomes = sent.unwrap_or_else(|_| vec![interrupted(); raw.len()]);
            for (best, outcome) in best.iter_mut().zip(outcomes) {
                if best.as_ref().is_none_or(|best| outcome.rank() < best.rank()) {
                    *best = Some(outcome);
                }
            }
            if best.iter().flatten().filter(|outcome| outcome.is_delivered()).count() == raw.len() {
                break;
            }
        }
        let nobody = || SendOutcome::Unknown("no endpoint serves this chain".to_owned());
        best.into_iter().map(|outcome| outcome.unwrap_or_else(nobody)).collect()
    }
}
