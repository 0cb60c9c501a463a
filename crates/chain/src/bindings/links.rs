//! Which contract names which: every link of a deployment.

use crate::bindings::ContractKind::{self, *};

/// A function of one contract that answers with the address of another.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Who is asked.
    pub of: ContractKind,
    /// The function's name; it takes nothing.
    pub getter: &'static str,
    /// Who has to be named.
    pub to: ContractKind,
}

const fn link(of: ContractKind, getter: &'static str, to: ContractKind) -> Link {
    Link { of, getter, to }
}

/// Every link between two contracts of a deployment. An owner is one: the timelock's alone.
pub const LINKS: [Link; 33] = [
    link(JobMarketplace, "NODES", NodeRegistry),
    link(JobMarketplace, "BOARD", JobBoard),
    // By the board's code.
    link(JobMarketplace, "PROOFS", ProofSystem),
    link(JobMarketplace, "REPUTATION", ReputationSystem),
    link(JobMarketplace, "CIRCUIT_BREAKER", CircuitBreaker),
    link(JobMarketplace, "owner", Timelock),
    link(NodeRegistry, "MODELS", ModelRegistry),
    link(NodeRegistry, "STAKE_TOKEN", GovernanceToken),
    link(NodeRegistry, "MARKETPLACE", JobMarketplace),
    link(NodeRegistry, "SLASHER", HostSlashing),
    link(NodeRegistry, "CIRCUIT_BREAKER", CircuitBreaker),
    link(ModelRegistry, "owner", Timelock),
    link(ReputationSystem, "MARKETPLACE", JobMarketplace),
    link(ProofSystem, "MARKETPLACE", JobMarketplace),
    link(ProofSystem, "owner", Timelock),
    link(JobBoard, "NODES", NodeRegistry),
    link(JobBoard, "CIRCUIT_BREAKER", CircuitBreaker),
    link(JobBoard, "owner", Timelock),
    link(HostSlashing, "NODES", NodeRegistry),
    link(HostSlashing, "MARKET", JobMarketplace),
    link(HostSlashing, "owner", Timelock),
    link(CircuitBreaker, "owner", Timelock),
    link(Governance, "token", GovernanceToken),
    link(Governance, "timelock", Timelock),
    link(AgentRegistry, "CIRCUIT_BREAKER", CircuitBreaker),
    link(RelayManager, "STAKE_TOKEN", RelayToken),
    link(RelayManager, "CIRCUIT_BREAKER", CircuitBreaker),
    link(RelayManager, "owner", Timelock),
    link(SessionAccount, "MARKETPLACE", JobMarketplace),
    link(SessionAccountFactory, "IMPLEMENTATION", SessionAccount),
    link(BaseAccountIntegration, "MARKETPLACE", JobMarketplace),
    link(BaseAccountIntegration, "FACTORY", SessionAccountFactory),
    link(BaseAccountIntegration, "owner", Timelock),
];
