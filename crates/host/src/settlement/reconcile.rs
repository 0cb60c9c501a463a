//! Follows settling sessions until their chain says how they closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Amount, B256, ChainId, SessionKey, U256};
use capstan_chain::{
    BlockTag, ChainClient, ChainError, Closing as Closed, Receipt, SessionStatus, calls,
};
use capstan_engine::Engine;
use capstan_kit::Clock;
use capstan_store::{
    Closing, Intent, IntentState, NewIntent, Session, SessionState, SessionStore, SettleOutcome,
    StoreError, Transition,
};
use capstan_wire::session::EndReason;
use futures_util::StreamExt;
use tracing::Instrument as _;

use super::closed::{Looks, closed_for_good};
use super::{claim_of, request, span};
use crate::funds::Funds;

/// Sessions of one chain looked at together: 10,000 at 50 ms each then take half a minute.
const LOOKS_AT_ONCE: usize = 16;

/// Seconds before a settlement that was refused is tried again.
const RETRY_AFTER: u64 = 30;

/// Why a settlement is not written down yet. Every case is looked at again.
#[derive(Debug, thiserror::Error)]
enum FinishError {
    #[error(transparent)]
    Chain(#[from] ChainError),
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
    pub(crate) store: Arc<dyn SessionStore>,
    engine: Engine,
    chains: BTreeMap<ChainId, Arc<ChainClient>>,
    clock: Arc<dyn Clock>,
    funds: Funds,
    looks: Looks,
}

/// Sessions of `keys` that their chain says are closing or closed. A chain that does not answer is
/// left for the next pass after a few tries, since each try may take a timeout. One endpoint is enough to
/// say that nothing is to be done; that a session ends, two have to say.
async fn closing_on(chain: &ChainClient, keys: Vec<SessionKey>) -> Vec<SessionKey> {
    let mut looks = futures_util::stream::iter(keys)
        .map(|key| async move {
            let mut look = chain.session_of(&key, BlockTag::Latest).await;
            if matches!(&look, Ok(state) if is_ending(state.status)) {
                look = chain.agreed_session_of(&key, BlockTag::Latest).await;
            }
            (key, look)
        })
        .buffer_unordered(LOOKS_AT_ONCE);
    let (mut found, mut unreadable) = (Vec::new(), 0);
    while let Some((key, look)) = looks.next().await {
        match look.map(|state| state.status) {
            Ok(status) if is_ending(status) => found.push(key),
            Ok(_) => {}
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

fn is_ending(status: SessionStatus) -> bool {
    matches!(status, SessionStatus::Closing | SessionStatus::Closed)
}

impl Reconciler {
    /// `clock` is wall-clock time, as the store writes it; `funds` are told what settlements cost.
    pub fn new(
        store: Arc<dyn SessionStore>,
        engine: Engine,
        chains: BTreeMap<ChainId, Arc<ChainClient>>,
        clock: Arc<dyn Clock>,
        funds: Funds,
    ) -> Self {
        Self { store, engine, chains, clock, funds, looks: Looks::default() }
    }

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
    /// intent takes its place, within the limits of today's configuration. It claims the same, or,
    /// if the renter acknowledged more, that: the contract refuses less, and it needs no voucher.
    async fn try_again(
        &self,
        session: &Session,
        dead: &Intent,
        presented: Amount,
    ) -> Result<(), StoreError> {
        let claimed = calls::claimed_in(&dead.request.data).unwrap_or_else(|| claim_of(session));
        let (signed, claim) = if presented >= claimed {
            (None, presented)
        } else {
            (session.voucher.as_ref(), claimed)
        };
        let (key, sender) = (session.key, dead.request.sender);
        let request = NewIntent {
            idempotency_key: format!("settle/{key}/after-{}", dead.id.0),
            ..request(&self.chains, sender, key, &session.terms, signed, claim)
        };
        let reason = session.end_reason.clone().unwrap_or_default();
        let outcome = self.store.settle_session(key, &reason, Some(request)).await?;
        // Of several machines that see it refused, the one that replaces it counts it.
        if let SettleOutcome::Settling(intent) = outcome {
            tracing::warn!(dead = %dead.id, %intent, "settlement refused; another takes its place");
            if let Some(chain) = self.chains.get(&key.chain_id) {
                count(chain, "failed");
            }
        }
        self.engine.notify();
        Ok(())
    }

    /// A settlement that the contract refused: most likely somebody else closed the session, and the
    /// chain says how. If not, another intent takes its place.
    async fn after_refusal(
        &self,
        chain: &ChainClient,
        session: &Session,
        dead: &Intent,
    ) -> Result<Option<Closed>, FinishError> {
        let state = chain.agreed_session_of(&session.key, BlockTag::Latest).await?;
        if state.status == SessionStatus::Closed {
            return Ok(closed_for_good(chain, session).await?);
        }
        if self.has_rested(dead) {
            self.try_again(session, dead, state.presented).await?;
        }
        Ok(None)
    }

    async fn finish(&self, session: &Session) -> Result<bool, FinishError> {
        let key = session.key;
        let Some(intent) = session.settle_intent else { return Ok(false) };
        // Not configured any more, or left out by whoever asks: it waits, and is told where it is.
        let Some(chain) = self.chains.get(&key.chain_id) else { return Ok(false) };
        let Some(intent) = self.store.intent(intent).await? else { return Ok(false) };
        let (mut mined, mut closing, mut ours) = (None, None, None);
        match outcome(&intent) {
            Outcome::Pending => return Ok(false),
            Outcome::Done(tx_hash) => {
                ours = Some(tx_hash);
                mined = chain.receipt(tx_hash).await?;
                if let Some(receipt) = &mined {
                    closing = chain.closing_in(&key, receipt)?;
                }
                // Final, and its receipt does not tell, or is not to be had any more.
                if closing.is_none() && self.looks.take(key, self.clock.now()) {
                    closing = closed_for_good(chain, session).await?;
                }
            }
            Outcome::Refused if self.looks.take(key, self.clock.now()) => {
                closing = self.after_refusal(chain, session, &intent).await?;
            }
            Outcome::Refused => {}
        }
        let Some(closing) = closing else { return Ok(false) };
        let figures = Closing {
            paid: closing.host_paid,
            fee: closing.fee,
            refund: closing.refund,
            close_tx: closing.tx_hash,
        };
        let written = self.store.finish_session(key, figures).await?;
        self.looks.forget(&key);
        if let Some(receipt) = mined.filter(|_| ours == Some(closing.tx_hash)) {
            self.cost(chain, session, &receipt);
        }
        if written != Transition::Done {
            // Another machine has written it down, and counted it.
            return Ok(true);
        }
        let status = if ours == Some(closing.tx_hash) { "success" } else { "elsewhere" };
        count(chain, status);
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
        let closed = chain.closings_in(session.key.marketplace, receipt);
        let closed = u64::try_from(closed).unwrap_or(u64::MAX).max(1);
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
