//! Sessions as the marketplace has them.

use capstan_base::{Address, SessionId, SessionKey, SessionTerms};

use crate::bindings::abi::JobMarketplace;
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::types::{BlockTag, SessionState};

const READING: &str = "reading a session";

impl ChainClient {
    /// Id and state of the session with these terms. The contract hashes the terms itself; an id
    /// that differs from ours is an error.
    pub async fn job(
        &self,
        terms: &SessionTerms,
        at: BlockTag,
    ) -> Result<(SessionId, SessionState), ChainError> {
        const OPERATION: &str = "reading a session by its terms";
        let call = JobMarketplace::getJobCall { terms: terms.into() };
        let answer = self.view(OPERATION, self.marketplace()?, call, at).await?;
        let (id, expected) = (SessionId(answer.sessionId), terms.id());
        if id != expected {
            let detail = format!("session id {id}, expected {expected}");
            return Err(self.inconsistent(OPERATION, detail));
        }
        let state = SessionState::try_from(answer.session);
        state.map(|state| (id, state)).map_err(|error| self.inconsistent(OPERATION, error))
    }

    /// State of a session of the configured marketplace by its id; [`crate::SessionStatus::None`] if
    /// it was never opened.
    pub async fn session(&self, id: SessionId, at: BlockTag) -> Result<SessionState, ChainError> {
        self.session_at(self.marketplace()?, id, at).await
    }

    /// The same, as two endpoints say.
    pub(super) async fn agreed_session(
        &self,
        id: SessionId,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        self.agreed_session_at(self.marketplace()?, id, at).await
    }

    /// State of a session that may have been opened at a marketplace configured before, as two
    /// endpoints say: what ends a session here.
    pub async fn agreed_session_of(
        &self,
        key: &SessionKey,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        self.agreed_session_at(key.marketplace, key.session_id, at).await
    }

    async fn agreed_session_at(
        &self,
        marketplace: Address,
        id: SessionId,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        let call = JobMarketplace::sessionsCall { sessionId: id.0 };
        self.state(self.agreed_view(READING, marketplace, call, at).await?)
    }

    /// State of a session that may have been opened at a marketplace configured before.
    pub async fn session_of(
        &self,
        key: &SessionKey,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        self.session_at(key.marketplace, key.session_id, at).await
    }

    async fn session_at(
        &self,
        marketplace: Address,
        id: SessionId,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        let call = JobMarketplace::sessionsCall { sessionId: id.0 };
        self.state(self.view(READING, marketplace, call, at).await?)
    }

    fn state(&self, found: JobMarketplace::Session) -> Result<SessionState, ChainError> {
        SessionState::try_from(found).map_err(|error| self.inconsistent(READING, error))
    }
}
