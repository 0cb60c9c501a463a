//! Callers that wait for an intent to end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use capstan_base::B256;
use capstan_store::{Failure, Inclusion, Intent, IntentId, IntentState};
use tokio::sync::oneshot;

/// How an intent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In a final block.
    Final {
        /// Attempt that was mined.
        tx_hash: B256,
        /// Height of its block.
        block: u64,
        /// False if it reverted.
        success: bool,
        /// Gas used.
        gas_used: u64,
        /// Wei per gas paid.
        effective_gas_price: u128,
    },
    /// Given up without an attempt that could have an effect.
    Failed(Failure),
}

impl Outcome {
    /// The outcome of a stored intent; `None` while it has none.
    pub fn of(intent: &Intent) -> Option<Self> {
        match (intent.state, &intent.inclusion, &intent.failure) {
            (IntentState::Final, Some(mined), _) => Some(Self::of_inclusion(mined)),
            (IntentState::Failed, _, Some(failure)) => Some(Self::Failed(failure.clone())),
            _ => None,
        }
    }

    pub(crate) fn of_inclusion(mined: &Inclusion) -> Self {
        Self::Final {
            tx_hash: mined.tx_hash,
            block: mined.block_number,
            success: mined.success,
            gas_used: mined.gas_used,
            effective_gas_price: mined.effective_gas_price,
        }
    }
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_intent: Mutex<HashMap<IntentId, Vec<oneshot::Sender<Outcome>>>>,
}

impl Waiters {
    /// A receiver of the intent's outcome, if it ends after this call. To miss none, register
    /// first and read the store then.
    pub(crate) fn register(&self, id: IntentId) -> oneshot::Receiver<Outcome> {
        let (waiter, outcome) = oneshot::channel();
        let mut by_intent = self.by_intent.lock().unwrap_or_else(PoisonError::into_inner);
        let waiters = by_intent.entry(id).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(waiter);
        outcome
    }

    /// Tells everyone who waits for the intent.
    pub(crate) fn tell(&self, id: IntentId, outcome: &Outcome) {
        let waiters = self.by_intent.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        for waiter in waiters.into_iter().flatten() {
            // Whoever stopped waiting needs no answer.
            let _ = waiter.send(outcome.clone());
        }
    }
}
