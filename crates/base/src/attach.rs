//! Proof that a connection holds a session's voucher key.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;

use crate::id::{ChainId, SessionId};
use crate::sol;
use crate::voucher::domain;

/// The host's fresh challenge for one connection. Signed together with the session id under the
/// marketplace's EIP-712 domain, so that an answer serves no other session, chain or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachChallenge(pub B256);

impl AttachChallenge {
    /// EIP-712 digest of `Attach(bytes32 sessionId,bytes32 challenge)`.
    pub fn digest(&self, chain_id: ChainId, marketplace: Address, session: SessionId) -> B256 {
        sol::Attach { sessionId: session.0, challenge: self.0 }
            .eip712_signing_hash(&domain(chain_id, marketplace))
    }
}
