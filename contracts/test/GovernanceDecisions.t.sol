// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ICircuitBreaker} from "../src/interfaces/ICircuitBreaker.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IGovernance} from "../src/interfaces/IGovernance.sol";
import {ITimelock} from "../src/interfaces/ITimelock.sol";
import {GovernanceFixture, Proposal} from "./GovernanceFixture.sol";

/// @title What holders of FAB can decide, from the proposal to its effect.
contract GovernanceDecisionsTest is GovernanceFixture {
    // --- over the protocol

    function test_setsTheMarketplaceFee() public {
        _enact(_feeProposal());
        assertEq(market.feeBps(), 100);
    }

    function test_approvesAModel() public {
        _enact(_one(address(models), abi.encodeCall(models.approveModel, ("m", "https://example.org/m.gguf"))));
        assertTrue(models.isApproved("m"));
    }

    function test_namesAGuardian() public {
        _enact(_one(address(breaker), abi.encodeCall(breaker.setGuardian, (stranger, true))));
        assertTrue(breaker.isGuardian(stranger));
    }

    function test_decidesSeveralThingsAtOnce() public {
        Proposal memory proposal = _empty(3);
        (proposal.targets[0], proposal.targets[1], proposal.targets[2]) =
        (address(market), address(market), address(models));
        proposal.calls[0] = abi.encodeCall(market.setFeeBps, (1));
        proposal.calls[1] = abi.encodeCall(market.setFeeRecipient, (stranger));
        proposal.calls[2] = abi.encodeCall(models.approveModel, ("m", ""));
        _enact(proposal);
        assertEq(market.feeBps(), 1);
        assertEq(market.feeRecipient(), stranger);
        assertTrue(models.isApproved("m"));
    }

    function test_spendsWhatTheTimelockOwns() public {
        vm.deal(address(timelock), 3 ether);
        vm.prank(holder);
        fab.transfer(address(timelock), 5e18);
        Proposal memory proposal = _empty(2);
        (proposal.targets[0], proposal.values[0]) = (stranger, 2 ether);
        (proposal.targets[1], proposal.calls[1]) = (address(fab), abi.encodeCall(fab.transfer, (stranger, 5e18)));
        _enact(proposal);
        assertEq(stranger.balance, 2 ether);
        assertEq(address(timelock).balance, 1 ether);
        assertEq(fab.balanceOf(stranger), 5e18);
    }

    // --- over guardians

    /// A vote takes longer than a pause, so governance ends one early only if it saw it coming.
    function test_resumesAPause() public {
        Proposal memory proposal = _one(address(breaker), abi.encodeCall(breaker.resume, (_door())));
        uint256 id = _decide(proposal);
        vm.prank(guardian);
        breaker.pause(_door());
        bytes memory paused = abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, door.pausedUntil());
        vm.prank(stranger);
        vm.expectRevert(paused);
        door.enter();
        vm.warp(governance.proposalEta(id));
        _execute(proposal);
        vm.prank(stranger);
        door.enter();
        assertTrue(door.isInside(stranger));
    }

    /// Proposed when the pause begins, prolonged by a late quorum, it still comes before the next pause.
    function test_dismissesAGuardianBeforeItsNextPause() public {
        vm.prank(guardian);
        breaker.pause(_door());
        uint256 cool = door.pausedUntil() + door.PAUSE_COOLDOWN();
        Proposal memory proposal = _one(address(breaker), abi.encodeCall(breaker.setGuardian, (guardian, false)));
        uint256 id = _propose(proposal);
        vm.warp(governance.proposalDeadline(id));
        _vote(majority, id, FOR);
        _endVote(id);
        _queue(proposal);
        vm.warp(governance.proposalEta(id));
        _execute(proposal);
        assertLt(block.timestamp, cool);
        vm.warp(cool);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(ICircuitBreaker.NotGuardian.selector, guardian));
        breaker.pause(_door());
    }

    // --- over itself

    function test_changesItsSettingsUpToTheirBounds() public {
        Proposal memory proposal = _settings(2 days, 7 days, 10_000_000e18, 20, 2 days);
        _enact(proposal);
        _assertSettings(2 days, 7 days, 10_000_000e18, 20, 2 days);
        // The proposer has to find ten times as many votes now, and voters five times as many.
        _give(proposer, 9 * THRESHOLD);
        _give(majority, 4 * QUORUM);
        vm.warp(block.timestamp + 1);
        _enact(_settings(0, 2 days, 0, 2, 0));
        _assertSettings(0, 2 days, 0, 2, 0);
    }

    function test_refusesSettingsOutOfBounds() public {
        _refuses(abi.encodeCall(governance.setVotingDelay, (2 days + 1)), _outOfRange(2 days + 1, 0, 2 days));
        _refuses(abi.encodeCall(governance.setVotingPeriod, (2 days - 1)), _outOfRange(2 days - 1, 2 days, 7 days));
        _refuses(abi.encodeCall(governance.setVotingPeriod, (7 days + 1)), _outOfRange(7 days + 1, 2 days, 7 days));
        _refuses(
            abi.encodeCall(governance.setProposalThreshold, (10_000_000e18 + 1)),
            _outOfRange(10_000_000e18 + 1, 0, 10_000_000e18)
        );
        _refuses(abi.encodeCall(governance.updateQuorumNumerator, (1)), _outOfRange(1, 2, 20));
        _refuses(abi.encodeCall(governance.updateQuorumNumerator, (21)), _outOfRange(21, 2, 20));
        _refuses(
            abi.encodeCall(governance.setLateQuorumVoteExtension, (2 days + 1)), _outOfRange(2 days + 1, 0, 2 days)
        );
        _assertSettings(1 days, 5 days, 1_000_000e18, 4, 2 days);
    }

    function test_settingsRefuseAnybodyButGovernance() public {
        address[3] memory callers = [stranger, majority, deployer];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(IGovernor.GovernorOnlyExecutor.selector, callers[i]);
            vm.startPrank(callers[i]);
            vm.expectRevert(reason);
            governance.setVotingDelay(0);
            vm.expectRevert(reason);
            governance.setVotingPeriod(2 days);
            vm.expectRevert(reason);
            governance.setProposalThreshold(0);
            vm.expectRevert(reason);
            governance.updateQuorumNumerator(2);
            vm.expectRevert(reason);
            governance.setLateQuorumVoteExtension(0);
            vm.expectRevert(reason);
            governance.relay(address(fab), 0, "");
            vm.stopPrank();
        }
    }

    function test_refusesToLeaveItsTimelock() public {
        bytes memory call = abi.encodeCall(governance.updateTimelock, (TimelockController(payable(stranger))));
        _refuses(call, abi.encodeWithSelector(IGovernance.TimelockFixed.selector));
        vm.expectRevert(IGovernance.TimelockFixed.selector);
        governance.updateTimelock(TimelockController(payable(stranger)));
        assertEq(governance.timelock(), address(timelock));
    }

    function test_refusesToChangeTheDelay() public {
        Proposal memory proposal = _one(address(timelock), abi.encodeCall(timelock.updateDelay, (0)));
        _decide(proposal);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        vm.expectRevert(ITimelock.DelayFixed.selector);
        _execute(proposal);
        assertEq(timelock.getMinDelay(), TIMELOCK_DELAY);
    }

    function test_canBeReplaced() public {
        Proposal memory proposal = _empty(4);
        for (uint256 i = 0; i < 4; ++i) {
            proposal.targets[i] = address(timelock);
        }
        (bytes32 propose, bytes32 cancel) = (timelock.PROPOSER_ROLE(), timelock.CANCELLER_ROLE());
        proposal.calls[0] = abi.encodeCall(timelock.grantRole, (propose, stranger));
        proposal.calls[1] = abi.encodeCall(timelock.grantRole, (cancel, stranger));
        proposal.calls[2] = abi.encodeCall(timelock.revokeRole, (propose, address(governance)));
        proposal.calls[3] = abi.encodeCall(timelock.revokeRole, (cancel, address(governance)));
        _enact(proposal);
        assertTrue(timelock.hasRole(propose, stranger) && timelock.hasRole(cancel, stranger));
        assertFalse(timelock.hasRole(propose, address(governance)) || timelock.hasRole(cancel, address(governance)));
    }

    // --- what strays to the governor

    function test_relaysWhatStrayedToIt() public {
        vm.prank(holder);
        fab.transfer(address(governance), 7e18);
        bytes memory call = abi.encodeCall(fab.transfer, (holder, 7e18));
        uint256 before = fab.balanceOf(holder);
        _enact(_one(address(governance), abi.encodeCall(governance.relay, (address(fab), 0, call))));
        assertEq(fab.balanceOf(holder), before + 7e18);
    }

    function test_takesNoCoins() public {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        vm.expectRevert(IGovernor.GovernorDisabledDeposit.selector);
        // More than a transfer's stipend, which instrumented code does not get by with.
        (bool refused,) = address(governance).call{value: 1}("");
        assertTrue(refused, "expectRevert turns a refusal into a success");
    }

    /// Calls to the governor itself go by the governor's own entrance, where they are expected.
    function test_governsItselfByItsOwnEntranceOnly() public {
        Proposal memory proposal = _one(address(governance), abi.encodeCall(governance.setVotingDelay, (0)));
        uint256 id = _decide(proposal);
        vm.warp(governance.proposalEta(id));
        bytes32 salt = bytes20(address(governance)) ^ keccak256(bytes(proposal.description));
        // An empty queue pops with the panic of an empty array.
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x31));
        timelock.executeBatch(proposal.targets, proposal.values, proposal.calls, 0, salt);
        _execute(proposal);
        assertEq(governance.votingDelay(), 0);
    }

    // --- inner

    function _door() private view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(door);
    }

    function _settings(uint48 delay, uint32 period, uint256 threshold, uint256 quorum, uint48 extension)
        private
        view
        returns (Proposal memory proposal)
    {
        proposal = _empty(5);
        for (uint256 i = 0; i < 5; ++i) {
            proposal.targets[i] = address(governance);
        }
        proposal.calls[0] = abi.encodeCall(governance.setVotingDelay, (delay));
        proposal.calls[1] = abi.encodeCall(governance.setVotingPeriod, (period));
        proposal.calls[2] = abi.encodeCall(governance.setProposalThreshold, (threshold));
        proposal.calls[3] = abi.encodeCall(governance.updateQuorumNumerator, (quorum));
        proposal.calls[4] = abi.encodeCall(governance.setLateQuorumVoteExtension, (extension));
    }

    function _assertSettings(uint256 delay, uint256 period, uint256 threshold, uint256 quorum, uint256 extension)
        private
        view
    {
        assertEq(governance.votingDelay(), delay);
        assertEq(governance.votingPeriod(), period);
        assertEq(governance.proposalThreshold(), threshold);
        assertEq(governance.quorumNumerator(), quorum);
        assertEq(governance.lateQuorumVoteExtension(), extension);
    }

    function _outOfRange(uint256 value, uint256 minimum, uint256 maximum) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IGovernance.SettingOutOfRange.selector, value, minimum, maximum);
    }

    /// @dev Decided by everybody, refused by the governor.
    function _refuses(bytes memory call, bytes memory reason) private {
        Proposal memory proposal = _one(address(governance), call);
        uint256 id = _decide(proposal);
        vm.warp(governance.proposalEta(id));
        vm.expectRevert(reason);
        _execute(proposal);
    }
}
