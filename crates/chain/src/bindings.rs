//! The contracts: their ABI, calldata for them, and what they answer.

pub mod abi;
pub mod batch;
pub mod calls;
mod convert;
pub mod links;
mod revert;

use alloy_primitives::{B256, keccak256};

pub use convert::OutOfRange;
pub(crate) use convert::{amount, canonical};
pub use revert::decode_revert;

/// One contract this build knows, by the name its interface version is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContractKind {
    /// Sessions and jobs, and the ledger under both.
    JobMarketplace,
    /// Hosts, stakes, prices.
    NodeRegistry,
    /// Approved models.
    ModelRegistry,
    /// FAB.
    GovernanceToken,
    /// Owns whatever has an owner.
    Timelock,
    /// Votes of FAB.
    Governance,
    /// Guardians, who may pause entry.
    CircuitBreaker,
    /// Records of hosts.
    ReputationSystem,
    /// Proofs of jobs.
    ProofSystem,
    /// The code of jobs, which the marketplace runs.
    JobBoard,
    /// Evidence against hosts.
    HostSlashing,
    /// Agents.
    AgentRegistry,
    /// MCT.
    RelayToken,
    /// Relay nodes.
    RelayManager,
    /// Code of smart accounts.
    SessionAccount,
    /// Makes smart accounts.
    SessionAccountFactory,
    /// Pays for user operations.
    BaseAccountIntegration,
    /// Code for accounts that batch calls by EIP-7702.
    SelfBatch,
    /// A worthless dollar for local chains.
    TestUsdc,
}

impl ContractKind {
    /// Every one of them.
    pub const ALL: [Self; 19] = [
        Self::JobMarketplace,
        Self::NodeRegistry,
        Self::ModelRegistry,
        Self::GovernanceToken,
        Self::Timelock,
        Self::Governance,
        Self::CircuitBreaker,
        Self::ReputationSystem,
        Self::ProofSystem,
        Self::JobBoard,
        Self::HostSlashing,
        Self::AgentRegistry,
        Self::RelayToken,
        Self::RelayManager,
        Self::SessionAccount,
        Self::SessionAccountFactory,
        Self::BaseAccountIntegration,
        Self::SelfBatch,
        Self::TestUsdc,
    ];

    /// Name of the contract in Solidity.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobMarketplace => "JobMarketplace",
            Self::NodeRegistry => "NodeRegistry",
            Self::ModelRegistry => "ModelRegistry",
            Self::GovernanceToken => "GovernanceToken",
            Self::Timelock => "Timelock",
            Self::Governance => "Governance",
            Self::CircuitBreaker => "CircuitBreaker",
            Self::ReputationSystem => "ReputationSystem",
            Self::ProofSystem => "ProofSystem",
            Self::JobBoard => "JobBoard",
            Self::HostSlashing => "HostSlashing",
            Self::AgentRegistry => "AgentRegistry",
            Self::RelayToken => "RelayToken",
            Self::RelayManager => "RelayManager",
            Self::SessionAccount => "SessionAccount",
            Self::SessionAccountFactory => "SessionAccountFactory",
            Self::BaseAccountIntegration => "BaseAccountIntegration",
            Self::SelfBatch => "SelfBatch",
            Self::TestUsdc => "TestUsdc",
        }
    }

    /// Its key in a configuration file; upper case, the end of an environment variable.
    pub const fn key(self) -> &'static str {
        match self {
            Self::JobMarketplace => "job_marketplace",
            Self::NodeRegistry => "node_registry",
            Self::ModelRegistry => "model_registry",
            Self::GovernanceToken => "governance_token",
            Self::Timelock => "timelock",
            Self::Governance => "governance",
            Self::CircuitBreaker => "circuit_breaker",
            Self::ReputationSystem => "reputation_system",
            Self::ProofSystem => "proof_system",
            Self::JobBoard => "job_board",
            Self::HostSlashing => "host_slashing",
            Self::AgentRegistry => "agent_registry",
            Self::RelayToken => "relay_token",
            Self::RelayManager => "relay_manager",
            Self::SessionAccount => "session_account",
            Self::SessionAccountFactory => "session_account_factory",
            Self::BaseAccountIntegration => "base_account_integration",
            Self::SelfBatch => "self_batch",
            Self::TestUsdc => "test_usdc",
        }
    }

    /// What `interfaceVersion()` of it answers: `keccak256("capstan.<name>.v<N>")`.
    pub fn interface_version(self) -> B256 {
        let version = match self {
            Self::JobMarketplace | Self::NodeRegistry | Self::GovernanceToken | Self::TestUsdc => 2,
            _ => 1,
        };
        keccak256(format!("capstan.{}.v{version}", self.name()))
    }
}
