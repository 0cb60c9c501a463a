//! What a deployment is made of, before anything is sent.

use alloy_sol_types::SolConstructor;
use capstan_base::Address;

use crate::bindings::ContractKind;
use crate::bindings::abi::{
    AgentRegistry, BaseAccountIntegration, CircuitBreaker, Governance, GovernanceToken,
    HostSlashing, JobBoard, JobMarketplace, ModelRegistry, NodeRegistry, ProofSystem, RelayManager,
    RelayToken, ReputationSystem, SelfBatch, SessionAccount, SessionAccountFactory, TestUsdc,
    Timelock,
};
use crate::registry::Contracts;
use crate::types::Bytes;

/// Bytes of code one contract may have (EIP-170), for what its making costs at most.
const CODE_LIMIT: u64 = 24_576;

/// The marketplace's own cap, basis points.
const MAX_FEE_BPS: u16 = 1000;

/// What differs from chain to chain.
#[derive(Clone, Debug)]
pub struct DeployParams {
    /// Gets the whole supply of FAB and MCT, to hand out.
    pub token_holder: Address,
    /// May pause entry until governance names others.
    pub guardians: Vec<Address>,
    /// Protocol fee, basis points.
    pub fee_bps: u16,
    /// The chain's ERC-4337 EntryPoint, version 0.8; without one, no contracts of smart accounts.
    pub entry_point: Option<Address>,
    /// Owns what is owned, in the place of governance, and of course no timelock is made then. For
    /// local chains: whoever holds this key has power over the deployment.
    pub owner: Option<Address>,
    /// Collects fees [default: the owner].
    pub fee_recipient: Option<Address>,
    /// Deploys the worthless test dollar too.
    pub test_usdc: bool,
}

/// A deployment by one account, one transaction a contract, from one nonce on.
#[derive(Clone, Debug)]
pub struct Plan {
    deployer: Address,
    first_nonce: u64,
    params: DeployParams,
    kinds: Vec<ContractKind>,
}

/// As in contracts/script/DeployAll.sol.
const ORDER: [ContractKind; 19] = [
    ContractKind::GovernanceToken,
    ContractKind::Timelock,
    ContractKind::Governance,
    ContractKind::CircuitBreaker,
    ContractKind::ModelRegistry,
    ContractKind::NodeRegistry,
    ContractKind::ReputationSystem,
    ContractKind::ProofSystem,
    ContractKind::JobBoard,
    ContractKind::JobMarketplace,
    ContractKind::HostSlashing,
    ContractKind::AgentRegistry,
    ContractKind::RelayToken,
    ContractKind::RelayManager,
    ContractKind::SessionAccount,
    ContractKind::SessionAccountFactory,
    ContractKind::BaseAccountIntegration,
    ContractKind::SelfBatch,
    ContractKind::TestUsdc,
];

impl Plan {
    /// The plan of a deployment whose first transaction has this nonce.
    pub fn new(deployer: Address, first_nonce: u64, params: DeployParams) -> Self {
        let wanted = |kind: &ContractKind| match kind {
            ContractKind::Timelock | ContractKind::Governance => params.owner.is_none(),
            ContractKind::SessionAccount
            | ContractKind::SessionAccountFactory
            | ContractKind::BaseAccountIntegration => params.entry_point.is_some(),
            ContractKind::TestUsdc => params.test_usdc,
            _ => true,
        };
        let kinds = ORDER.into_iter().filter(wanted).collect();
        Self { deployer, first_nonce, params, kinds }
    }

    /// The nonce it begins with.
    pub const fn first_nonce(&self) -> u64 {
        self.first_nonce
    }

    /// Nonce and contract of each transaction, in order.
    pub fn steps(&self) -> impl Iterator<Item = (u64, ContractKind)> {
        (self.first_nonce..).zip(self.kinds.iter().copied())
    }

    /// Where a contract will lie. The zero address for one that is not part of the plan, which every
    /// constructor refuses.
    pub fn address_of(&self, kind: ContractKind) -> Address {
        let step = self.steps().find(|(_, each)| *each == kind);
        step.map_or(Address::ZERO, |(nonce, _)| self.deployer.create(nonce))
    }

    /// What differs from chain to chain.
    pub const fn params(&self) -> &DeployParams {
        &self.params
    }

    /// What no chain could make good, in words; empty if nothing.
    pub fn mistakes(&self) -> Vec<String> {
        let DeployParams { token_holder, guardians, fee_bps, .. } = &self.params;
        let mut mistakes = Vec::new();
        if token_holder.is_zero() {
            mistakes.push("the zero address cannot hold the tokens".to_owned());
        }
        for (index, guardian) in guardians.iter().enumerate() {
            if guardian.is_zero() {
                mistakes.push("the zero address cannot be a guardian".to_owned());
            }
            if guardians.iter().take(index).any(|earlier| earlier == guardian) {
                mistakes.push(format!("{guardian} is named twice as a guardian"));
            }
        }
        if *fee_bps > MAX_FEE_BPS {
            mistakes.push(format!("a fee of {fee_bps} basis points is above {MAX_FEE_BPS}"));
        }
        mistakes
    }

    /// Who collects fees.
    pub fn fee_recipient(&self) -> Address {
        self.params.fee_recipient.unwrap_or_else(|| self.owner())
    }

    /// Owner of whatever has one.
    fn owner(&self) -> Address {
        self.params.owner.unwrap_or_else(|| self.address_of(ContractKind::Timelock))
    }

    /// Creation code of a contract with its arguments.
    pub fn code_of(&self, kind: ContractKind) -> Bytes {
        let at = |kind| self.address_of(kind);
        let (owner, breaker) = (self.owner(), at(ContractKind::CircuitBreaker));
        let marketplace = at(ContractKind::JobMarketplace);
        let entry_point = self.params.entry_point.unwrap_or_default();
        let token_holder = self.params.token_holder;
        let (code, arguments) = match kind {
            ContractKind::GovernanceToken => (
                &GovernanceToken::BYTECODE,
                GovernanceToken::constructorCall { receiver: token_holder }.abi_encode(),
            ),
            ContractKind::Timelock => (
                &Timelock::BYTECODE,
                Timelock::constructorCall { governor: at(ContractKind::Governance) }.abi_encode(),
            ),
            ContractKind::Governance => (
                &Governance::BYTECODE,
                Governance::constructorCall {
                    token: at(ContractKind::GovernanceToken),
                    timelock_: at(ContractKind::Timelock),
                }
                .abi_encode(),
            ),
            ContractKind::CircuitBreaker => (
                &CircuitBreaker::BYTECODE,
                CircuitBreaker::constructorCall {
                    owner_: owner,
                    guardians: self.params.guardians.clone(),
                }
                .abi_encode(),
            ),
            ContractKind::ModelRegistry => (
                &ModelRegistry::BYTECODE,
                ModelRegistry::constructorCall { owner_: owner }.abi_encode(),
            ),
            ContractKind::NodeRegistry => (
                &NodeRegistry::BYTECODE,
                NodeRegistry::constructorCall {
                    stakeToken: at(ContractKind::GovernanceToken),
                    models: at(ContractKind::ModelRegistry),
                    marketplace,
                    slasher: at(ContractKind::HostSlashing),
                    circuitBreaker: breaker,
                }
                .abi_encode(),
            ),
            ContractKind::ReputationSystem => (
                &ReputationSystem::BYTECODE,
                ReputationSystem::constructorCall { marketplace }.abi_encode(),
            ),
            ContractKind::ProofSystem => (
                &ProofSystem::BYTECODE,
                ProofSystem::constructorCall { owner_: owner, marketplace }.abi_encode(),
            ),
            ContractKind::JobBoard => (
                &JobBoard::BYTECODE,
                JobBoard::constructorCall {
                    nodes: at(ContractKind::NodeRegistry),
                    proofs: at(ContractKind::ProofSystem),
                    reputation: at(ContractKind::ReputationSystem),
                    circuitBreaker: breaker,
                    owner_: owner,
                }
                .abi_encode(),
            ),
            ContractKind::JobMarketplace => (
                &JobMarketplace::BYTECODE,
                JobMarketplace::constructorCall {
                    nodes: at(ContractKind::NodeRegistry),
                    board: at(ContractKind::JobBoard),
                    owner_: owner,
                    feeRecipient_: self.fee_recipient(),
                    feeBps_: self.params.fee_bps,
                }
                .abi_encode(),
            ),
            ContractKind::HostSlashing => (
                &HostSlashing::BYTECODE,
                HostSlashing::constructorCall {
                    nodes: at(ContractKind::NodeRegistry),
                    market: marketplace,
                    owner_: owner,
                }
                .abi_encode(),
            ),
            ContractKind::AgentRegistry => (
                &AgentRegistry::BYTECODE,
                AgentRegistry::constructorCall { circuitBreaker: breaker }.abi_encode(),
            ),
            ContractKind::RelayToken => (
                &RelayToken::BYTECODE,
                RelayToken::constructorCall { receiver: token_holder }.abi_encode(),
            ),
            ContractKind::RelayManager => (
                &RelayManager::BYTECODE,
                RelayManager::constructorCall {
                    stakeToken: at(ContractKind::RelayToken),
                    owner_: owner,
                    circuitBreaker: breaker,
                }
                .abi_encode(),
            ),
            ContractKind::SessionAccount => (
                &SessionAccount::BYTECODE,
                SessionAccount::constructorCall { entryPoint: entry_point, marketplace }
                    .abi_encode(),
            ),
            ContractKind::SessionAccountFactory => (
                &SessionAccountFactory::BYTECODE,
                SessionAccountFactory::constructorCall {
                    implementation: at(ContractKind::SessionAccount),
                }
                .abi_encode(),
            ),
            ContractKind::BaseAccountIntegration => (
                &BaseAccountIntegration::BYTECODE,
                BaseAccountIntegration::constructorCall {
                    entryPoint: entry_point,
                    marketplace,
                    factory: at(ContractKind::SessionAccountFactory),
                    owner_: owner,
                }
                .abi_encode(),
            ),
            ContractKind::SelfBatch => (&SelfBatch::BYTECODE, Vec::new()),
            ContractKind::TestUsdc => (&TestUsdc::BYTECODE, Vec::new()),
        };
        code.iter().copied().chain(arguments).collect()
    }

    /// About the gas of the transactions from a nonce on: what creation, calldata and stored code cost (EIP-2028,
    /// EIP-3860, EIP-170), and a tenth for what constructors do.
    pub fn gas_from(&self, nonce: u64) -> u64 {
        let step = |kind| {
            let code = self.code_of(kind);
            let length = u64::try_from(code.len()).unwrap_or(u64::MAX);
            let zeros = code.iter().filter(|byte| **byte == 0).count();
            let zeros = u64::try_from(zeros).unwrap_or(u64::MAX);
            let calldata = length.saturating_sub(zeros).saturating_mul(16);
            let calldata = calldata.saturating_add(zeros.saturating_mul(4));
            let stored = length.min(CODE_LIMIT).saturating_mul(200);
            let gas = stored.saturating_add(calldata).saturating_add(53_000);
            gas.saturating_add(gas / 10)
        };
        let left = self.steps().filter(|(each, _)| *each >= nonce);
        left.map(|(_, kind)| step(kind)).fold(0, u64::saturating_add)
    }

    /// Addresses for the configuration.
    pub fn contracts(&self) -> Contracts {
        let others = self.kinds.iter().filter(|kind| {
            !matches!(
                kind,
                ContractKind::JobMarketplace | ContractKind::NodeRegistry | ContractKind::TestUsdc
            )
        });
        Contracts {
            job_marketplace: self.address_of(ContractKind::JobMarketplace),
            node_registry: self.address_of(ContractKind::NodeRegistry),
            others: others.map(|kind| (*kind, self.address_of(*kind))).collect(),
            from_block: None,
        }
    }
}
