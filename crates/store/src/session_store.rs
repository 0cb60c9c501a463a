//! The seam a host needs beside the engine's: sessions, and their way into the outbox.

use async_trait::async_trait;
use capstan_base::{ChainId, SessionKey, SignedVoucher, TallyState, UnixSeconds};

use crate::engine_store::EngineStore;
use crate::error::Result;
use crate::intents::{Intent, Limits, NewIntent, limit_queued};
use crate::sessions::{
    Closing, NewSession, Session, SessionInsert, SessionState, SettleOutcome, Transition,
};
use crate::store::Store;
use crate::voucher_guard::VoucherOutcome;

/// Durable memory of a host: its sessions, in the database where its engine finds their intents.
///
/// Several hosts with one key may share it. A session is then served by one of them at a time, the
/// one that admitted it or the last to call [`SessionStore::serve_session`], since what it owes
/// beyond its newest voucher is in that host's memory. Any other is refused with `Elsewhere` where
/// it would attach, store a voucher, detach or end; it learns so that its own copy is out of date. A
/// renter is best led to the same host each time, and to another when that one is gone. Following a settlement,
/// replacing one that can have no effect any more, and writing down how it closed are the same
/// whoever does them, however often, so every host may do so for all sessions. A host started under
/// the name of one that is gone takes up that one's sessions.
///
/// Every method that writes is one transaction and is durable once it has answered.
/// `tests/it/sessions.rs` holds what every implementation must do.
#[async_trait]
pub trait SessionStore: EngineStore {
    /// Looks an intent up by its key.
    async fn intent_by_key(&self, key: &str) -> Result<Option<Intent>>;
    /// Changes what queued intents may cost and are worth, and gives how many there were to change. One
    /// that is bound to a nonce, or over, stays as it is. An engine that has read an intent already
    /// goes on with what it read.
    async fn limit_queued(&self, limits: Vec<Limits>) -> Result<usize>;
    /// Stores an admitted session once, served here.
    async fn insert_session(&self, new: NewSession) -> Result<SessionInsert>;
    /// Stores a voucher and the tally it was signed at. None of amount, tokens and tally ever falls.
    async fn record_voucher(
        &self,
        key: SessionKey,
        signed: &SignedVoucher,
        tally: &TallyState,
    ) -> Result<VoucherOutcome>;
    /// Notes that nobody is attached any more. The first time counts.
    async fn detach_session(&self, key: SessionKey, at: UnixSeconds) -> Result<Transition>;
    /// Makes this host the one that serves a session, if it is open or detached, and gives the
    /// session as it is from then on. To be called before a copy of it is made.
    async fn serve_session(&self, key: SessionKey) -> Result<Option<Session>>;
    /// Notes that a renter is attached again.
    async fn attach_session(&self, key: SessionKey) -> Result<Transition>;
    /// Ends a session in one transaction: it is settling and `intent` is in the outbox, or neither.
    /// Without an intent there was nothing to claim, and it is abandoned. The first call decides; a
    /// later one may bring another intent, under another key, once the first one's can have no
    /// effect any more.
    async fn settle_session(
        &self,
        key: SessionKey,
        end_reason: &str,
        intent: Option<NewIntent>,
    ) -> Result<SettleOutcome>;
    /// Records what closing paid. Allowed from any state, since either side or anyone after the
    /// expiry may close on chain. The first figures stay, and each later call is told
    /// [`Transition::Already`].
    async fn finish_session(&self, key: SessionKey, closing: Closing) -> Result<Transition>;
    /// Looks a session up.
    async fn session(&self, key: SessionKey) -> Result<Option<Session>>;
    /// Every session in a state, by chain, whoever serves it.
    async fn sessions_in(&self, state: SessionState) -> Result<Vec<Session>>;
    /// Sessions that are open or detached and served here: what a host takes up when it starts.
    async fn sessions_served(&self) -> Result<Vec<Session>>;
    /// Sessions that are open or detached and served by other hosts, with the name of each.
    async fn sessions_elsewhere(&self) -> Result<Vec<(String, Session)>>;
    /// How many sessions there are on a chain, or on all, in a state, or in any.
    async fn count_sessions(
        &self,
        chain_id: Option<ChainId>,
        state: Option<SessionState>,
    ) -> Result<u64>;
}

#[async_trait]
impl SessionStore for Store {
    async fn intent_by_key(&self, key: &str) -> Result<Option<Intent>> {
        Store::intent_by_key(self, key).await
    }

    async fn limit_queued(&self, limits: Vec<Limits>) -> Result<usize> {
        self.write("change limits", move |sql| limit_queued(sql, &limits)).await
    }

    async fn insert_session(&self, new: NewSession) -> Result<SessionInsert> {
        Store::insert_session(self, new).await
    }

    async fn record_voucher(
        &self,
        key: SessionKey,
        signed: &SignedVoucher,
        tally: &TallyState,
    ) -> Result<VoucherOutcome> {
        Store::record_voucher(self, key, signed, tally).await
    }

    async fn detach_session(&self, key: SessionKey, at: UnixSeconds) -> Result<Transition> {
        Store::detach_session(self, key, at).await
    }

    /// One process has the file: it serves them all.
    async fn serve_session(&self, key: SessionKey) -> Result<Option<Session>> {
        Store::session(self, key).await
    }

    async fn attach_session(&self, key: SessionKey) -> Result<Transition> {
        Store::attach_session(self, key).await
    }

    async fn settle_session(
        &self,
        key: SessionKey,
        end_reason: &str,
        intent: Option<NewIntent>,
    ) -> Result<SettleOutcome> {
        Store::settle_session(self, key, end_reason, intent).await
    }

    async fn finish_session(&self, key: SessionKey, closing: Closing) -> Result<Transition> {
        Store::finish_session(self, key, closing).await
    }

    async fn session(&self, key: SessionKey) -> Result<Option<Session>> {
        Store::session(self, key).await
    }

    async fn sessions_in(&self, state: SessionState) -> Result<Vec<Session>> {
        Store::sessions_in(self, state).await
    }

    /// One process has the file: it serves them all.
    async fn sessions_served(&self) -> Result<Vec<Session>> {
        let mut served = Store::sessions_in(self, SessionState::Open).await?;
        served.extend(Store::sessions_in(self, SessionState::Detached).await?);
        Ok(served)
    }

    /// One process has the file: there are no others.
    async fn sessions_elsewhere(&self) -> Result<Vec<(String, Session)>> {
        Ok(Vec::new())
    }

    async fn count_sessions(
        &self,
        chain_id: Option<ChainId>,
        state: Option<SessionState>,
    ) -> Result<u64> {
        Store::count_sessions(self, chain_id, state).await
    }
}
