// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernanceFixture, Proposal} from "./GovernanceFixture.sol";
import {VoteBorrower} from "./mocks/VoteBorrower.sol";

/// @title Voting: when, with what, and how often.
contract GovernanceVotesTest is GovernanceFixture {
    function test_voteRefusesBeforeItBegins() public {
        uint256 id = _propose(_feeProposal());
        vm.warp(governance.proposalSnapshot(id));
        _refusesVote(majority, id, IGovernor.ProposalState.Pending);
        vm.warp(governance.proposalSnapshot(id) + 1);
        _vote(majority, id, FOR);
    }

    function test_voteRefusesAfterTheEnd() public {
        uint256 id = _proposeAndWait(_feeProposal());
        vm.warp(governance.proposalDeadline(id));
        _vote(proposer, id, FOR);
        vm.warp(governance.proposalDeadline(id) + 1);
        _refusesVote(majority, id, IGovernor.ProposalState.Defeated);
    }

    function test_voteRefusesTwiceAndUnknownKinds() public {
        uint256 id = _proposeAndWait(_feeProposal());
        vm.startPrank(majority);
        vm.expectRevert(IGovernor.GovernorInvalidVoteType.selector);
        governance.castVote(id, 3);
        governance.castVote(id, AGAINST);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, majority));
        governance.castVote(id, FOR);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorNonexistentProposal.selector, 1));
        governance.castVote(1, FOR);
    }

    function test_votesCount() public {
        uint256 id = _proposeAndWait(_feeProposal());
        vm.expectEmit(address(governance));
        emit IGovernor.VoteCast(majority, id, FOR, QUORUM, "");
        _vote(majority, id, FOR);
        _vote(minority, id, AGAINST);
        _vote(proposer, id, ABSTAIN);
        (uint256 against, uint256 for_, uint256 abstain) = governance.proposalVotes(id);
        assertEq(for_, QUORUM);
        assertEq(against, QUORUM - 1);
        assertEq(abstain, THRESHOLD);
        assertTrue(governance.hasVoted(id, majority));
    }

    function test_voteBySignatureCountsOnce() public {
        uint256 id = _proposeAndWait(_feeProposal());
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan"),
                keccak256("1"),
                block.chainid,
                address(governance)
            )
        );
        bytes32 ballot = keccak256(abi.encode(governance.BALLOT_TYPEHASH(), id, FOR, minority, 0));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(minoritySecret, keccak256(abi.encodePacked(hex"1901", domain, ballot)));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, majority));
        governance.castVoteBySig(id, FOR, majority, abi.encodePacked(r, s, v));
        assertEq(governance.castVoteBySig(id, FOR, minority, abi.encodePacked(r, s, v)), QUORUM - 1);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, minority));
        governance.castVoteBySig(id, FOR, minority, abi.encodePacked(r, s, v));
    }

    // --- what votes count

    function test_tokensBoughtAfterTheVoteBeganDoNotVote() public {
        uint256 id = _proposeAndWait(_feeProposal());
        vm.prank(majority);
        fab.transfer(stranger, QUORUM);
        vm.prank(stranger);
        fab.delegate(stranger);
        vm.warp(block.timestamp + 1 hours);
        _vote(stranger, id, FOR);
        _assertFor(id, 0);
        _vote(majority, id, FOR);
        _assertFor(id, QUORUM);
    }

    function test_tokensBoughtBeforeTheVoteBeginsVote() public {
        uint256 id = _propose(_feeProposal());
        vm.warp(governance.proposalSnapshot(id));
        vm.prank(majority);
        fab.transfer(stranger, QUORUM);
        vm.prank(stranger);
        fab.delegate(stranger);
        vm.warp(block.timestamp + 1);
        _vote(majority, id, FOR);
        _assertFor(id, 0);
        _vote(stranger, id, FOR);
        _assertFor(id, QUORUM);
    }

    function test_tokensThatNobodyDelegatedDoNotVote() public {
        uint256 id = _proposeAndWait(_feeProposal());
        assertGt(fab.balanceOf(holder), SUPPLY / 2);
        _vote(holder, id, FOR);
        _assertFor(id, 0);
    }

    /// A loan within one transaction has no votes, not in the second either in which votes are counted.
    function test_flashLoansHaveNoVotes() public {
        VoteBorrower borrower = new VoteBorrower(fab, governance);
        vm.prank(holder);
        fab.approve(address(borrower), type(uint256).max);
        Proposal memory proposal = _feeProposal();
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorInsufficientProposerVotes.selector, address(borrower), 0, THRESHOLD
            )
        );
        borrower.borrowAndPropose(holder, SUPPLY / 2, proposal.targets, proposal.calls);

        uint256 id = _propose(proposal);
        vm.warp(governance.proposalSnapshot(id));
        borrower.borrow(holder, SUPPLY / 2);
        vm.warp(block.timestamp + 1);
        assertEq(borrower.borrowAndVote(holder, SUPPLY / 2, id), 0);
        _assertFor(id, 0);
    }

    // --- a quorum that comes late

    function test_anEarlyQuorumProlongsNothing() public {
        uint256 id = _proposeAndWait(_feeProposal());
        uint256 deadline = governance.proposalDeadline(id);
        vm.warp(deadline - EXTENSION);
        _vote(majority, id, FOR);
        assertEq(governance.proposalDeadline(id), deadline);
    }

    function test_aLateQuorumProlongsTheVote() public {
        Proposal memory proposal = _feeProposal();
        uint256 id = _proposeAndWait(proposal);
        uint256 deadline = governance.proposalDeadline(id);
        vm.warp(deadline - EXTENSION + 1);
        _vote(minority, id, FOR);
        assertEq(governance.proposalDeadline(id), deadline, "no quorum yet");
        vm.warp(deadline);
        vm.expectEmit(address(governance));
        emit GovernorPreventLateQuorum.ProposalExtended(id, uint64(deadline + EXTENSION));
        _vote(proposer, id, FOR);
        assertEq(governance.proposalDeadline(id), deadline + EXTENSION);
        vm.warp(deadline + EXTENSION);
        _assertState(id, IGovernor.ProposalState.Active);
        _vote(majority, id, AGAINST);
        assertEq(governance.proposalDeadline(id), deadline + EXTENSION, "once");
        vm.warp(deadline + EXTENSION + 1);
        _assertState(id, IGovernor.ProposalState.Succeeded);
        _queue(proposal);
    }

    // --- inner

    function _refusesVote(address who, uint256 id, IGovernor.ProposalState now_) private {
        vm.prank(who);
        vm.expectRevert(_unexpected(id, now_, IGovernor.ProposalState.Active));
        governance.castVote(id, FOR);
    }

    function _assertFor(uint256 id, uint256 expected) private view {
        (, uint256 votes,) = governance.proposalVotes(id);
        assertEq(votes, expected);
    }
}
