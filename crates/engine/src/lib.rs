//! The transaction engine: from a durable wish to its effect in a final block.
//!
//! ```text
//!            outbox (EngineStore)                         chain (LaneChain)
//!                │  queued intents                           ▲ raw bytes   │ heads, receipts
//!                ▼                                           │             ▼
//!  Engine ── lane task, one per (chain, account) ── rounds: effects run, results come back
//!                │                        ▲
//!          Event ▼                        │ Effect
//!              core::Lane: pure, no clock, socket or disk
//! ```
//!
//! A lane's core decides, the lane's task does. A round reads the chain, gives what it saw to the
//! core, and carries out what the core asks for until it asks for nothing more. Signing and storing
//! are one effect, and broadcasting takes only what that effect brought back: nothing is sent that
//! was not stored. After a crash, or any error of the store, the lane is rebuilt from the store.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod chain;
pub mod config;
#[cfg(any(test, feature = "fake"))]
pub mod conformance;
pub mod core;
pub mod engine;
pub mod error;
mod evm;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod lane;
pub mod signer;
mod telemetry;
mod waiters;

pub use chain::{Call, ChainError, Estimate, Fees, Head, HeadTag, LaneChain, Receipt, SendOutcome};
pub use config::{EngineConfig, FinalityPolicy, LaneConfig};
pub use engine::{Engine, Explanation};
pub use error::{EngineError, Result};
pub use signer::{LaneSigner, SignedTx, SignerError, TxFees, UnsignedTx};
pub use waiters::Outcome;
