//! Chains: which there are, how to read them, and the bytes that are sent to them.
//!
//! ```text
//! registry ── ChainConfig ──► client ── typed reads ──► rpc (pool of endpoints)
//! bindings ── calldata, events, reverts                  ▲
//! signer ──── signed raw transactions ── send_raw ───────┘
//! ```
//!
//! This room knows contract bindings and JSON-RPC and nothing else: no SQL, no policy about when to
//! send, replace or give up a transaction. It never decides from an absence: what two endpoints do
//! not have is returned as `None`, and what that means is the caller's business.

pub mod bindings;
pub mod client;
pub mod deploy;
pub mod error;
pub mod fees;
pub mod registry;
pub mod rpc;
pub mod signer;
pub mod types;

pub use alloy_eips::eip7702::SignedAuthorization;
pub use bindings::ContractKind;
pub use bindings::batch::{self, BatchKind, ItemOutcome};
pub use bindings::calls::{self, Call, NewOffer};
pub use capstan_base::SignedTransaction;
pub use client::{ChainClient, Delegation, Effect};
pub use error::{ChainError, RpcError, SignerError};
pub use fees::{Fees, GasMultiplier, GasPrice};
pub use registry::{ChainConfig, ChainKind, ChainRegistry, Contracts, Finality, NativeCoin, Token};
pub use rpc::{Found, RpcPool, RpcUrl, SendOutcome, Voices};
pub use signer::{KeySource, LocalSigner, TxFields, TxTarget};
pub use types::{
    BlockRef, BlockTag, CloseReason, Closing, GasEstimate, Node, NodeInfo, NonceUse, OpenedSession,
    Receipt, Score, SessionState, SessionStatus,
};
