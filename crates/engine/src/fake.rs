//! A chain in memory, with the faults of real ones, and a signer for it.
//!
//! For tests of this room. Time stands still until a test mines; nothing here sleeps.

mod chain;
mod model;
mod signer;

pub(crate) use chain::FakeChain;
pub(crate) use signer::FakeSigner;
