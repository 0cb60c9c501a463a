//! What can go wrong for the engine's callers.

use capstan_base::{Address, ChainId};
use capstan_store::{IntentId, StoreError};

use crate::chain::ChainError;
use crate::signer::SignerError;

/// Result of the engine's methods.
pub type Result<T, E = EngineError> = ::core::result::Result<T, E>;

/// A failed operation of the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error("the engine's store failed")]
    Store(#[from] StoreError),
    /// The chain could not be asked.
    #[error("chain {chain_id} could not be asked")]
    Chain {
        /// Which.
        chain_id: ChainId,
        /// Why.
        source: ChainError,
    },
    /// The signer failed.
    #[error("the signer of {account} failed")]
    Signer {
        /// Whose key.
        account: Address,
        /// Why.
        source: SignerError,
    },
    /// A chain answers to another id than it was configured under.
    #[error("the chain configured as {configured} says it is {actual}")]
    WrongChain {
        /// Id in the configuration.
        configured: ChainId,
        /// Id of the adapter.
        actual: ChainId,
    },
    /// No lane serves this account on this chain.
    #[error("there is no lane for {sender} on chain {chain_id}")]
    UnknownLane {
        /// Chain.
        chain_id: ChainId,
        /// Account.
        sender: Address,
    },
    /// Larger than a node's pool takes.
    #[error("calldata of {bytes} bytes is above the {limit} bytes a pool takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No intent has this id.
    #[error("there is no intent {0}")]
    UnknownIntent(IntentId),
    /// The engine was stopped.
    #[error("the engine is stopped")]
    Stopped,
}

impl EngineError {
    /// True if the same call may succeed later without anyone changing it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(source) => source.is_retryable(),
            Self::Chain { .. } | Self::Signer { .. } => true,
            Self::WrongChain { .. }
            | Self::UnknownLane { .. }
            | Self::TooLarge { .. }
            | Self::UnknownIntent(_)
            | Self::Stopped => false,
        }
    }
}
