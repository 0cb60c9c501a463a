//! What settling may cost and is worth, by the configuration of the day.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Address, Amount, ChainId, U256};
use capstan_chain::{ChainClient, ChainConfig, calls};
use capstan_store::{
    Intent, IntentFilter, IntentId, IntentState, Limits, SessionState, SessionStore, StoreError,
    all_intents,
};

use super::claim_of;

/// Most that a settlement may cost, and what its claim is worth, in wei.
pub(super) fn of(
    config: &ChainConfig,
    token: Address,
    claim: Amount,
) -> (Option<U256>, Option<U256>) {
    (config.settlement.max_cost, config.worth(token, claim))
}

/// Gives settlements that wait in the outbox the limits of today's configuration, and tells how many
/// had others: one that waits because it may not cost what it does would wait for ever by the old
/// ones. To be called before an engine reads them.
pub async fn renew_limits(
    store: &dyn SessionStore,
    chains: &BTreeMap<ChainId, Arc<ChainClient>>,
) -> Result<usize, StoreError> {
    let filter = IntentFilter { state: Some(IntentState::Queued), ..IntentFilter::default() };
    let queued = all_intents(store, filter).await?;
    let queued: BTreeMap<IntentId, &Intent> =
        queued.iter().map(|intent| (intent.id, intent)).collect();
    let mut changed = Vec::new();
    for session in store.sessions_in(SessionState::Settling).await? {
        let intent = session.settle_intent.and_then(|id| queued.get(&id));
        let (Some(intent), Some(chain)) = (intent, chains.get(&session.key.chain_id)) else {
            continue;
        };
        let request = &intent.request;
        let claim = calls::claimed_in(&request.data).unwrap_or_else(|| claim_of(&session));
        let (max_cost, worth) = of(chain.config(), session.terms.token, claim);
        if (max_cost, worth) != (request.max_cost, request.worth) {
            changed.push(Limits { id: intent.id, max_cost, worth });
        }
    }
    match changed.len() {
        0 => Ok(0),
        _ => store.limit_queued(changed).await,
    }
}
