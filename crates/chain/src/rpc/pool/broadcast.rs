//! Raw transactions go to every endpoint of the chain, whatever its health.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tracing::debug;

use crate::rpc::endpoint::Endpoint;
use crate::rpc::outcome::{Heard, SendOutcome};
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
    /// endpoint, or every endpoint that does not rest has answered: who was down a moment ago may
    /// keep everybody waiting for a deadline, and gets them in the background.
    pub async fn send_raw_many(&self, raw: &[Bytes]) -> Vec<SendOutcome> {
        let params: Arc<[Value]> = raw.iter().map(|raw| json!([raw])).collect();
        let (mut awaited, mut beside) = (FuturesUnordered::new(), FuturesUnordered::new());
        for endpoint in &self.inner.endpoints {
            let rested = endpoint.cooling().is_some();
            if rested && endpoint.wrong_chain().is_some() {
                continue;
            }
            let (endpoint, params) = (Arc::clone(endpoint), Arc::clone(&params));
            let send = tokio::spawn(async move { deliver(&endpoint, &params, rested).await });
            if rested { beside.push(send) } else { awaited.push(send) }
        }
        if awaited.is_empty() {
            awaited = core::mem::take(&mut beside);
        }
        let mut best: Vec<Option<Heard>> = vec![None; raw.len()];
        loop {
            let sent = tokio::select! {
                // What they said already counts, whoever said it first.
                biased;
                Some(sent) = beside.next() => sent,
                sent = awaited.next() => match sent {
                    Some(sent) => sent,
                    None => break,
                },
            };
            let interrupted = || vec![Heard::nothing("broadcast was interrupted"); raw.len()];
            let heard = sent.unwrap_or_else(|_| interrupted());
            for (best, heard) in best.iter_mut().zip(heard) {
                if best.as_ref().is_none_or(|best| heard.outranks(best)) {
                    *best = Some(heard);
                }
            }
            let delivered = best.iter().flatten().filter(|best| best.outcome.is_delivered());
            if delivered.count() == raw.len() {
                break;
            }
        }
        let nobody = || SendOutcome::Unknown("no endpoint serves this chain".to_owned());
        best.into_iter().map(|best| best.map_or_else(nobody, |best| best.outcome)).collect()
    }
}

async fn deliver(endpoint: &Endpoint, params: &[Value], rested: bool) -> Vec<Heard> {
    let answers = endpoint.ask_many("eth_sendRawTransaction", params).await;
    let heard = |answer: Result<_, _>| match answer {
        Ok(_hash) => Heard::accepted(),
        Err(fault) => {
            debug!(endpoint = %endpoint.url(), %fault, "broadcast not accepted");
            Heard::from_fault(&fault, rested)
        }
    };
    answers.into_iter().map(heard).collect()
}
