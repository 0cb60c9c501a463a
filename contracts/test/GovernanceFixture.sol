// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Test} from "forge-std/Test.sol";
import {DeployAll, DeployParams, Deployment} from "../script/DeployAll.sol";
import {CircuitBreaker} from "../src/CircuitBreaker.sol";
import {Governance} from "../src/Governance.sol";
import {GovernanceToken} from "../src/GovernanceToken.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {Timelock} from "../src/Timelock.sol";
import {Door} from "./mocks/Door.sol";

/// @dev What a proposal is made of.
struct Proposal {
    address[] targets;
    uint256[] values;
    bytes[] calls;
    string description;
}

/// @title A protocol that a governor rules through a timelock, deployed without one setting-up transaction.
abstract contract GovernanceFixture is Test, DeployAll {
    uint48 internal constant START = 1_800_000_000;
    uint256 internal constant SUPPLY = 1_000_000_000e18;
    uint256 internal constant THRESHOLD = 1_000_000e18;
    uint256 internal constant QUORUM = 40_000_000e18;
    uint48 internal constant DELAY = 1 days;
    uint48 internal constant PERIOD = 5 days;
    uint48 internal constant EXTENSION = 2 days;
    uint48 internal constant TIMELOCK_DELAY = 2 days;
    uint8 internal constant AGAINST = 0;
    uint8 internal constant FOR = 1;
    uint8 internal constant ABSTAIN = 2;

    address internal deployer = makeAddr("deployer");
    address internal holder = makeAddr("holder");
    address internal guardian = makeAddr("guardian");
    address internal treasury = makeAddr("treasury");
    address internal stranger = makeAddr("stranger");
    /// Has what a proposal takes, and far from a quorum.
    address internal proposer = makeAddr("proposer");
    /// Has exactly a quorum.
    address internal majority = makeAddr("majority");
    address internal minority;
    uint256 internal minoritySecret;

    Deployment internal made;
    GovernanceToken internal fab;
    Timelock internal timelock;
    Governance internal governance;
    CircuitBreaker internal breaker;
    ModelRegistry internal models;
    NodeRegistry internal nodes;
    JobMarketplace internal market;
    Door internal door;

    function setUp() public virtual {
        vm.warp(START);
        (minority, minoritySecret) = makeAddrAndKey("minority");
        address[] memory guardians = new address[](1);
        guardians[0] = guardian;

        vm.startPrank(deployer);
        made = _deployAll(deployer, DeployParams(holder, guardians, 250, makeAddr("entry point")));
        (fab, timelock, governance) = (made.governanceToken, made.timelock, made.governance);
        (breaker, models, nodes, market) =
        (made.circuitBreaker, made.modelRegistry, made.nodeRegistry, made.jobMarketplace);
        door = new Door(address(breaker));
        vm.stopPrank();

        _give(proposer, THRESHOLD);
        _give(majority, QUORUM);
        _give(minority, QUORUM - 1);
        vm.warp(START + 1);
    }

    function _give(address to, uint256 amount) internal {
        vm.prank(holder);
        fab.transfer(to, amount);
        vm.prank(to);
        fab.delegate(to);
    }

    function _one(address target, bytes memory call) internal pure returns (Proposal memory proposal) {
        proposal = _empty(1);
        proposal.targets[0] = target;
        proposal.calls[0] = call;
    }

    function _empty(uint256 size) internal pure returns (Proposal memory proposal) {
        proposal.targets = new address[](size);
        proposal.values = new uint256[](size);
        proposal.calls = new bytes[](size);
        proposal.description = "Because.";
    }

    function _feeProposal() internal view returns (Proposal memory) {
        return _one(address(market), abi.encodeCall(market.setFeeBps, (100)));
    }

    function _propose(Proposal memory proposal) internal returns (uint256 id) {
        return _propose(proposer, proposal);
    }

    function _propose(address who, Proposal memory proposal) internal returns (uint256 id) {
        vm.prank(who);
        return governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
    }

    function _vote(address who, uint256 id, uint8 support) internal {
        vm.prank(who);
        governance.castVote(id, support);
    }

    /// @dev Anybody may.
    function _queue(Proposal memory proposal) internal {
        vm.prank(stranger);
        governance.queue(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }

    /// @dev Anybody may.
    function _execute(Proposal memory proposal) internal {
        vm.prank(stranger);
        governance.execute(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }

    function _cancel(address who, Proposal memory proposal) internal {
        vm.prank(who);
        governance.cancel(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }

    /// @dev Proposes, and waits for the first second in which votes count.
    function _proposeAndWait(Proposal memory proposal) internal returns (uint256 id) {
        id = _propose(proposal);
        vm.warp(governance.proposalSnapshot(id) + 1);
    }

    /// @dev Waits for the first second in which nobody votes any more.
    function _endVote(uint256 id) internal {
        vm.warp(governance.proposalDeadline(id) + 1);
    }

    /// @dev Up to and with the queue.
    function _decide(Proposal memory proposal) internal returns (uint256 id) {
        id = _proposeAndWait(proposal);
        _vote(majority, id, FOR);
        _endVote(id);
        _queue(proposal);
    }

    /// @dev The whole life.
    function _enact(Proposal memory proposal) internal returns (uint256 id) {
        id = _decide(proposal);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        _execute(proposal);
    }

    /// @dev The revert of a call in the wrong state; `allowed` are the states it may be made in.
    function _unexpected(uint256 id, IGovernor.ProposalState now_, IGovernor.ProposalState allowed)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IGovernor.GovernorUnexpectedProposalState.selector, id, now_, bytes32(uint256(1) << uint8(allowed))
        );
    }

    /// @dev The timelock's revert if an operation is not ready yet.
    function _notReady(bytes32 operation) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(
            TimelockController.TimelockUnexpectedOperationState.selector,
            operation,
            bytes32(uint256(1) << uint8(TimelockController.OperationState.Ready))
        );
    }

    function _operationOf(Proposal memory proposal) internal view returns (bytes32) {
        bytes32 salt = bytes20(address(governance)) ^ keccak256(bytes(proposal.description));
        return timelock.hashOperationBatch(proposal.targets, proposal.values, proposal.calls, 0, salt);
    }

    function _assertState(uint256 id, IGovernor.ProposalState expected) internal view {
        assertEq(uint8(governance.state(id)), uint8(expected), "state");
    }
}
