//! A chain in memory, with the faults of real ones, and a signer for it.
//!
//! For tests of this room and of those above it (`features = ["fake"]`). Time stands still until a
//! test mines; nothing here sleeps.

mod chain;
mod model;
mod signer;

pub use chain::{FakeChain, Faults};
pub use model::{FakeTx, MinedTx, Model};
pub use signer::FakeSigner;
