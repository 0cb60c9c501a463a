//! What can go wrong for the engine's callers.

use capstan_base::{Address, ChainId};
use capstan_store::{IntentId, StoreError};

/// Result of the engine's methods.
pub type Result<T, E = EngineError> = ::core::result::Result<T, E>;

/// A failed operation of the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error("the engine's store failed")]
    Store(#[from] StoreError),
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
