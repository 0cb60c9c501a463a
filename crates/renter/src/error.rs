//! What can go wrong on the buying side, one variant per operation.

use capstan_base::{Address, Amount, ChainId, SessionId};
use capstan_wire::ApiError;

use crate::book::Refusal;

/// A buying operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum RenterError {
    /// The host's entry in the registry does not allow this session.
    #[error("host {host} cannot be rented on chain {chain_id}: {why}")]
    HostNotServing {
        /// The host.
        host: Address,
        /// Where.
        chain_id: ChainId,
        /// What is missing.
        why: String,
    },
    /// The renter's account cannot pay.
    #[error("account {account} holds {held} base units, the deposit is {deposit}")]
    InsufficientFunds {
        /// The account.
        account: Address,
        /// What it holds of the payment token.
        held: String,
        /// What is needed.
        deposit: Amount,
    },
    /// A transaction was refused by the chain.
    #[error("{what} was refused on chain: {why}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The contract's error.
        why: String,
    },
    /// No such session in the store.
    #[error("session {0} was not opened from here; see `capstan sessions`")]
    UnknownSession(SessionId),
    /// The host's answer over HTTP or WebSocket.
    #[error("the host refused: {0}")]
    Host(#[source] ApiError),
    /// The host counted or priced otherwise than this side.
    #[error("nothing was signed: {0}")]
    Refusal(#[from] Refusal),
    /// The host cannot be reached.
    #[error("host {url} cannot be reached: {why}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// The last try's error.
        why: String,
    },
    /// The chain cannot be read.
    #[error("the chain cannot be read")]
    Chain(#[from] capstan_chain::ChainError),
    /// The engine.
    #[error("the transaction engine failed")]
    Engine(#[from] capstan_engine::EngineError),
    /// The store.
    #[error("the store failed")]
    Store(#[from] capstan_store::StoreError),
    /// The key.
    #[error("signing failed")]
    Signer(#[from] capstan_chain::SignerError),
    /// The model file.
    #[error("the model cannot be read")]
    Model(#[from] capstan_model::Error),
    /// The session is over.
    #[error("the session is over: {0}")]
    Over(String),
}
