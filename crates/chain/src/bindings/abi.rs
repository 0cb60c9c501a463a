//! The contracts' ABI as Rust types, made from the committed artifacts, and the few foreign
//! interfaces that are called.
#![allow(missing_docs, clippy::too_many_arguments, clippy::pedantic)]

use alloy_sol_types::sol;

sol!(
    #[sol(all_derives)]
    JobMarketplace,
    "../../contracts/artifacts/JobMarketplace.json"
);

sol!(
    #[sol(all_derives)]
    NodeRegistry,
    "../../contracts/artifacts/NodeRegistry.json"
);

sol!(
    #[sol(all_derives)]
    ModelRegistry,
    "../../contracts/artifacts/ModelRegistry.json"
);

sol!(
    #[sol(all_derives)]
    GovernanceToken,
    "../../contracts/artifacts/GovernanceToken.json"
);

sol!(
    #[sol(all_derives)]
    TestUsdc,
    "../../contracts/artifacts/TestUsdc.json"
);

sol!(
    #[sol(all_derives)]
    SelfBatch,
    "../../contracts/artifacts/SelfBatch.json"
);

sol!(
    #[sol(all_derives)]
    Timelock,
    "../../contracts/artifacts/Timelock.json"
);

sol!(
    #[sol(all_derives)]
    Governance,
    "../../contracts/artifacts/Governance.json"
);

sol!(
    #[sol(all_derives)]
    CircuitBreaker,
    "../../contracts/artifacts/CircuitBreaker.json"
);

sol!(
    #[sol(all_derives)]
    ReputationSystem,
    "../../contracts/artifacts/ReputationSystem.json"
);

sol!(
    #[sol(all_derives)]
    ProofSystem,
    "../../contracts/artifacts/ProofSystem.json"
);

sol!(
    #[sol(all_derives)]
    JobBoard,
    "../../contracts/artifacts/JobBoard.json"
);

sol!(
    #[sol(all_derives)]
    HostSlashing,
    "../../contracts/artifacts/HostSlashing.json"
);

sol!(
    #[sol(all_derives)]
    AgentRegistry,
    "../../contracts/artifacts/AgentRegistry.json"
);

sol!(
    #[sol(all_derives)]
    RelayToken,
    "../../contracts/artifacts/RelayToken.json"
);

sol!(
    #[sol(all_derives)]
    RelayManager,
    "../../contracts/artifacts/RelayManager.json"
);

sol!(
    #[sol(all_derives)]
    SessionAccount,
    "../../contracts/artifacts/SessionAccount.json"
);

sol!(
    #[sol(all_derives)]
    SessionAccountFactory,
    "../../contracts/artifacts/SessionAccountFactory.json"
);

sol!(
    #[sol(all_derives)]
    BaseAccountIntegration,
    "../../contracts/artifacts/BaseAccountIntegration.json"
);

sol!(
    #[sol(all_derives)]
    IJobs,
    "../../contracts/artifacts/IJobs.json"
);

sol! {
    /// What each of our contracts answers, whatever its version.
    #[sol(all_derives)]
    interface IVersioned {
        function interfaceVersion() external view returns (bytes32);
    }

    /// ERC-20 with EIP-2612.
    #[sol(all_derives)]
    interface IErc20 {
        function approve(address spender, uint256 value) external returns (bool);
        function transfer(address to, uint256 value) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
    }

    /// Whose typed data a contract takes (ERC-5267).
    #[sol(all_derives)]
    interface IEip712 {
        function eip712Domain() external view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions);
    }

    /// Predeploy of the OP stack: https://specs.optimism.io/protocol/fjord/predeploys.html
    #[sol(all_derives)]
    interface GasPriceOracle {
        function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256);
    }
}
