//! Sessions as the marketplace has them.

use capstan_base::{SessionId, SessionTerms};

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

    /// State of a session by its id; [`crate::SessionStatus::None`] if it was never opened.
    pub async fn session(&self, id: SessionId, at: BlockTag) -> Result<SessionState, ChainError> {
        let call = JobMarketplace::sessionsCall { sessionId: id.0 };
        let session = self.view(READING, self.marketplace()?, call, at).await?;
        SessionState::try_from(session).map_err(|error| self.inconsistent(READING, error))
    }

    /// The same, as two endpoints say.
    pub(super) async fn agreed_session(
        &self,
        id: SessionId,
        at: BlockTag,
    ) -> Result<SessionState, ChainError> {
        let call = JobMarketplace::sessionsCall { sessionId: id.0 };
        let session = self.agreed_view(READING, self.marketplace()?, call, at).await?;
        SessionState::try_from(session).map_err(|error| self.inconsistent(READING, error))
    }
}
