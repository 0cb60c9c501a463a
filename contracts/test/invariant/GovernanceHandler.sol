// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {GovernanceFixture, Proposal} from "../GovernanceFixture.sol";
import {NoKeyInPower} from "../NoKeyInPower.sol";

/// @title Holders who trade, delegate, propose, vote and decide in any order. No action may revert.
contract GovernanceHandler is GovernanceFixture, NoKeyInPower {
    /// @dev Votes as the handler counted them itself.
    struct Tally {
        uint16 fee;
        uint48 queuedAt;
        uint256[3] votes;
    }

    address[] public voters;
    uint256[] public ids;
    mapping(uint256 id => Tally) private _tallies;
    mapping(uint256 id => mapping(address voter => bool)) private _voted;
    /// The fee that was decided last.
    uint16 public decided = 250;

    function setUp() public override {
        super.setUp();
        voters = [proposer, majority, minority, makeAddr("newcomer")];
    }

    // --- actions

    function transfer(uint256 fromSeed, uint256 toSeed, uint256 amount) external {
        address from = voters[fromSeed % 4];
        amount = bound(amount, 0, fab.balanceOf(from));
        vm.prank(from);
        fab.transfer(voters[toSeed % 4], amount);
    }

    function delegate(uint256 fromSeed, uint256 toSeed) external {
        vm.prank(voters[fromSeed % 4]);
        fab.delegate(voters[toSeed % 4]);
    }

    function propose(uint256 seed) external {
        address who = voters[seed % 4];
        if (fab.getPastVotes(who, block.timestamp - 1) < THRESHOLD) return;
        uint16 newFee = uint16(ids.length % 1001);
        uint256 id = _propose(who, _proposal(newFee));
        ids.push(id);
        _tallies[id].fee = newFee;
    }

    function vote(uint256 idSeed, uint256 whoSeed, uint8 support) external {
        (uint256 id, bool found) = _pick(idSeed, IGovernor.ProposalState.Active);
        address who = voters[whoSeed % 4];
        if (!found || _voted[id][who]) return;
        _vote(who, id, support % 3);
        _voted[id][who] = true;
        _tallies[id].votes[support % 3] += fab.getPastVotes(who, governance.proposalSnapshot(id));
    }

    function queue(uint256 idSeed) external {
        (uint256 id, bool found) = _pick(idSeed, IGovernor.ProposalState.Succeeded);
        if (!found) return;
        _queue(_proposal(_tallies[id].fee));
        _tallies[id].queuedAt = uint48(block.timestamp);
    }

    function execute(uint256 idSeed) external {
        (uint256 id, bool found) = _pick(idSeed, IGovernor.ProposalState.Queued);
        if (!found) return;
        Tally memory tally = _tallies[id];
        Proposal memory proposal = _proposal(tally.fee);
        if (block.timestamp < tally.queuedAt + TIMELOCK_DELAY) {
            assertFalse(_tryExecute(proposal), "executed early");
            vm.warp(tally.queuedAt + TIMELOCK_DELAY);
        }
        _execute(proposal);
        decided = tally.fee;
        assertGt(tally.votes[FOR], tally.votes[AGAINST], "executed without a majority");
        assertGe(tally.votes[FOR] + tally.votes[ABSTAIN], QUORUM, "executed without a quorum");
        assertGt(tally.queuedAt, governance.proposalDeadline(id), "queued while the vote ran");
        assertFalse(_tryExecute(proposal), "executed twice");
    }

    function cancel(uint256 idSeed) external {
        (uint256 id, bool found) = _pick(idSeed, IGovernor.ProposalState.Pending);
        if (found) _cancel(governance.proposalProposer(id), _proposal(_tallies[id].fee));
    }

    function passTime(uint32 time) external {
        vm.warp(block.timestamp + time % 3 days);
    }

    /// A holder who would rather not ask the others.
    function usurp(uint256 seed) external {
        address who = voters[seed % 4];
        bytes[4] memory calls = [
            abi.encodeCall(market.setFeeBps, (999)),
            abi.encodeCall(timelock.grantRole, (timelock.PROPOSER_ROLE(), who)),
            abi.encodeCall(
                timelock.schedule, (address(market), 0, abi.encodeCall(market.setFeeBps, (9)), 0, 0, 2 days)
            ),
            abi.encodeCall(governance.setProposalThreshold, (0))
        ];
        address[4] memory targets = [address(market), address(timelock), address(timelock), address(governance)];
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(who);
            (bool success,) = targets[i].call(calls[i]);
            assertFalse(success, "a holder ruled alone");
        }
    }

    // --- what the invariants ask

    function fee() external view returns (uint16) {
        return market.feeBps();
    }

    function requireNoKeyInPower() external view {
        address[] memory targets = new address[](5);
        (targets[0], targets[1], targets[2]) = (address(timelock), address(governance), address(market));
        (targets[3], targets[4]) = (address(models), address(breaker));
        _requireNoKeyInPower(address(timelock), targets, voters);
    }

    function checkTallies() external view {
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint256 against, uint256 for_, uint256 abstain) = governance.proposalVotes(ids[i]);
            uint256[3] memory votes = _tallies[ids[i]].votes;
            assertEq(against, votes[AGAINST]);
            assertEq(for_, votes[FOR]);
            assertEq(abstain, votes[ABSTAIN]);
            assertLe(against + for_ + abstain, SUPPLY);
        }
    }

    // --- inner

    function _proposal(uint16 fee_) private view returns (Proposal memory) {
        return _one(address(market), abi.encodeCall(market.setFeeBps, (fee_)));
    }

    function _tryExecute(Proposal memory proposal) private returns (bool success) {
        (success,) = address(governance)
            .call(
                abi.encodeCall(
                    governance.execute,
                    (proposal.targets, proposal.values, proposal.calls, keccak256(bytes(proposal.description)))
                )
            );
    }

    function _pick(uint256 seed, IGovernor.ProposalState wanted) private view returns (uint256, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 id = ids[(seed % ids.length + i) % ids.length];
            if (governance.state(id) == wanted) return (id, true);
        }
        return (0, false);
    }
}
