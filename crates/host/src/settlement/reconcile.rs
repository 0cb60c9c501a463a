//! Follows settling sessions until their chain says how they closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Amount, B256, ChainId, SessionKey, U256};
use capstan_chain::{BlockTag, ChainClient, Receipt, SessionStatus, calls};
use capstan_engine::Engine;
use capstan_kit::Clock;
use capstan_store::{
    Closing, Intent, IntentState, NewIntent, Session, SessionState, SessionStore, StoreError,
};
use capstan_wire::session::EndReason;
use futures_util::StreamExt;
use tracing::Instrument as _;

use super::{served, span};
use crate::funds::Funds;

/// Sessions of one chain looked at together: 10,000 at 50 ms each then take half a minute.
const LOOKS_AT_ONCE: usize = 16;

/// Seconds before a settlement that was refused is tried again.
const RETRY_AFTER: u64 = 30;

/// Why a settlement is not written down yet. Every case is looked at again.
#[derive(Debug, thiserror::Error)]
enum FinishError {
    #[error("chain {0} is not configured any more")]
    NoChain(ChainId),
    #[error(transparent)]
    Chain(#[from] capstan_chain::ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of an intent, as far as it is final.
enum Outcome {
    Pending,
    Done(B256),
    Refused,
}

fn outcome(intent: &Intent) -> Outcome {
    match (intent.state, &intent.inclusion) {
        (IntentState::Failed, _) => Outcome::Refused,
        (IntentState::Final, Some(inclusion)) if inclusion.success => {
            Outcome::Done(inclusion.tx_hash)
        }
        (IntentState::Final, Some(_)) => Outcome::Refused,
        _ => Outcome::Pending,
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Settling sessions looked at.
    pub settling: usize,
    /// Of those, found closed and written down.
    pub finished: usize,
}

/// Compares the store with the chains.
pub struct Reconciler {
    /// Sessions.
    pub store: Arc<dyn SessionStore>,
    /// Intents.
    pub engine: Engine,
    /// Chains.
    pub chains: BTreeMap<ChainId, Arc<ChainClient>>,
    /// Wall-clock time, as the store writes it.
    pub clock: Arc<dyn Clock>,
    /// Told what settlements cost.
    pub funds: Funds,
}

/// Sessions of `keys` that their chain says are closing or closed. A chain that does not answer is
/// left for the next pass after a few tries, since each try may take a timeout.
async fn closing_on(chain: &ChainClient, keys: Vec<SessionKey>) -> Vec<SessionKey> {
    let mut looks = futures_util::stream::iter(keys)
        .map(|key| async move { (key, chain.session(key.session_id, BlockTag::Latest).await) })
        .buffer_unordered(LOOKS_AT_ONCE);
    let (mut found, mut unreadable) = (Vec::new(), 0);
    while let Some((key, look)) = looks.next().await {
        match look.map(|state| state.status) {
            Ok(SessionStatus::Closing | SessionStatus::Closed) => found.push(key),
            Ok(SessionStatus::Active | SessionStatus::None) => {}
            // Unreadable is no evidence: the next pass looks again.
            Err(error) => {
                tracing::debug!(%error, "chain unreadable");
                unreadable += 1;
                if unreadable == LOOKS_AT_ONCE {
                    break;
                }
            }
        }
    }
    found
}

impl Reconciler {
    /// One pass over settling sessions.
    pub async fn finish_settled(&self) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        for session in self.store.sessions_in(SessionState::Settling).await? {
            pass.settling += 1;
            let finish = async {
                let finished = self.finish(&session).await;
                finished.inspect_err(|error| tracing::warn!(%error, "settlement not confirmed yet"))
            };
            if matches!(
                finish.instrument(span(&self.chains, session.key, session.terms.token)).await,
                Ok(true)
            ) {
                pass.finished += 1;
            }
        }
        Ok(pass)
    }

    /// Open sessions that should end, whichever host serves them: past their expiry, or closing or
    /// closed by what their chain says.
    pub async fn due(&self) -> Result<Vec<(SessionKey, EndReason)>, StoreError> {
        let now = self.clock.now();
        let mut due = Vec::new();
        let mut by_chain: BTreeMap<ChainId, Vec<SessionKey>> = BTreeMap::new();
        for state in [SessionState::Open, SessionState::Detached] {
            for session in self.store.sessions_in(state).await? {
                let key = session.key;
                if session.terms.expiry <= now {
                    due.push((key, EndReason::Expired));
                } else {
                    by_chain.entry(key.chain_id).or_default().push(key);
                }
            }
        }
        // A chain that is not configured here is another host's to send to.
        due.retain(|(key, _)| self.chains.contains_key(&key.chain_id));
        // Each chain for itself: the challenge window of one does not wait for another's outage.
        let looks = by_chain
            .into_iter()
            .filter_map(|(id, keys)| self.chains.get(&id).map(|chain| closing_on(chain, keys)));
        let closing = futures_util::future::join_all(looks).await.into_iter().flatten();
        due.extend(closing.map(|key| (key, EndReason::ClosedOnChain)));
        Ok(due)
    }

    /// True once a refused intent has rested: a contract that refuses for good must not fill the
    /// store with intents.
    fn has_rested(&self, dead: &Intent) -> bool {
        self.clock.now().since(dead.updated_at) >= RETRY_AFTER
    }

    /// The session is still open on chain and its intent can have no effect any more: another
    /// intent takes its place. If the renter acknowledged more than the host would claim, the contract refuses less: then
    /// what was acknowledged is claimed, which needs no voucher.
    async fn try_again(
        &self,
        session: &Session,
        dead: &Intent,
        presented: Amount,
    ) -> Result<(), StoreError> {
        let owed = served(session).unwrap_or(Amount::ZERO);
        let mut request = NewIntent {
            idempotency_key: format!("settle/{}/after-{}", session.key, dead.id.0),
            ..dead.request.clone()
        };
        if presented > owed {
            let market = session.key.marketplace;
            let call = calls::complete_session_job(market, &session.terms, None, presented);
            request.data = call.data;
        }
        if let Some(chain) = self.chains.get(&session.key.chain_id) {
            count(chain, "failed");
        }
        tracing::warn!(intent = %dead.id, "settlement refused; another takes its place");
        let reason = session.end_reason.clone().unwrap_or_default();
        self.store.settle_session(session.key, &reason, Some(request)).await?;
        self.engine.notify();
        Ok(())
    }

    async fn finish(&self, session: &Session) -> Result<bool, FinishError> {
        let key = session.key;
        let Some(intent) = session.settle_intent else { return Ok(false) };
        let chain = self.chains.get(&key.chain_id).ok_or(FinishError::NoChain(key.chain_id))?;
        let Some(intent) = self.store.intent(intent).await? else { return Ok(false) };
        let outcome = outcome(&intent);
        let status = if matches!(outcome, Outcome::Done(_)) { "success" } else { "elsewhere" };
        let mut mined = None;
        let closing = match outcome {
            Outcome::Pending => return Ok(false),
            Outcome::Done(tx_hash) => {
                mined = chain.receipt(tx_hash).await?;
                match &mined {
                    Some(receipt) => chain.closing_in(key.session_id, receipt)?,
                    None => None,
                }
            }
            // Refused by the contract: most likely somebody else closed it, and the chain says how.
            Outcome::Refused => {
                let state = chain.session(key.session_id, BlockTag::Latest).await?;
                if state.status != SessionStatus::Closed {
                    if self.has_rested(&intent) {
                        self.try_again(session, &intent, state.presented).await?;
                    }
                    return Ok(false);
                }
                chain.closing_of(key.session_id, session.admitted_block).await?
            }
        };
        let Some(closing) = closing else { return Ok(false) };
        let figures = Closing {
            paid: closing.host_paid,
            fee: closing.fee,
            refund: closing.refund,
            close_tx: closing.tx_hash,
        };
        self.store.finish_session(key, figures).await?;
        count(chain, status);
        if let Some(receipt) = &mined {
            self.cost(chain, session, receipt);
        }
        tracing::info!(
            paid = %closing.host_paid,
            fee = %closing.fee,
            refund = %closing.refund,
            tx = %closing.tx_hash,
            status,
            "session settled"
        );
        Ok(true)
    }

    /// Notes the session's share of what its transaction cost.
    fn cost(&self, chain: &ChainClient, session: &Session, receipt: &Receipt) {
        let closed = u64::try_from(chain.closings_in(receipt)).unwrap_or(u64::MAX).max(1);
        let gas = receipt.gas_used.checked_div(closed).unwrap_or_default();
        let cost = receipt.cost().checked_div(U256::from(closed)).unwrap_or_default();
        self.funds.settled(session.key.chain_id, cost);
        let config = chain.config();
        let symbol = config.token_info(session.terms.token).map_or("other", |(symbol, _)| symbol);
        let labels = [("chain", config.name.clone()), ("token", symbol.to_owned())];
        let gas = u32::try_from(gas).unwrap_or(u32::MAX);
        metrics::gauge!("node_settlement_gas_used", &labels).set(f64::from(gas));
    }
}

/// Counts a settlement's end: `success` by our own transaction, `elsewhere` by somebody else's,
/// `failed` for each try that was refused or reverted.
fn count(chain: &ChainClient, status: &'static str) {
    metrics::counter!(
        "node_session_settlements_total",
        "chain" => chain.config().name.clone(),
        "status" => status,
    )
    .increment(1);
}
