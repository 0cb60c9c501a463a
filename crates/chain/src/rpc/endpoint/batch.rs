//! Many requests of one method at one endpoint: as batches where it takes them, else one by one.

use core::time::Duration;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::debug;

use crate::rpc::endpoint::Endpoint;
use crate::rpc::fault::RpcFault;
use crate::rpc::message;

/// Requests in one batch: public endpoints take at least this many.
const LARGEST: usize = 100;

/// Single requests on their way at once, where batches are not taken.
const AT_ONCE: usize = 8;

/// An endpoint that refused a batch is tried again after this: its owner may have changed it.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// One result per request, in the order of the requests.
pub(crate) type Answers = Vec<Result<Box<RawValue>, RpcFault>>;

impl Endpoint {
    /// Asks for all of them. Entries that the answer to a batch lacks, or has twice, are asked for
    /// alone.
    pub(crate) async fn ask_many(&self, method: &str, params: &[Value]) -> Answers {
        if let [params] = params {
            return vec![self.ask(method, params).await];
        }
        let mut answers = Vec::with_capacity(params.len());
        for chunk in params.chunks(LARGEST) {
            answers.extend(self.ask_chunk(method, chunk).await);
        }
        answers
    }

    async fn ask_chunk(&self, method: &str, params: &[Value]) -> Answers {
        if let Err(fault) = self.ensure_chain(self.options.recheck).await {
            return vec![Err(fault); params.len()];
        }
        let takes_batches = self.health().no_batches.is_none_or(|until| until <= Instant::now());
        if !takes_batches {
            return self.ask_singly(method, params).await;
        }
        let entries = match self.batch(method, params).await {
            Ok(entries) => entries,
            Err(RpcFault::BatchRefused) => {
                let answers = self.ask_singly(method, params).await;
                // Only then was it the batch that it did not take.
                if matches!(answers.first(), Some(Ok(_) | Err(RpcFault::Answer(_)))) {
                    debug!(endpoint = %self.url(), "takes no batches");
                    self.health().no_batches = Instant::now().checked_add(REFUSED_FOR);
                }
                return answers;
            }
            Err(fault) => return vec![Err(fault); params.len()],
        };
        let missing: Vec<Value> = entries
            .iter()
            .zip(params)
            .filter(|(entry, _)| entry.is_none())
            .map(|(_, params)| params.clone())
            .collect();
        let mut alone = self.ask_singly(method, &missing).await.into_iter();
        let answer = |entry: Option<message::Answered>| match entry {
            Some(answer) => answer.map_err(|error| error.into_fault(method)),
            None => alone.next().unwrap_or(Err(RpcFault::Garbled("answer is missing"))),
        };
        entries.into_iter().map(answer).collect()
    }

    async fn batch(
        &self,
        method: &str,
        params: &[Value],
    ) -> Result<Vec<Option<message::Answered>>, RpcFault> {
        let count = u64::try_from(params.len()).unwrap_or(u64::MAX);
        let first = self.next_id.fetch_add(count, Ordering::Relaxed);
        let ids = first..first.saturating_add(count);
        let body = message::batch(first, method, params);
        let started = Instant::now();
        let reply = self.exchange(&body, ids, self.options.deadline).await;
        let answer = reply.and_then(|reply| {
            let entries = message::parse_batch(&reply.body, first, params.len(), method);
            reply.judge(entries)
        });
        self.record(method, started.elapsed(), answer.as_ref().err());
        answer
    }

    /// In the order given, so that transactions arrive by nonce. Once it fails, the rest is not
    /// asked: all would wait for the same deadline.
    async fn ask_singly(&self, method: &str, params: &[Value]) -> Answers {
        let width = if method == "eth_sendRawTransaction" { 1 } else { AT_ONCE };
        let asks: Vec<_> = params.iter().map(|params| self.ask(method, params)).collect();
        let mut asked = stream::iter(asks).buffered(width);
        let mut answers = Vec::with_capacity(params.len());
        let mut failed = None;
        while let Some(answer) = asked.next().await {
            failed = answer.as_ref().err().filter(|fault| is_failure(fault)).cloned();
            answers.push(answer);
            if failed.is_some() {
                break;
            }
        }
        if let Some(fault) = failed {
            answers.resize(params.len(), Err(fault));
        }
        answers
    }
}

fn is_failure(fault: &RpcFault) -> bool {
    !matches!(fault, RpcFault::Answer(_))
}
