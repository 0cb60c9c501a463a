//! What an operator can have done while the host does not run: settle what was signed for, and
//! compare the store with the chains.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Address, Amount, ChainId, SessionKey};
use capstan_chain::{BlockTag, ChainClient, ChainError, SessionState as OnChain, SessionStatus};
use capstan_engine::Engine;
use capstan_kit::{Clock, causes};
use capstan_store::{Session, SessionState, SessionStore, StoreError};
use capstan_wire::session::EndReason;

use crate::funds::Funds;
use crate::settlement::{Outbox, Pass, Reconciler, claim_of};

/// One session whose record and chain do not say the same, or that nobody looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The session.
    pub key: SessionKey,
    /// Where the store has it.
    pub stored: SessionState,
    /// What is the matter, in words.
    pub what: String,
    /// True if there is something to claim that no transaction claims yet.
    pub claimable: bool,
    /// The machine that serves it, if that is another.
    pub served_by: Option<String>,
}

/// A comparison of store and chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Sessions whose chain was asked.
    pub asked: usize,
    /// Of those, the ones whose chain did not answer.
    pub unreadable: usize,
    /// What differs, those included.
    pub found: Vec<Difference>,
}

/// A session that is not over in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// As stored.
    pub session: Session,
    /// The machine that serves it, if that is another: only that one may end it, until it is taken
    /// up here.
    pub served_by: Option<String>,
}

/// Settles and compares.
pub struct Offline {
    store: Arc<dyn SessionStore>,
    chains: BTreeMap<ChainId, Arc<ChainClient>>,
    outbox: Outbox,
    reconciler: Reconciler,
}

impl Offline {
    /// Over a store that no host has open now; `host` sends.
    pub fn new(
        store: Arc<dyn SessionStore>,
        engine: Engine,
        chains: BTreeMap<ChainId, Arc<ChainClient>>,
        host: Address,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let outbox = Outbox::new(Arc::clone(&store), engine.clone(), host, chains.clone());
        let (own, funds) = (Arc::clone(&store), Funds::default());
        let reconciler = Reconciler::new(own, engine, chains.clone(), clock, funds);
        Self { store, chains, outbox, reconciler }
    }

    /// Asks for the settlement of a session that is not settling. False if there is nothing to
    /// claim: the session is left as it is.
    pub async fn settle(&self, session: &Session) -> Result<bool, StoreError> {
        let claim = claim_of(session);
        if claim.is_zero() || !is_live(session.state) {
            return Ok(false);
        }
        let (newest, reason) = (session.voucher.as_ref(), EndReason::HostShutdown);
        self.outbox.end(session.key, &session.terms, newest, claim, reason).await?;
        Ok(true)
    }

    /// Makes this machine the one that serves a session, so that it may settle it. For what another
    /// serves that is gone: one that runs loses what it has not stored. `None` if it is over.
    pub async fn take_up(&self, key: SessionKey) -> Result<Option<Session>, StoreError> {
        let record = self.store.serve_session(key).await?;
        Ok(record.filter(|record| record.state == SessionState::Settling || is_live(record.state)))
    }

    /// Writes down how settling sessions closed; see [`Reconciler::finish_settled`].
    pub async fn finish(&self) -> Result<Pass, StoreError> {
        self.reconciler.finish_settled().await
    }

    /// Where store and chains differ now.
    pub async fn differences(&self) -> Result<Comparison, StoreError> {
        differences(&*self.store, &self.chains).await
    }
}

/// Sessions that are not over in the store, whichever machine serves them.
pub async fn unsettled(store: &dyn SessionStore) -> Result<Vec<Unsettled>, StoreError> {
    let mut here = store.sessions_served().await?;
    here.extend(store.sessions_in(SessionState::Settling).await?);
    let here = here.into_iter().map(|session| Unsettled { session, served_by: None });
    let elsewhere = store.sessions_elsewhere().await?.into_iter();
    let elsewhere = elsewhere.map(|(by, session)| Unsettled { session, served_by: Some(by) });
    Ok(here.chain(elsewhere).collect())
}

/// Where store and chains differ; writes nothing, so a store that is open to read only will do.
pub async fn differences(
    store: &dyn SessionStore,
    chains: &BTreeMap<ChainId, Arc<ChainClient>>,
) -> Result<Comparison, StoreError> {
    let mut compared = Comparison::default();
    for Unsettled { session, served_by } in unsettled(store).await? {
        let look = match chains.get(&session.key.chain_id) {
            Some(chain) => {
                compared.asked = compared.asked.saturating_add(1);
                chain.session_of(&session.key, BlockTag::Latest).await.map(Some)
            }
            None => Ok(None),
        };
        compared.unreadable = compared.unreadable.saturating_add(usize::from(look.is_err()));
        if let Some((what, claimable)) = compare(&session, look) {
            let (key, stored) = (session.key, session.state);
            compared.found.push(Difference { key, stored, what, claimable, served_by });
        }
    }
    Ok(compared)
}

fn compare(session: &Session, look: Result<Option<OnChain>, ChainError>) -> Option<(String, bool)> {
    let state = match look {
        Ok(Some(state)) => state.status,
        Ok(None) => return Some(("its chain is not configured".to_owned(), false)),
        Err(error) => {
            return Some((format!("its chain cannot be read: {}", causes(&error)), false));
        }
    };
    let claim = claim_of(session);
    let (what, claimable) = match (state, session.state) {
        (SessionStatus::Active | SessionStatus::None, SessionState::Settling) => return None,
        (SessionStatus::Closed, _) => ("closed on chain; not written down here yet", false),
        (SessionStatus::Closing, SessionState::Settling) => {
            ("being closed by the renter; our settlement is on its way", false)
        }
        (SessionStatus::Closing, _) => {
            ("being closed by the renter, and nobody presents our voucher", claim > Amount::ZERO)
        }
        (SessionStatus::None, _) => {
            ("the chain does not show it; its opening was reorganised away", false)
        }
        (SessionStatus::Active, _) if claim.is_zero() => return None,
        (SessionStatus::Active, _) => ("signed for and not settling", true),
    };
    Some((what.to_owned(), claimable))
}

fn is_live(state: SessionState) -> bool {
    matches!(state, SessionState::Open | SessionState::Detached)
}
