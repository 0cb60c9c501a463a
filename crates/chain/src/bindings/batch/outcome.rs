//! What became of each call of a batch, by the logs of its receipt.

use std::collections::{HashMap, HashSet};

use alloy_sol_types::{Revert, SolError, SolEvent};
use capstan_base::{Address, SessionId, U256};

use crate::bindings::abi::{JobMarketplace, SelfBatch};
use crate::bindings::batch::{BatchKind, completion_for};
use crate::bindings::calls::Call;
use crate::types::{Bytes, Receipt};

/// What a receipt says of one call of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It took effect in this transaction.
    Done,
    /// It did not. The receipt alone is no licence to send the call again: somebody else may have
    /// brought its effect about, see [`crate::ChainClient::effect`].
    Failed {
        /// Revert data, for [`crate::bindings::decode_revert`].
        reason: Bytes,
    },
}

impl ItemOutcome {
    fn failed(reason: &str) -> Self {
        Self::Failed { reason: Revert::from(reason).abi_encode().into() }
    }
}

/// One outcome per call, in their order, for the receipt of what [`super::merge`] made of them.
/// Success is never taken from an absence of logs: only what the contract itself reports counts.
pub fn outcomes(kind: BatchKind, calls: &[&Call], receipt: &Receipt) -> Vec<ItemOutcome> {
    if !receipt.success {
        return all_failed(calls, "the transaction reverted");
    }
    match kind {
        BatchKind::Completions { marketplace } => completions(marketplace, calls, receipt),
        BatchKind::SelfCall { .. } if calls.len() == 1 => vec![ItemOutcome::Done],
        BatchKind::SelfCall { account } => self_calls(account, calls, receipt),
    }
}

fn completions(marketplace: Address, calls: &[&Call], receipt: &Receipt) -> Vec<ItemOutcome> {
    let closed: HashSet<_> = events::<JobMarketplace::SessionClosed>(marketplace, receipt)
        .map(|event| SessionId(event.sessionId))
        .collect();
    let mut failures: HashMap<_, _> =
        events::<JobMarketplace::SessionCompletionFailed>(marketplace, receipt)
            .map(|event| (event.index, event.reason))
            .collect();
    let outcome = |(index, call): (usize, &&Call)| {
        // By place: another item of the same session may have closed it.
        if let Some(reason) = failures.remove(&U256::from(index)) {
            return ItemOutcome::Failed { reason };
        }
        let item = completion_for(marketplace, call);
        if item.is_some_and(|item| closed.contains(&item.terms.id())) {
            ItemOutcome::Done
        } else {
            ItemOutcome::failed("the receipt does not mention the session")
        }
    };
    calls.iter().enumerate().map(outcome).collect()
}

fn self_calls(account: Address, calls: &[&Call], receipt: &Receipt) -> Vec<ItemOutcome> {
    let Some(end) = events::<SelfBatch::BatchExecuted>(account, receipt).next() else {
        return all_failed(calls, "the account's code is not the one that makes batches");
    };
    let mut failures: HashMap<_, _> = events::<SelfBatch::CallFailed>(account, receipt)
        .map(|event| (event.index, event.reason))
        .collect();
    if end.calls != U256::from(calls.len()) || end.failed != U256::from(failures.len()) {
        return all_failed(calls, "the receipt's logs contradict each other");
    }
    let outcome = |index: usize| match failures.remove(&U256::from(index)) {
        Some(reason) => ItemOutcome::Failed { reason },
        None => ItemOutcome::Done,
    };
    (0..calls.len()).map(outcome).collect()
}

fn all_failed(calls: &[&Call], reason: &str) -> Vec<ItemOutcome> {
    vec![ItemOutcome::failed(reason); calls.len()]
}

fn events<E: SolEvent>(from: Address, receipt: &Receipt) -> impl Iterator<Item = E> {
    let logs = receipt.logs.iter().filter(move |log| log.address == from);
    logs.filter_map(|log| E::decode_log_data(&log.data).ok())
}
