// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IProtocolFee} from "../src/interfaces/IProtocolFee.sol";
import {GovernanceFixture, Proposal} from "./GovernanceFixture.sol";

/// @title Proposing, queueing, executing, cancelling: who may, and when.
contract GovernanceProposalsTest is GovernanceFixture {
    // --- propose

    function test_proposeRefusesBelowTheThreshold() public {
        _give(stranger, THRESHOLD - 1);
        vm.warp(block.timestamp + 1);
        Proposal memory proposal = _feeProposal();
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorInsufficientProposerVotes.selector, stranger, THRESHOLD - 1, THRESHOLD
            )
        );
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
    }

    /// Votes are those of the second before: what was lent within a transaction counts for nothing.
    function test_proposeRefusesTokensOfThisSecond() public {
        _give(stranger, THRESHOLD);
        Proposal memory proposal = _feeProposal();
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, stranger, 0, THRESHOLD)
        );
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
        vm.warp(block.timestamp + 1);
        _propose(stranger, proposal);
    }

    function test_proposeRefusesTwiceAndNothing() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _propose(proposal);
        vm.prank(proposer);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorUnexpectedProposalState.selector, id, IGovernor.ProposalState.Pending, 0
            )
        );
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
        proposal = _empty(0);
        vm.prank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidProposalLength.selector, 0, 0, 0));
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
    }

    /// Who signs its description cannot be robbed of its proposal.
    function test_proposeRefusesAnothersDescription() public {
        Proposal memory proposal = _feeProposal();
        proposal.description = string.concat("Because.#proposer=", vm.toString(proposer));
        vm.prank(majority);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorRestrictedProposer.selector, majority));
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
        _propose(proposal);
    }

    function test_proposes() public {
        Proposal memory proposal = _feeProposal();
        uint48 begins = uint48(block.timestamp) + DELAY;
        uint256 id = governance.hashProposal(
            proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description))
        );
        vm.expectEmit(address(governance));
        emit IGovernor.ProposalCreated(
            id,
            proposer,
            proposal.targets,
            proposal.values,
            new string[](1),
            proposal.calls,
            begins,
            begins + PERIOD,
            proposal.description
        );
        assertEq(_propose(proposal), id);
        _assertState(id, IGovernor.ProposalState.Pending);
        assertEq(governance.proposalSnapshot(id), begins);
        assertEq(governance.proposalDeadline(id), begins + PERIOD);
        assertEq(governance.proposalProposer(id), proposer);
        assertTrue(governance.proposalNeedsQueuing(id));
    }

    // --- queue

    function test_queueRefusesWhileTheVoteRuns() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(majority, id, FOR);
        vm.warp(governance.proposalDeadline(id));
        _refusesQueue(proposal, id, IGovernor.ProposalState.Active);
        vm.warp(governance.proposalDeadline(id) + 1);
        _queue(proposal);
        _assertState(id, IGovernor.ProposalState.Queued);
    }

    function test_queueRefusesWithoutAQuorum() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(minority, id, FOR);
        _endVote(id);
        _assertState(id, IGovernor.ProposalState.Defeated);
        _refusesQueue(proposal, id, IGovernor.ProposalState.Defeated);
    }

    /// Abstaining helps a quorum and nothing else.
    function test_abstentionsMakeUpAQuorum() public {
        address last = makeAddr("last vote");
        _give(last, 1);
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(minority, id, ABSTAIN);
        _vote(last, id, FOR);
        _endVote(id);
        _assertState(id, IGovernor.ProposalState.Succeeded);
        _queue(proposal);
    }

    function test_votesAgainstMakeUpNoQuorum() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(proposer, id, FOR);
        _vote(minority, id, AGAINST);
        _endVote(id);
        _refusesQueue(proposal, id, IGovernor.ProposalState.Defeated);
    }

    function test_queueRefusesATie() public {
        address even = makeAddr("even");
        _give(even, 1);
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(majority, id, FOR);
        _vote(minority, id, AGAINST);
        _vote(even, id, AGAINST);
        _endVote(id);
        _refusesQueue(proposal, id, IGovernor.ProposalState.Defeated);
    }

    function test_queueRefusesTwice() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _decide(proposal);
        _refusesQueue(proposal, id, IGovernor.ProposalState.Queued);
    }

    function test_queueNamesTheTime() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(majority, id, FOR);
        _endVote(id);
        uint256 eta = block.timestamp + TIMELOCK_DELAY;
        vm.expectEmit(address(governance));
        emit IGovernor.ProposalQueued(id, eta);
        _queue(proposal);
        assertEq(governance.proposalEta(id), eta);
        assertEq(timelock.getTimestamp(_operationOf(proposal)), eta);
    }

    // --- execute

    function test_executeRefusesBeforeTheQueue() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        _vote(majority, id, FOR);
        _endVote(id);
        _refusesExecution(proposal, _unexpected(id, IGovernor.ProposalState.Succeeded, IGovernor.ProposalState.Queued));
    }

    function test_executeRefusesEarly() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _decide(proposal);
        vm.warp(governance.proposalEta(id) - 1);
        _refusesExecution(proposal, _notReady(_operationOf(proposal)));
        vm.warp(governance.proposalEta(id));
        vm.expectEmit(address(market));
        emit IProtocolFee.FeeBpsSet(100);
        vm.expectEmit(address(governance));
        emit IGovernor.ProposalExecuted(id);
        _execute(proposal);
        assertEq(market.feeBps(), 100);
        _assertState(id, IGovernor.ProposalState.Executed);
    }

    function test_executeRefusesTwice() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _enact(proposal);
        _refusesExecution(proposal, _unexpected(id, IGovernor.ProposalState.Executed, IGovernor.ProposalState.Queued));
        bytes32 salt = bytes20(address(governance)) ^ keccak256(bytes(proposal.description));
        bytes32 operation = _operationOf(proposal);
        vm.expectRevert(_notReady(operation));
        timelock.executeBatch(proposal.targets, proposal.values, proposal.calls, 0, salt);
    }

    /// The timelock's own entrance is open to all, and leads to the same place.
    function test_executesAtTheTimelockToo() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _decide(proposal);
        vm.warp(governance.proposalEta(id));
        bytes32 salt = bytes20(address(governance)) ^ keccak256(bytes(proposal.description));
        vm.prank(stranger);
        timelock.executeBatch(proposal.targets, proposal.values, proposal.calls, 0, salt);
        assertEq(market.feeBps(), 100);
        _assertState(id, IGovernor.ProposalState.Executed);
        _refusesExecution(proposal, _unexpected(id, IGovernor.ProposalState.Executed, IGovernor.ProposalState.Queued));
    }

    /// One call that fails takes all with it, and all can be tried again.
    function test_executesAllOrNothing() public {
        Proposal memory proposal = _empty(2);
        proposal.targets[0] = address(market);
        proposal.calls[0] = abi.encodeCall(market.setFeeBps, (100));
        proposal.targets[1] = address(models);
        proposal.calls[1] = abi.encodeCall(models.acceptOwnership, ());
        uint256 id = _decide(proposal);
        vm.warp(governance.proposalEta(id));
        _refusesExecution(
            proposal, abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(timelock))
        );
        assertEq(market.feeBps(), 250);
        _assertState(id, IGovernor.ProposalState.Queued);
        vm.prank(address(timelock));
        models.transferOwnership(address(timelock));
        _execute(proposal);
        assertEq(market.feeBps(), 100);
    }

    // --- cancel

    function test_cancelRefusesAnybodyButTheProposer() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _propose(proposal);
        address[4] memory others = [deployer, holder, guardian, majority];
        for (uint256 i = 0; i < others.length; ++i) {
            _refusesCancel(others[i], proposal, id);
        }
    }

    function test_cancelRefusesOnceTheVoteHasBegun() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _propose(proposal);
        vm.warp(governance.proposalSnapshot(id) + 1);
        _refusesCancel(proposer, proposal, id);
        _vote(majority, id, FOR);
        _endVote(id);
        _refusesCancel(proposer, proposal, id);
        _queue(proposal);
        _refusesCancel(proposer, proposal, id);
        vm.warp(governance.proposalEta(id));
        _refusesCancel(proposer, proposal, id);
    }

    function test_cancelsUntilTheVoteBegins() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _propose(proposal);
        vm.warp(governance.proposalSnapshot(id));
        vm.expectEmit(address(governance));
        emit IGovernor.ProposalCanceled(id);
        _cancel(proposer, proposal);
        _assertState(id, IGovernor.ProposalState.Canceled);
        vm.warp(block.timestamp + 1);
        vm.prank(majority);
        vm.expectRevert(_unexpected(id, IGovernor.ProposalState.Canceled, IGovernor.ProposalState.Active));
        governance.castVote(id, FOR);
        vm.prank(proposer);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorUnexpectedProposalState.selector, id, IGovernor.ProposalState.Canceled, 0
            )
        );
        governance.propose(proposal.targets, proposal.values, proposal.calls, proposal.description);
    }

    /// Nobody but a governor cancels what was decided; if one ever does at the timelock itself, the
    /// proposal knows.
    function test_timelockTakesNoOrdersButTheGovernors() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _decide(proposal);
        bytes32 operation = _operationOf(proposal);
        bytes32 canceller = timelock.CANCELLER_ROLE();
        bytes32 proposerRole = timelock.PROPOSER_ROLE();
        address[4] memory others = [deployer, holder, guardian, proposer];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, others[i], canceller)
            );
            timelock.cancel(operation);
            vm.prank(others[i]);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IAccessControl.AccessControlUnauthorizedAccount.selector, others[i], proposerRole
                )
            );
            timelock.schedule(address(market), 0, "", 0, 0, TIMELOCK_DELAY);
        }
        vm.prank(address(governance));
        timelock.cancel(operation);
        _assertState(id, IGovernor.ProposalState.Canceled);
    }

    // --- inner

    function _refusesQueue(Proposal memory proposal, uint256 id, IGovernor.ProposalState now_) private {
        vm.expectRevert(_unexpected(id, now_, IGovernor.ProposalState.Succeeded));
        governance.queue(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }

    function _refusesExecution(Proposal memory proposal, bytes memory reason) private {
        vm.expectRevert(reason);
        governance.execute(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }

    function _refusesCancel(address who, Proposal memory proposal, uint256 id) private {
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, id, who));
        governance.cancel(proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)));
    }
}
