// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {IRelayRewards} from "../src/interfaces/IRelayRewards.sol";
import {ChallengeStatus, Commitment, NodeStatus} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title failChallenge.
contract RelayFailTest is RelayFixture {
    Commitment private _committed;

    function setUp() public override {
        super.setUp();
        _committed = _commitUniform(node);
    }

    function test_failRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        relay.failChallenge(node);
        _challenge(node, _committed);
        uint40 deadline = uint40(block.timestamp + 12 hours);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedNotPinned.selector, node));
        relay.failChallenge(node);
        _pin(node, "seed");
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.AnswerWindowRunning.selector, deadline));
        relay.failChallenge(node);
        vm.warp(deadline + 1);
        relay.failChallenge(node);
    }

    function test_unpinnedNeverFails() public {
        _challenge(node, _committed);
        skip(2 days);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedNotPinned.selector, node));
        relay.failChallenge(node);
    }

    function test_firstMiss(uint96 extra) public {
        extra = uint96(bound(extra, 1, 1e24));
        _fund(wallet, extra);
        vm.prank(wallet);
        relay.addStake(node, extra);
        uint96 stake = BRONZE_STAKE + extra;
        uint96 slashed = stake / 20;
        _challenge(node, _committed);
        uint40 deadline = uint40(block.timestamp + 12 hours);
        _pin(node, "seed");
        // Collected late: the miss counts from its deadline.
        skip(3 days);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeFailed(node, challenger, slashed, slashed / 2);
        vm.expectEmit(address(relay));
        emit IRelayRewards.Credited(challenger, BOND + slashed / 2);
        vm.prank(stranger);
        relay.failChallenge(node);
        assertEq(relay.getNode(node).stake, stake - slashed);
        assertEq(relay.getNode(node).missedAt, deadline);
        _assertStatus(node, NodeStatus.Suspended);
        assertEq(relay.balanceOf(challenger), BOND + slashed / 2);
        assertEq(relay.rewardReserve(), slashed - slashed / 2);
        _assertChallenge(node, ChallengeStatus.None);
        assertEq(relay.getChallenge(node).seed, 0);
        assertEq(relay.getChallenge(node).commitmentHash, 0);
        assertEq(mct.balanceOf(address(relay)), stake + BOND);
        vm.prank(challenger);
        relay.withdraw(challenger);
        assertEq(mct.balanceOf(challenger), 1000e18 + slashed / 2);
    }

    /// A second miss within 30 days of the first costs four times as much.
    function test_repeatedMiss() public {
        _assertSecondMiss(30 days - 1, 95e18 / 5);
    }

    function test_missAfterAMonthIsAFirstAgain() public {
        _assertSecondMiss(30 days, 95e18 / 20);
    }

    function _assertSecondMiss(uint256 later, uint96 expected) private {
        _challenge(node, _committed);
        uint256 first = vm.getBlockTimestamp();
        _pin(node, "seed");
        skip(12 hours + 1);
        relay.failChallenge(node);
        vm.warp(first + later);
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _pin(node, "seed");
        skip(12 hours + 1);
        assertEq(vm.getBlockTimestamp(), first + later + 12 hours + 1);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeFailed(node, challenger, expected, expected / 2);
        relay.failChallenge(node);
        assertEq(relay.getNode(node).stake, 95e18 - expected);
        assertEq(relay.getNode(node).missedAt, first + later + 12 hours);
        // What was not withdrawn in between adds up.
        assertEq(relay.balanceOf(challenger), 2 * BOND + 2.5e18 + expected / 2);
        assertEq(relay.rewardReserve(), 2.5e18 + expected / 2);
        _assertStatus(node, NodeStatus.Suspended);
    }

    /// A suspended node has no weight to lose, and takes nobody's pot along.
    function test_missWithoutWeightTouchesNoPot() public {
        _miss(node, _committed);
        _nextEpoch();
        _committed = _commitUniform(node);
        vm.recordLogs();
        _miss(node, _committed);
        uint256 ofManager = 0;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(relay)) ++ofManager;
        }
        // NodeChallenged, SeedPinned, ChallengeFailed, Credited.
        assertEq(ofManager, 4);
    }

    function _miss(bytes32 id, Commitment memory commitment) private {
        _challenge(id, commitment);
        _pin(id, "seed");
        skip(12 hours + 1);
        relay.failChallenge(id);
    }

    /// A node that misses its own challenge gets back less than it lost, even if all rewards will be its own.
    function test_ownChallengeIsNoProfit() public {
        _fund(wallet, BOND);
        vm.prank(wallet);
        relay.challengeNode(node, _committed);
        _pin(node, "seed");
        skip(12 hours + 1);
        relay.failChallenge(node);
        vm.prank(wallet);
        relay.withdraw(wallet);
        uint256 has = mct.balanceOf(wallet) + relay.getNode(node).stake;
        assertEq(has, BOND + BRONZE_STAKE - 2.5e18);
        assertLe(has + relay.rewardReserve(), BOND + BRONZE_STAKE);
    }

    /// The most that one absence can cost: a commitment is challenged again and again until it is too old.
    function test_absenceCostsFourMissesAtMost() public {
        _nextEpoch();
        _committed = _commitUniform(node);
        for (uint256 i = 0; i < 4; ++i) {
            _miss(node, _committed);
        }
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NotChallengeable.selector, node));
        _challenge(node, _committed);
        assertEq(relay.getNode(node).stake, 48.64e18);
    }

    /// However often a node misses, what is left is its own.
    function test_restIsAlwaysWithdrawable(uint8 misses) public {
        misses = uint8(bound(misses, 1, 12));
        uint96 stake = BRONZE_STAKE;
        for (uint256 i = 0; i < misses; ++i) {
            if (i != 0) _nextEpoch();
            if (i != 0) _committed = _commitUniform(node);
            _challenge(node, _committed);
            _pin(node, "seed");
            skip(12 hours + 1);
            relay.failChallenge(node);
            stake -= i == 0 ? stake / 20 : stake / 5;
            assertEq(relay.getNode(node).stake, stake);
        }
        vm.startPrank(wallet);
        relay.startUnbonding(node);
        skip(7 days);
        relay.withdrawStake(node, wallet);
        assertEq(mct.balanceOf(wallet), stake);
        assertGt(stake, 0);
    }
}
