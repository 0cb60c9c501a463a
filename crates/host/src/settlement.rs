//! Settlement: from an ended session to the closing event on its chain.
//!
//! [`Outbox::end`] is one transaction: the session leaves service and its intent exists. The
//! [`Reconciler`] then follows every session that is settling until the chain says how it closed,
//! and watches open sessions for a close that somebody else began. It takes no input, may run at
//! any time and any number of times, and decides only by what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{
    Address, Amount, B256, ChainId, SessionKey, SessionTerms, SignedVoucher, Tally,
};
use capstan_chain::{BlockTag, ChainClient, SessionStatus, calls};
use capstan_engine::Engine;
use capstan_kit::Clock;
use capstan_store::{
    Closing, Intent, IntentState, LaneKey, NewIntent, Session, SessionState, SessionStore,
    SettleOutcome, StoreError,
};
use capstan_wire::session::EndReason;
use futures_util::StreamExt;

/// Sessions of one chain looked at together: 10,000 at 50 ms each then take half a minute.
const LOOKS_AT_ONCE: usize = 16;

/// Seconds before a settlement that was refused is tried again.
const RETRY_AFTER: u64 = 30;

/// Puts settlements where the engine finds them.
pub struct Outbox {
    store: Arc<dyn SessionStore>,
    engine: Engine,
    host: Address,
}

impl Outbox {
    /// `host` sends the settlements.
    pub fn new(store: Arc<dyn SessionStore>, engine: Engine, host: Address) -> Self {
        Self { store, engine, host }
    }

    /// Ends a session: with something to claim, its intent is stored in the same transaction; with
    /// nothing, it is left to the renter, who can exit alone, since closing it would cost gas for
    /// no pay.
    pub async fn end(
        &self,
        key: SessionKey,
        terms: &SessionTerms,
        newest: Option<&SignedVoucher>,
        claim: Amount,
        reason: EndReason,
    ) -> Result<(), StoreError> {
        let intent = newest
            .filter(|_| !claim.is_zero())
            .map(|signed| self.intent(key, terms, signed, claim));
        let outcome = self.store.settle_session(key, reason.as_str(), intent).await?;
        if outcome == SettleOutcome::Elsewhere {
            tracing::info!(session = %key.session_id, "left to the host that serves it now");
        }
        self.engine.notify();
        Ok(())
    }

    fn intent(
        &self,
        key: SessionKey,
        terms: &SessionTerms,
        signed: &SignedVoucher,
        claim: Amount,
    ) -> NewIntent {
        let call = calls::complete_session_job(key.marketplace, terms, Some(signed), claim);
        let lane = LaneKey { chain_id: key.chain_id, sender: self.host };
        NewIntent {
            repeat_safe: true,
            label: format!("settle {}", key.session_id.short()),
            ..NewIntent::new(format!("settle/{key}"), lane, call.to, call.value, call.data)
        }
    }
}

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
    /// Open sessions whose close somebody else began.
    pub closing: usize,
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
            match self.finish(&session).await {
                Ok(true) => pass.finished += 1,
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    chain_id = session.key.chain_id.0,
                    session = %session.key.session_id,
                    %error,
                    "settlement not confirmed yet"
                ),
            }
        }
        Ok(pass)
    }

    /// Open sessions that the chain says are closing or closed.
    pub async fn closing_elsewhere(&self) -> Result<Vec<SessionKey>, StoreError> {
        let mut by_chain: BTreeMap<ChainId, Vec<SessionKey>> = BTreeMap::new();
        for state in [SessionState::Open, SessionState::Detached] {
            for session in self.store.sessions_in(state).await? {
                by_chain.entry(session.key.chain_id).or_default().push(session.key);
            }
        }
        // Each chain for itself: the challenge window of one does not wait for another's outage.
        let looks = by_chain
            .into_iter()
            .filter_map(|(id, keys)| self.chains.get(&id).map(|chain| closing_on(chain, keys)));
        Ok(futures_util::future::join_all(looks).await.into_iter().flatten().collect())
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
        let owed = Tally::resume(session.price, session.tally.clone())
            .ok()
            .and_then(|tally| tally.owed().ok())
            .unwrap_or(Amount::ZERO);
        let mut request = NewIntent {
            idempotency_key: format!("settle/{}/after-{}", session.key, dead.id.0),
            ..dead.request.clone()
        };
        if presented > owed {
            let market = session.key.marketplace;
            let call = calls::complete_session_job(market, &session.terms, None, presented);
            request.data = call.data;
        }
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
        let closing = match outcome(&intent) {
            Outcome::Pending => return Ok(false),
            Outcome::Done(tx_hash) => match chain.receipt(tx_hash).await? {
                Some(receipt) => chain.closing_in(key.session_id, &receipt)?,
                None => None,
            },
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
        metrics::counter!(
            "node_session_settlements_total",
            "chain" => chain.config().name.clone(),
            "status" => "success",
        )
        .increment(1);
        tracing::info!(
            chain_id = key.chain_id.0,
            chain = %chain.config().name,
            session = %key.session_id,
            paid = %closing.host_paid,
            fee = %closing.fee,
            refund = %closing.refund,
            tx = %closing.tx_hash,
            "session settled"
        );
        Ok(true)
    }
}
