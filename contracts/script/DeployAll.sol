// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {VmSafe} from "forge-std/Vm.sol";
import {AgentRegistry} from "../src/AgentRegistry.sol";
import {BaseAccountIntegration} from "../src/BaseAccountIntegration.sol";
import {CircuitBreaker} from "../src/CircuitBreaker.sol";
import {Governance} from "../src/Governance.sol";
import {GovernanceToken} from "../src/GovernanceToken.sol";
import {HostSlashing} from "../src/HostSlashing.sol";
import {JobBoard} from "../src/JobBoard.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {ProofSystem} from "../src/ProofSystem.sol";
import {RelayManager} from "../src/RelayManager.sol";
import {RelayToken} from "../src/RelayToken.sol";
import {ReputationSystem} from "../src/ReputationSystem.sol";
import {SelfBatch} from "../src/SelfBatch.sol";
import {SessionAccount} from "../src/SessionAccount.sol";
import {SessionAccountFactory} from "../src/SessionAccountFactory.sol";
import {Timelock} from "../src/Timelock.sol";

/// @dev What differs from chain to chain.
struct DeployParams {
    /// Gets the whole supply of FAB and MCT, to hand out.
    address tokenHolder;
    /// May pause entry until governance names others.
    address[] guardians;
    /// Protocol fee, basis points.
    uint16 feeBps;
    /// The chain's ERC-4337 EntryPoint, v0.8.
    address entryPoint;
}

/// @dev The whole protocol on one chain, in the order it is made.
struct Deployment {
    GovernanceToken governanceToken;
    Timelock timelock;
    Governance governance;
    CircuitBreaker circuitBreaker;
    ModelRegistry modelRegistry;
    NodeRegistry nodeRegistry;
    ReputationSystem reputationSystem;
    ProofSystem proofSystem;
    JobBoard jobBoard;
    JobMarketplace jobMarketplace;
    HostSlashing hostSlashing;
    AgentRegistry agentRegistry;
    RelayToken relayToken;
    RelayManager relayManager;
    SessionAccount sessionAccount;
    SessionAccountFactory sessionAccountFactory;
    BaseAccountIntegration baseAccountIntegration;
    SelfBatch selfBatch;
}

/// @title The order of deployment.
/// @notice Every link between two contracts is a constructor argument. Where two name each other, the first takes the
/// address that the second will have: that of the deployer's transaction so many nonces on. So no contract has a
/// set-up function, no key holds any power for even one block, and `capstan deploy` follows the same order.
abstract contract DeployAll {
    /// Transactions from the node registry to the marketplace and to the slasher it names.
    uint64 private constant TO_MARKETPLACE = 4;
    uint64 private constant TO_SLASHING = 5;

    error UnexpectedAddress(string name, address expected, address found);

    VmSafe private constant CHEATS = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev The caller broadcasts or pranks as `deployer`, which sends nothing else meanwhile.
    function _deployAll(address deployer, DeployParams memory params) internal returns (Deployment memory made) {
        made.governanceToken = new GovernanceToken(params.tokenHolder);
        made.timelock = new Timelock(_later(deployer, 1));
        made.governance = new Governance(made.governanceToken, made.timelock);
        address owner = address(made.timelock);
        made.circuitBreaker = new CircuitBreaker(owner, params.guardians);
        address breaker = address(made.circuitBreaker);
        made.modelRegistry = new ModelRegistry(owner);

        address marketplace = _later(deployer, TO_MARKETPLACE);
        address slashing = _later(deployer, TO_SLASHING);
        made.nodeRegistry = new NodeRegistry(made.governanceToken, made.modelRegistry, marketplace, slashing, breaker);
        made.reputationSystem = new ReputationSystem(marketplace);
        made.proofSystem = new ProofSystem(owner, marketplace);
        made.jobBoard = new JobBoard(made.nodeRegistry, made.proofSystem, made.reputationSystem, breaker, owner);
        made.jobMarketplace = new JobMarketplace(made.nodeRegistry, made.jobBoard, owner, owner, params.feeBps);
        _requireAddress("JobMarketplace", marketplace, address(made.jobMarketplace));
        made.hostSlashing = new HostSlashing(made.nodeRegistry, made.jobMarketplace, owner);
        _requireAddress("HostSlashing", slashing, address(made.hostSlashing));

        made.agentRegistry = new AgentRegistry(breaker);
        made.relayToken = new RelayToken(params.tokenHolder);
        made.relayManager = new RelayManager(made.relayToken, owner, breaker);
        made.sessionAccount = new SessionAccount(params.entryPoint, marketplace);
        made.sessionAccountFactory = new SessionAccountFactory(address(made.sessionAccount));
        made.baseAccountIntegration =
            new BaseAccountIntegration(params.entryPoint, marketplace, made.sessionAccountFactory, owner);
        made.selfBatch = new SelfBatch();
    }

    /// @dev The contract the deployer makes `transactions` after its next one.
    function _later(address deployer, uint64 transactions) private view returns (address) {
        return CHEATS.computeCreateAddress(deployer, CHEATS.getNonce(deployer) + transactions);
    }

    function _requireAddress(string memory name, address expected, address found) private pure {
        if (expected != found) revert UnexpectedAddress(name, expected, found);
    }
}
