//! Sessions that are stored already: served on from their record, or settled if that cannot be.
//!
//! Whatever this host takes up it serves or settles: what it did neither with would be settled by
//! nobody, since other hosts of the same key leave alone what one of them serves.

use std::collections::BTreeSet;

use capstan_base::SessionKey;
use capstan_store::{Session, SessionState, StoreError};
use capstan_wire::session::EndReason;
use capstan_wire::{ApiError, ErrorCode};
use std::sync::atomic::Ordering;
use tracing::Instrument as _;

use super::Sessions;
use crate::meter::Meter;
use crate::session::{SessionActor, SessionHandle};
use crate::settlement::claim_of;

/// A stored session after it was taken up.
pub(super) enum TakenUp {
    /// It runs here.
    Running(SessionHandle),
    /// It was over, or is settled now because it cannot be served on.
    Over(SessionState),
}

impl TakenUp {
    /// The session as a peer gets it.
    pub(super) fn running(self, key: SessionKey) -> Result<(SessionKey, SessionHandle), ApiError> {
        match self {
            Self::Running(handle) => Ok((key, handle)),
            Self::Over(state) => Err(ApiError::new(
                ErrorCode::SessionClosed,
                format!("session {} is {} here", key.session_id, state.as_str()),
            )),
        }
    }
}

impl Sessions {
    /// Takes up every unfinished session that this host serves by its store and does not run, as
    /// after a restart; each has the grace period to come back before it settles. Returns how many
    /// run now. May be called at any time.
    pub async fn resume_stored(&self) -> Result<usize, StoreError> {
        let mut resumed = 0;
        // Before and after: a session that ends meanwhile is listed as it was.
        let before: BTreeSet<_> = self.running().keys().copied().collect();
        for record in self.store().sessions_served().await? {
            let key = record.key;
            let span = self.span(key, &record.terms);
            if before.contains(&key) || self.running().contains_key(&key) {
                continue;
            }
            match self.go_on(record).await {
                Ok(TakenUp::Running(_)) => resumed += 1,
                Ok(TakenUp::Over(_)) => {}
                Err(error) => {
                    span.in_scope(|| tracing::error!(%error, "session not settled"));
                }
            }
        }
        Ok(resumed)
    }

    /// As [`Self::resume_stored`], now and then while serving. A host that shuts down starts nothing.
    pub async fn resume_left_out(&self) -> Result<(), StoreError> {
        if self.shared.draining.load(Ordering::Relaxed) {
            return Ok(());
        }
        let resumed = self.resume_stored().await?;
        if resumed > 0 {
            tracing::warn!(resumed, "sessions of this host that nothing ran are taken up");
        }
        Ok(())
    }

    /// Ends what is due to end: at once what runs here, and, if it was due at the last look too, what
    /// runs nowhere or at a host that does not act. Of that the newest voucher is claimed, while it
    /// still counts on chain. `seen` is what was due then.
    pub async fn end_due(&self, due: &[(SessionKey, EndReason)], seen: &mut BTreeSet<SessionKey>) {
        for (key, reason) in due {
            if self.running().contains_key(key) {
                self.end(key, *reason).await;
            } else if seen.contains(key)
                && let Err(error) = self.settle_left(*key, *reason).await
            {
                // The others are due as well; this one is again at the next look.
                tracing::error!(session = %key.session_id, %error, "session not settled");
            }
        }
        *seen = due.iter().map(|(key, _)| *key).collect();
    }

    /// Settles what runs nowhere, or at a host that does not act.
    async fn settle_left(&self, key: SessionKey, reason: EndReason) -> Result<(), StoreError> {
        match self.store().serve_session(key).await? {
            // Its renter may have come back meanwhile: then its own task ends it.
            Some(record) if is_unfinished(record.state) && !self.running().contains_key(&key) => {
                self.settle_stored(record, reason).await
            }
            _ => Ok(()),
        }
    }

    /// Makes this host the one that serves a stored session, and goes on with it. `None` if none is
    /// stored. Not to be called while the session runs or ends here.
    pub(super) async fn take_up(&self, key: SessionKey) -> Result<Option<TakenUp>, StoreError> {
        match self.store().serve_session(key).await? {
            Some(record) => self.go_on(record).await.map(Some),
            None => Ok(None),
        }
    }

    /// Serves a session of this host on from its record, or settles it if that cannot be: its model
    /// is gone, or its tally is torn.
    async fn go_on(&self, record: Session) -> Result<TakenUp, StoreError> {
        if !is_unfinished(record.state) {
            return Ok(TakenUp::Over(record.state));
        }
        if let Some(handle) = self.start_stored(record.clone()) {
            return Ok(TakenUp::Running(handle));
        }
        self.settle_stored(record, EndReason::HostRestart).await?;
        Ok(TakenUp::Over(SessionState::Settling))
    }

    fn start_stored(&self, record: Session) -> Option<SessionHandle> {
        let key = record.key;
        let span = self.span(key, &record.terms);
        let _entered = span.enter();
        let Ok(served) = self.admission().served(&record.terms).cloned() else {
            tracing::warn!(
                model = %record.terms.model, "stored session's model is not served any more"
            );
            return None;
        };
        // Top-ups are read again when they are needed.
        let deposit = record
            .voucher
            .as_ref()
            .map_or(record.terms.deposit, |newest| newest.voucher.amount.max(record.terms.deposit));
        let mut meter = Meter::new(key.session_id, record.price, deposit, self.config().window);
        if let Some(voucher) = record.voucher
            && let Err(error) = meter.resume(voucher, record.tally)
        {
            tracing::error!(%error, "stored tally is torn");
            return None;
        }
        let expires = self.expiry_instant(&record.terms);
        let actor = SessionActor::new(
            self.shared.context.clone(),
            key,
            record.terms,
            served,
            meter,
            expires,
            EndReason::HostRestart,
        );
        Some(self.start(key, actor, span.clone()))
    }

    /// Settles a session of this host from its record alone.
    async fn settle_stored(&self, record: Session, reason: EndReason) -> Result<(), StoreError> {
        let claim = claim_of(&record);
        let (key, terms) = (record.key, &record.terms);
        let context = &self.shared.context;
        let span = self.span(key, terms);
        let end = context.outbox.end(key, terms, record.voucher.as_ref(), claim, reason);
        end.instrument(span.clone()).await?;
        span.in_scope(|| tracing::info!(%claim, "session settled from its record"));
        Ok(())
    }
}

fn is_unfinished(state: SessionState) -> bool {
    matches!(state, SessionState::Open | SessionState::Detached)
}
