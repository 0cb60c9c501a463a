//! The contracts: their ABI, calldata for them, and what they answer.

pub mod abi;
pub mod batch;
pub mod calls;
mod convert;
mod revert;

use alloy_primitives::{B256, keccak256};

pub use convert::OutOfRange;
pub(crate) use convert::{amount, canonical};
pub use revert::decode_revert;

/// One contract this build knows, by the name its interface version is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContractKind {
    /// Sessions and the ledger.
    JobMarketplace,
    /// Hosts, stakes, prices.
    NodeRegistry,
    /// Approved models.
    ModelRegistry,
    /// FAB.
    GovernanceToken,
    /// A worthless dollar for local chains.
    TestUsdc,
    /// Code for accounts that batch calls by EIP-7702.
    SelfBatch,
}

impl ContractKind {
    /// Name of the contract in Solidity.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobMarketplace => "JobMarketplace",
            Self::NodeRegistry => "NodeRegistry",
            Self::ModelRegistry => "ModelRegistry",
            Self::GovernanceToken => "GovernanceToken",
            Self::TestUsdc => "TestUsdc",
            Self::SelfBatch => "SelfBatch",
        }
    }

    /// What `interfaceVersion()` of it answers: `keccak256("capstan.<name>.v1")`.
    pub fn interface_version(self) -> B256 {
        keccak256(format!("capstan.{}.v1", self.name()))
    }
}
