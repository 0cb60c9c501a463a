//! A chain in memory, with the faults of real ones, and a signer for it.
//!
//! For tests of this room and for the simulator. Time stands still until a test mines; nothing here
//! sleeps.

#[cfg(test)]
mod chain;
pub(crate) mod contracts;
pub(crate) mod model;
mod signer;
pub(crate) mod tx;

#[cfg(test)]
pub(crate) use chain::FakeChain;
pub(crate) use signer::FakeSigner;
