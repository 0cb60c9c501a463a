// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRelayRewards} from "../src/interfaces/IRelayRewards.sol";
import {Commitment, NodeStatus, SkipReason, Tier, Upkeep} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title commitRoots.
contract RelayCommitTest is RelayFixture {
    bytes32 private constant ROOT = "root";

    function _expectSkip(bytes32 id, SkipReason reason) private {
        vm.expectEmit(address(relay));
        emit IRelayRewards.CommitSkipped(id, reason);
    }

    /// @dev The one node of a call is left out: the call reverts, and in a batch with a good one the event says why.
    function _assertSkipped(bytes32 id, address caller, uint64 leafCount, SkipReason reason) private {
        vm.startPrank(caller);
        vm.expectRevert(IRelayRewards.NothingCommitted.selector);
        relay.commitRoots(_one(id), _one(ROOT), _one(leafCount));
        vm.stopPrank();
        address companion = makeAddr("companion");
        if (relay.nodeOf(companion) == 0) _register(companion, _machineId(caller, 77), Tier.Bronze);
        _nextEpochFor(reason);
        bytes32[] memory ids = _list(id, relay.nodeOf(companion));
        uint64[] memory counts = new uint64[](2);
        (counts[0], counts[1]) = (leafCount, BRONZE_LEAVES);
        _expectSkip(id, reason);
        vm.prank(caller);
        assertEq(relay.commitRoots(ids, _list(ROOT, ROOT), counts), 1);
        assertEq(relay.getUpkeep(ids[1]).epoch, relay.currentEpoch());
    }

    function _nextEpochFor(SkipReason reason) private {
        // Only the reason that depends on the epoch must stay in it.
        if (reason != SkipReason.AlreadyCommitted) _nextEpoch();
    }

    function test_refusesUnequalLengths() public {
        vm.startPrank(wallet);
        vm.expectRevert(IRelayRewards.LengthMismatch.selector);
        relay.commitRoots(_one(node), _list(ROOT, ROOT), _one(BRONZE_LEAVES));
        vm.expectRevert(IRelayRewards.LengthMismatch.selector);
        relay.commitRoots(_one(node), _one(ROOT), _same(BRONZE_LEAVES, 2));
        vm.expectRevert(IRelayRewards.LengthMismatch.selector);
        relay.commitRoots(_one(node), new bytes32[](0), new uint64[](0));
    }

    function test_refusesNothing() public {
        vm.expectRevert(IRelayRewards.NothingCommitted.selector);
        relay.commitRoots(new bytes32[](0), new bytes32[](0), new uint64[](0));
    }

    function test_skipsStrangers() public {
        _assertSkipped(node, stranger, BRONZE_LEAVES, SkipReason.NotAuthorised);
    }

    function test_skipsUnknownAndUnbondingNodes() public {
        _assertSkipped(_nodeId(wallet, 9), wallet, BRONZE_LEAVES, SkipReason.NotServing);
        vm.prank(wallet);
        relay.startUnbonding(node);
        _assertSkipped(node, wallet, BRONZE_LEAVES, SkipReason.NotServing);
    }

    /// A second root in one epoch would undo the first.
    function test_skipsASecondRootInOneEpoch() public {
        Commitment memory first = _commitUniform(node);
        _assertSkipped(node, wallet, BRONZE_LEAVES, SkipReason.AlreadyCommitted);
        assertTrue(relay.isChallengeable(node, first));
        assertFalse(relay.isChallengeable(node, _commitment(ROOT, BRONZE_LEAVES)));
    }

    function test_skipsTooFewAndTooManyLeaves() public {
        _assertSkipped(node, wallet, BRONZE_LEAVES - 1, SkipReason.LeafCountOutOfRange);
        _assertSkipped(node, wallet, 2 ** 32 + 1, SkipReason.LeafCountOutOfRange);
        _assertSkipped(node, wallet, type(uint64).max, SkipReason.LeafCountOutOfRange);
        // In 64 bits its bytes would look like one GB.
        _assertSkipped(node, wallet, 2 ** 56 + BRONZE_LEAVES, SkipReason.LeafCountOutOfRange);
        _nextEpoch();
        _commit(node, ROOT, BRONZE_LEAVES);
        _nextEpoch();
        _commit(node, ROOT, 2 ** 32);
    }

    /// The last leaf counts even if the node promised one byte of it.
    function test_leavesCoverEveryByte() public {
        vm.prank(wallet);
        relay.changeTier(node, Tier.Bronze, GB + 1);
        vm.prank(wallet);
        vm.expectRevert(IRelayRewards.NothingCommitted.selector);
        relay.commitRoots(_one(node), _one(ROOT), _one(BRONZE_LEAVES));
        _commit(node, ROOT, BRONZE_LEAVES + 1);
    }

    function test_commits(bytes32 root, uint64 leafCount) public {
        leafCount = uint64(bound(leafCount, BRONZE_LEAVES, 2 ** 32));
        uint40 epoch = uint40(block.timestamp / 1 days);
        assertEq(relay.currentEpoch(), epoch);
        vm.expectEmit(address(relay));
        emit IRelayRewards.EpochOpened(epoch, 0);
        vm.expectEmit(address(relay));
        emit IRelayRewards.RootCommitted(node, epoch, leafCount, root, 1_000_000);
        vm.prank(wallet);
        assertEq(relay.commitRoots(_one(node), _one(root), _one(leafCount)), 1);
        Upkeep memory upkeep = relay.getUpkeep(node);
        assertEq(upkeep.epoch, epoch);
        assertEq(upkeep.weight, 1_000_000);
        (, uint64 weight) = relay.epochRewards(epoch);
        assertEq(weight, 1_000_000);
        assertTrue(relay.isChallengeable(node, Commitment(epoch, leafCount, root)));
    }

    /// One transaction of the operator for all nodes of its machine; a wallet may still do it alone.
    function test_operatorCommitsForItsMachine() public {
        bytes32[] memory ids = _fleet(10, Tier.Silver);
        vm.prank(operator);
        assertEq(relay.commitRoots(ids, _same(ROOT, 10), _same(2 ** 24, 10)), 10);
        uint64 each = 5_000_000 * 64 / 100;
        (, uint64 weight) = relay.epochRewards(relay.currentEpoch());
        assertEq(weight, 10 * each);
        for (uint256 i = 0; i < 10; ++i) {
            assertEq(relay.getUpkeep(ids[i]).weight, each);
            assertEq(relay.weightOf(ids[i]), each);
            assertTrue(relay.isChallengeable(ids[i], _commitment(ROOT, 2 ** 24)));
        }
        _nextEpoch();
        _commit(ids[3], ROOT, 2 ** 24);
    }

    /// Whose machine the node has left has no more say.
    function test_operatorOfThePastIsSkipped() public {
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        skip(7 days);
        address member = relay.walletOf(ids[0]);
        vm.prank(member);
        relay.migrateMachine(ids[0], _machineId(member, 1));
        _assertSkipped(ids[0], operator, BRONZE_LEAVES, SkipReason.NotAuthorised);
    }

    function test_suspendedOrShortNodesCommitWithoutWeight() public {
        _miss(node);
        assertEq(relay.weightOf(node), 0);
        _commit(node, ROOT, BRONZE_LEAVES);
        assertEq(relay.getUpkeep(node).weight, 0);
        // Suspended though the stake is whole again.
        vm.prank(challenger);
        relay.addStake(node, 5e18);
        assertEq(relay.weightOf(node), 0);
        _assertStatus(node, NodeStatus.Suspended);
        (uint96 pot, uint64 weight) = relay.epochRewards(relay.currentEpoch());
        assertEq(pot, 0);
        assertEq(weight, 0);
    }

    /// Serving again, but a base unit short.
    function test_shortNodeEarnsNothingUntilToppedUp() public {
        _miss(node);
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _pin(node, "other seed");
        _answerUniform(node, commitment);
        _assertStatus(node, NodeStatus.Serving);
        vm.prank(challenger);
        relay.addStake(node, 5e18 - 1);
        assertEq(relay.weightOf(node), 0);
        vm.prank(challenger);
        relay.addStake(node, 1);
        assertEq(relay.weightOf(node), 1_000_000);
        _nextEpoch();
        _commitUniform(node);
        assertEq(relay.getUpkeep(node).weight, 1_000_000);
    }

    function test_concentrationTable() public view {
        assertEq(relay.concentrationBps(0), 10_000);
        assertEq(relay.concentrationBps(1), 10_000);
        assertEq(relay.concentrationBps(2), 9600);
        assertEq(relay.concentrationBps(3), 9200);
        assertEq(relay.concentrationBps(10), 6400);
        assertEq(relay.concentrationBps(11), 6000);
        assertEq(relay.concentrationBps(12), 6000);
        assertEq(relay.concentrationBps(100), 6000);
        // One more node of the same tier never lowers what a machine earns.
        for (uint256 n = 1; n < 100; ++n) {
            assertGt((n + 1) * relay.concentrationBps(n + 1), n * relay.concentrationBps(n));
        }
    }

    // --- what stays challengeable

    function test_twoEpochsStayChallengeable() public {
        Commitment memory first = _commit(node, "first", BRONZE_LEAVES);
        _nextEpoch();
        Commitment memory second = _commit(node, "second", BRONZE_LEAVES);
        assertTrue(relay.isChallengeable(node, first));
        assertTrue(relay.isChallengeable(node, second));
        vm.warp((uint256(first.epoch) + 2) * 1 days - 1);
        assertTrue(relay.isChallengeable(node, first));
        skip(1);
        assertFalse(relay.isChallengeable(node, first));
        assertTrue(relay.isChallengeable(node, second));
        Commitment memory third = _commit(node, "third", BRONZE_LEAVES);
        assertTrue(relay.isChallengeable(node, second));
        assertTrue(relay.isChallengeable(node, third));
    }

    function test_onlyWhatWasCommittedIsChallengeable() public {
        Commitment memory commitment = _commit(node, ROOT, BRONZE_LEAVES);
        commitment.leafCount += 1;
        assertFalse(relay.isChallengeable(node, commitment));
        commitment.leafCount -= 1;
        commitment.epoch += 2;
        assertFalse(relay.isChallengeable(node, commitment));
        commitment.epoch = type(uint40).max;
        assertFalse(relay.isChallengeable(node, commitment));
        commitment = _commitment("other", BRONZE_LEAVES);
        assertFalse(relay.isChallengeable(node, commitment));
        assertFalse(relay.isChallengeable(_nodeId(wallet, 9), _commitment(ROOT, BRONZE_LEAVES)));
    }
}
