//! The table of running sessions: admits, finds, drains. What is stored already, it takes up; see
//! [`take_up`].

mod take_up;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use capstan_base::{ChainId, SessionId, SessionKey, SessionTerms, SignedVoucher, UnixSeconds};
use capstan_chain::BlockTag;
use capstan_store::{NewSession, Session, SessionInsert, SessionStore, StoreError};
use capstan_wire::session::EndReason;
use capstan_wire::{ApiError, ErrorCode};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::admission::{Admission, Admitted, Claim};
use crate::funds::Funds;
use crate::meter::Meter;
use crate::session::{Command, SessionActor, SessionContext, SessionHandle};
use crate::settlement::span;

/// Every session this host runs.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    admission: Admission,
    context: SessionContext,
    running: Mutex<HashMap<SessionKey, SessionHandle>>,
    tasks: TaskTracker,
    draining: AtomicBool,
    funds: OnceLock<Funds>,
}

impl Sessions {
    /// An empty table.
    pub fn new(admission: Admission, context: SessionContext) -> Self {
        Self {
            shared: Arc::new(Shared {
                admission,
                context,
                running: Mutex::default(),
                tasks: TaskTracker::new(),
                draining: AtomicBool::new(false),
                funds: OnceLock::new(),
            }),
        }
    }

    /// From now on no session is admitted on a chain where these cannot pay for settling it.
    #[must_use]
    pub fn funded_by(self, funds: Funds) -> Self {
        // A table has one account for good: a second call changes nothing.
        let _ = self.shared.funds.set(funds);
        self
    }

    /// What admits.
    pub fn admission(&self) -> &Admission {
        &self.shared.admission
    }

    /// Where sessions are stored.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.shared.context.store
    }

    /// Limits.
    pub fn config(&self) -> &crate::config::HostConfig {
        &self.shared.context.config
    }

    /// The session that a peer claims, running. The caller has verified that the peer may use it.
    pub async fn open(&self, claim: &Claim<'_>) -> Result<(SessionKey, SessionHandle), ApiError> {
        let key = self.admission().key(claim)?;
        if let Some(handle) = self.find(&key) {
            return Ok((key, handle));
        }
        if self.shared.draining.load(Ordering::Relaxed) {
            return Err(ApiError::new(ErrorCode::Draining, "the host is shutting down"));
        }
        if self.count() >= self.config().max_sessions {
            return Err(ApiError::new(ErrorCode::Overloaded, "the host holds no more sessions"));
        }
        if self.running().contains_key(&key) {
            // Its settlement is about to be stored. Taken up now, it would be this host's again, and
            // the one that ends here might end it with a copy that is out of date.
            return Err(ApiError::new(ErrorCode::SessionClosed, "the session is just ending here"));
        }
        // Before anything is taken: another host of the same key may serve this model, and what this
        // one took from it nobody would serve.
        self.admission().served(claim.terms)?;
        if let Some(taken) = self.take_up(key).await.map_err(storage)? {
            return taken.running(key);
        }
        if self.shared.funds.get().is_some_and(|funds| !funds.can_settle(claim.chain_id)) {
            return Err(ApiError::new(
                ErrorCode::HostUnfunded,
                format!(
                    "the host cannot pay for settling on chain {} at the moment; use another chain, \
                     or try later",
                    claim.chain_id
                ),
            ));
        }
        let admitted = self.admission().admit(claim, self.now()).await?;
        let head = self
            .admission()
            .chain(claim.chain_id)?
            .head(BlockTag::Latest)
            .await
            .map_err(|error| ApiError::new(ErrorCode::ChainUnavailable, error.to_string()))?
            .number;
        let inserted = self
            .store()
            .insert_session(NewSession {
                key,
                terms: claim.terms.clone(),
                price: admitted.price,
                opened_at: self.now(),
                admitted_block: head,
            })
            .await
            .map_err(storage)?;
        if let SessionInsert::Existing(_) = inserted {
            // Another peer was admitted at the same time, perhaps by another host of the same key.
            let over = ApiError::new(ErrorCode::SessionClosed, "the session has just ended");
            let taken = self.take_up(key).await.map_err(storage)?;
            return taken.ok_or(over)?.running(key);
        }
        let Admitted { served, price, deposit, .. } = admitted;
        let meter = Meter::new(key.session_id, price, deposit, self.config().window);
        self.span(key, claim.terms).in_scope(|| {
            tracing::info!(model = served.name, %deposit, "session admitted");
        });
        let actor = SessionActor::new(
            self.shared.context.clone(),
            key,
            claim.terms.clone(),
            served,
            meter,
            self.expiry_instant(claim.terms),
            EndReason::Idle,
        );
        Ok((key, self.start(key, actor, self.span(key, claim.terms))))
    }

    /// What every line about a session carries.
    fn span(&self, key: SessionKey, terms: &SessionTerms) -> tracing::Span {
        span(&self.shared.context.chains, key, terms.token)
    }

    fn start(&self, key: SessionKey, actor: SessionActor, span: tracing::Span) -> SessionHandle {
        let (handle, mailbox) = SessionHandle::channel();
        let mut running = self.running();
        // Two peers may have been admitted at once: the first one's session is the session.
        if let Some(first) = running.get(&key).filter(|first| !first.is_over()) {
            return first.clone();
        }
        running.insert(key, handle.clone());
        let sessions = self.clone();
        let task = actor.run(mailbox).instrument(span.clone());
        let run = async move {
            let run = tokio::spawn(task).await;
            sessions.running().remove(&key);
            if let Err(error) = run {
                tracing::error!(%error, "session's task failed");
                // From the store, so that it settles like any other.
                if let Err(error) = sessions.resume_stored().await {
                    tracing::error!(%error, "stored sessions not taken up; tried again soon");
                }
            }
        };
        self.shared.tasks.spawn(run.instrument(span));
        handle
    }

    /// A running session.
    pub fn find(&self, key: &SessionKey) -> Option<SessionHandle> {
        self.running().get(key).filter(|handle| !handle.is_over()).cloned()
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.running().len()
    }

    /// Ends a session that runs.
    pub async fn end(&self, key: &SessionKey, reason: EndReason) {
        if let Some(handle) = self.find(key) {
            handle.send(Command::End(reason)).await;
        }
    }

    /// Takes no more sessions, lets running requests finish for the drain period, ends all, and
    /// waits until every settlement is in the outbox.
    pub async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        let handles: Vec<_> = self.running().values().cloned().collect();
        // At once: one session that does not take its commands must not keep the others waiting.
        let told =
            handles.iter().map(|handle| handle.send(Command::Drain(EndReason::HostShutdown)));
        let told = futures_util::future::join_all(told);
        let _ = tokio::time::timeout(self.config().drain, told).await;
        self.shared.tasks.close();
        // Running answers have the drain period; another is for a store that is slow. Whatever is
        // not settled by then is settled after a restart.
        let latest = self.config().drain.saturating_mul(2);
        if tokio::time::timeout(latest, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.shared.tasks.len(), "sessions are not settled yet");
        }
    }

    /// True once [`Sessions::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// A session's record, by id on any chain.
    pub async fn record(
        &self,
        session: SessionId,
        chain: Option<ChainId>,
    ) -> Result<Option<Session>, ApiError> {
        for client in self.admission().chains.values() {
            if chain.is_some_and(|chain| chain != client.chain_id()) {
                continue;
            }
            let Ok(marketplace) = client.marketplace() else { continue };
            let key = SessionKey { chain_id: client.chain_id(), marketplace, session_id: session };
            if let Some(record) = self.store().session(key).await.map_err(storage)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Verifies a voucher against terms that may not be admitted yet.
    pub fn verify_voucher(
        &self,
        claim: &Claim<'_>,
        voucher: &SignedVoucher,
    ) -> Result<(), ApiError> {
        let key = self.admission().key(claim)?;
        if voucher.voucher.session_id != key.session_id {
            return Err(ApiError::new(
                ErrorCode::VoucherMismatch,
                format!("the voucher is for session {}", voucher.voucher.session_id),
            ));
        }
        voucher
            .verify(&key, claim.terms.voucher_key)
            .map_err(|error| ApiError::new(ErrorCode::BadSignature, error.to_string()))
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<SessionKey, SessionHandle>> {
        // The map is only inserted into and removed from; a panic elsewhere leaves it sound.
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixSeconds {
        self.shared.context.clock.now()
    }

    fn expiry_instant(&self, terms: &SessionTerms) -> Instant {
        let left = terms.expiry.since(self.now());
        Instant::now() + core::time::Duration::from_secs(left)
    }
}

fn storage(error: StoreError) -> ApiError {
    tracing::error!(%error, "storage failed");
    ApiError::new(ErrorCode::Internal, "the host cannot read its store")
}
