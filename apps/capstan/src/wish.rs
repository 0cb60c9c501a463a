//! Wishes of an operator: one call each, durable, and joined when asked for again while unfinished.

use std::sync::Arc;

use alloy_primitives::keccak256;
use anyhow::{Result, bail};
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::Call;
use capstan_engine::{Engine, Outcome};
use capstan_store::{
    Intent, IntentFilter, IntentId, IntentState, LaneKey, NewIntent, SessionStore, all_intents,
};

/// States of an intent that is not over.
pub const UNFINISHED: [IntentState; 3] =
    [IntentState::Queued, IntentState::InFlight, IntentState::Included];

/// Gas of an empty transaction that changes the account's code: 46,000, and room for what a chain adds.
const CODE_GAS: u64 = 100_000;

/// One call, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it is for, in a word.
    pub label: String,
    /// Chain to act on.
    pub chain_id: ChainId,
    /// The call.
    pub call: Call,
}

/// What sends the wishes of one account.
#[derive(Clone)]
pub struct Outbox {
    /// Sends.
    pub engine: Engine,
    /// Remembers.
    pub store: Arc<dyn SessionStore>,
    /// The account.
    pub account: Address,
}

impl Outbox {
    /// Sends a call and waits until it is final. While an equal wish is unfinished, as after a
    /// command that was killed, this one is that one; once it is over, this is a new effect, since
    /// what the first did may have been undone.
    pub async fn send(&self, wish: Wish) -> Result<B256> {
        let Wish { label, chain_id, call } = wish;
        let what =
            [label.as_bytes(), call.to.as_slice(), &call.value.to_be_bytes::<32>(), &call.data];
        let what = what.concat();
        let lane = LaneKey { chain_id, sender: self.account };
        let request = NewIntent::new(String::new(), lane, call.to, call.value, call.data);
        self.send_once(&what, NewIntent { label, ..request }).await
    }

    /// Lets the account run code as its own (EIP-7702), or its own again for the zero address.
    pub async fn run_code(&self, chain_id: ChainId, code: Address) -> Result<B256> {
        let lane = LaneKey { chain_id, sender: self.account };
        let nothing =
            NewIntent::new(String::new(), lane, self.account, U256::ZERO, Default::default());
        let request = NewIntent {
            own_code: Some(code),
            gas_limit: Some(CODE_GAS),
            label: "delegate".to_owned(),
            ..nothing
        };
        self.send_once(&[b"own code", code.as_slice()].concat(), request).await
    }

    /// `what` tells this wish from others.
    async fn send_once(&self, what: &[u8], request: NewIntent) -> Result<B256> {
        let label = request.label.clone();
        let prefix = format!("{}{}", prefix(request.chain_id), keccak256(what));
        let mut key = prefix.clone();
        while let Some(known) = self.store.intent_by_key(&key).await?
            && !UNFINISHED.contains(&known.state)
        {
            key = format!("{prefix}/after-{}", known.id);
        }
        let id = self.engine.submit(NewIntent { idempotency_key: key, ..request }).await?;
        self.wait(id, &label).await
    }

    /// Waits for every wish on a chain that an earlier command left unfinished; what the chain says
    /// before that may change.
    pub async fn finish(&self, chain_id: ChainId) -> Result<Vec<(String, B256)>> {
        let mut finished = Vec::new();
        for intent in unfinished(&*self.store, Some(chain_id)).await? {
            let Intent { id, request, .. } = intent;
            if request.sender == self.account
                && request.idempotency_key.starts_with(&prefix(chain_id))
            {
                let tx = self.wait(id, &request.label).await?;
                finished.push((request.label, tx));
            }
        }
        Ok(finished)
    }

    async fn wait(&self, id: IntentId, label: &str) -> Result<B256> {
        match self.engine.wait(id).await? {
            Outcome::Final { tx_hash, success: true, .. } => Ok(tx_hash),
            Outcome::Final { tx_hash, .. } => {
                bail!("{label} reverted in {tx_hash}; see `capstan explain {id}`")
            }
            Outcome::Failed(failure) => {
                bail!("{label} was refused: {}; see `capstan explain {id}`", failure.detail)
            }
        }
    }
}

/// Intents that are not over, oldest first.
pub async fn unfinished(
    store: &dyn SessionStore,
    chain_id: Option<ChainId>,
) -> Result<Vec<Intent>> {
    let mut all = Vec::new();
    for state in UNFINISHED {
        let filter = IntentFilter { chain_id, state: Some(state), ..IntentFilter::default() };
        all.extend(all_intents(store, filter).await?);
    }
    all.sort_by_key(|intent| intent.id);
    Ok(all)
}

fn prefix(chain_id: ChainId) -> String {
    format!("wish/{chain_id}/")
}
