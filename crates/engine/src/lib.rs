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

mod batching;
mod chain;
mod config;
#[cfg(test)]
mod conformance;
mod core;
mod engine;
mod error;
#[cfg(any(test, feature = "simulation"))]
mod fake;
mod lane;
mod names;
mod signer;
#[cfg(any(test, feature = "simulation"))]
pub mod sim;
mod telemetry;
mod waiters;

pub use batching::{Batching, Group, ItemOutcome, Singles};
pub use chain::{Estimate, LaneChain};
pub use config::{BatchPolicy, EngineConfig, LaneConfig};
pub use engine::{Engine, Explanation};
pub use error::{EngineError, Result};
pub use signer::LaneSigner;
pub use waiters::Outcome;
