// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IRelayManager} from "../src/interfaces/IRelayManager.sol";
import {IRelayNodes} from "../src/interfaces/IRelayNodes.sol";
import {NodeStatus, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title updateEndpoint, migrateMachine, changeTier, addStake.
contract RelayNodesTest is RelayFixture {
    bytes32 private _other;

    function setUp() public override {
        super.setUp();
        _other = _machineId(wallet, 2);
        _fund(wallet, 100_000e18);
    }

    function _unbond() private {
        vm.prank(wallet);
        relay.startUnbonding(node);
    }

    function _pause() private returns (bytes memory) {
        vm.prank(breaker);
        relay.pauseEntry();
        return abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, uint40(block.timestamp + 3 days));
    }

    function _foreign(address caller) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRelayNodes.ForeignNodeId.selector, node, caller);
    }

    // --- updateEndpoint

    function test_endpointRefusals() public {
        vm.expectRevert(_foreign(stranger));
        vm.prank(stranger);
        relay.updateEndpoint(node, "x");
        vm.startPrank(wallet);
        vm.expectRevert(IRelayNodes.EmptyEndpoint.selector);
        relay.updateEndpoint(node, "");
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.EndpointTooLong.selector, 257, 256));
        relay.updateEndpoint(node, string(new bytes(257)));
        bytes32 unknown = _nodeId(wallet, 9);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, unknown));
        relay.updateEndpoint(unknown, "x");
        relay.startUnbonding(node);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.updateEndpoint(node, "x");
    }

    function test_updatesTheEndpoint() public {
        vm.roll(4321);
        vm.expectEmit(address(relay));
        emit IRelayNodes.EndpointUpdated(node, "wss://moved.example.org");
        vm.prank(wallet);
        relay.updateEndpoint(node, "wss://moved.example.org");
        assertEq(relay.endpointHash(node), keccak256("wss://moved.example.org"));
        assertEq(relay.getUpkeep(node).endpointBlock, 4321);
    }

    // --- migrateMachine

    function test_migrationRefusals() public {
        vm.expectRevert(_foreign(stranger));
        vm.prank(stranger);
        relay.migrateMachine(node, _other);
        uint40 until = uint40(block.timestamp + 7 days);
        vm.startPrank(wallet);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.SameMachine.selector, machine));
        relay.migrateMachine(node, machine);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MigrationCooldown.selector, until));
        relay.migrateMachine(node, _other);
        vm.warp(until);
        bytes32 foreign = _machineId(operator, 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotApproved.selector, foreign, wallet));
        relay.migrateMachine(node, foreign);
        relay.startUnbonding(node);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.migrateMachine(node, _other);
    }

    function test_migrationIntoAFullMachineIsRefused() public {
        vm.prank(owner);
        relay.setMachineCap(2);
        _fleet(2, Tier.Bronze);
        skip(7 days);
        _approve(wallet, _machineId(operator, 1));
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MachineFull.selector, _machineId(operator, 1), 2));
        vm.prank(wallet);
        relay.migrateMachine(node, _machineId(operator, 1));
    }

    function test_migratesWithStakeAndHistory() public {
        _miss(node);
        uint40 missedAt = relay.getNode(node).missedAt;
        uint96 stake = relay.getNode(node).stake;
        skip(7 days);
        _approve(wallet, _machineId(operator, 1));
        vm.expectEmit(address(relay));
        emit IRelayNodes.MachineMigrated(node, machine, _machineId(operator, 1));
        vm.prank(wallet);
        relay.migrateMachine(node, _machineId(operator, 1));
        assertEq(relay.getNode(node).machineIdHash, _machineId(operator, 1));
        assertEq(relay.getNode(node).missedAt, missedAt);
        assertEq(relay.getNode(node).stake, stake);
        _assertStatus(node, NodeStatus.Suspended);
        assertEq(relay.getUpkeep(node).movedAt, block.timestamp);
        assertEq(relay.machineNodeIds(machine).length, 0);
        assertEq(relay.machineNodeIds(_machineId(operator, 1))[0], node);
        assertEq(relay.operatorNodeCount(wallet), 0);
        assertEq(relay.operatorNodeCount(operator), 1);
        assertFalse(relay.isApproved(_machineId(operator, 1), wallet));
        // The cooldown starts again.
        vm.expectRevert(
            abi.encodeWithSelector(IRelayNodes.MigrationCooldown.selector, uint40(block.timestamp + 7 days))
        );
        vm.prank(wallet);
        relay.migrateMachine(node, machine);
    }

    /// Whoever leaves, the list stays whole and every node knows its place.
    function test_leavingKeepsTheListWhole(uint256 seed) public {
        bytes32[] memory ids = _fleet(6, Tier.Bronze);
        bytes32 on = _machineId(operator, 1);
        for (uint256 left = 6; left > 0; --left) {
            bytes32[] memory list = relay.machineNodeIds(on);
            assertEq(list.length, left);
            assertEq(relay.operatorNodeCount(operator), left);
            for (uint256 i = 0; i < left; ++i) {
                assertEq(relay.getUpkeep(list[i]).machineIndex, i);
            }
            bytes32 leaving = list[(seed >> left) % left];
            vm.prank(relay.walletOf(leaving));
            relay.startUnbonding(leaving);
        }
        assertEq(relay.machineNodeIds(on).length, 0);
        assertEq(ids.length, 6);
    }

    // --- changeTier

    function test_tierRefusals() public {
        vm.expectRevert(_foreign(stranger));
        vm.prank(stranger);
        relay.changeTier(node, Tier.Silver, 4 * GB);
        vm.startPrank(wallet);
        vm.expectRevert(
            abi.encodeWithSelector(IRelayNodes.StorageOutOfRange.selector, 4 * GB - 1, 4 * GB, uint64(2 ** 40))
        );
        relay.changeTier(node, Tier.Silver, 4 * GB - 1);
        relay.changeTier(node, Tier.Silver, 4 * GB);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.TierLowered.selector, Tier.Silver, Tier.Bronze));
        relay.changeTier(node, Tier.Bronze, 4 * GB);
        relay.startUnbonding(node);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.changeTier(node, Tier.Gold, 10 * GB);
        vm.stopPrank();
        vm.expectRevert(_pause());
        vm.prank(wallet);
        relay.changeTier(node, Tier.Gold, 10 * GB);
    }

    function test_raisesTheTierForTheDifference(uint8 which, uint96 extra) public {
        Tier tier = Tier(bound(which, 1, 3));
        extra = uint96(bound(extra, 0, 6000e18));
        if (extra != 0) {
            vm.prank(wallet);
            relay.addStake(node, extra);
        }
        uint96 stake = BRONZE_STAKE + extra;
        uint96 due = stake < _stakeOf(tier) ? _stakeOf(tier) - stake : 0;
        uint256 before = mct.balanceOf(wallet);
        vm.expectEmit(address(relay));
        emit IRelayNodes.TierChanged(node, tier, 2 ** 40);
        if (due != 0) {
            vm.expectEmit(address(relay));
            emit IRelayNodes.StakeAdded(node, wallet, due, _stakeOf(tier));
        }
        vm.prank(wallet);
        relay.changeTier(node, tier, 2 ** 40);
        assertEq(uint8(relay.getNode(node).tier), uint8(tier));
        assertEq(relay.getNode(node).storageBytes, 2 ** 40);
        assertEq(relay.getNode(node).stake, stake + due);
        assertEq(before - mct.balanceOf(wallet), due);
    }

    function test_sameTierChangesStorageOnly() public {
        vm.recordLogs();
        vm.prank(wallet);
        relay.changeTier(node, Tier.Bronze, 3 * GB);
        // TierChanged alone: nothing is due, so nothing is taken.
        assertEq(vm.getRecordedLogs().length, 1);
        assertEq(relay.getNode(node).storageBytes, 3 * GB);
        assertEq(relay.getNode(node).stake, BRONZE_STAKE);
        vm.prank(wallet);
        relay.changeTier(node, Tier.Bronze, 1 * GB);
        assertEq(relay.getNode(node).storageBytes, GB);
    }

    // --- addStake

    function test_addStakeRefusals() public {
        vm.expectRevert(IRelayManager.ZeroAmount.selector);
        relay.addStake(node, 0);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, bytes32("none")));
        relay.addStake("none", 1);
        _unbond();
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.addStake(node, 1);
        vm.expectRevert(_pause());
        relay.addStake(node, 1);
    }

    function test_anyoneAddsStake(uint96 amount) public {
        amount = uint96(bound(amount, 1, 1000e18));
        vm.expectEmit(address(relay));
        emit IRelayNodes.StakeAdded(node, challenger, amount, BRONZE_STAKE + amount);
        vm.prank(challenger);
        relay.addStake(node, amount);
        assertEq(relay.getNode(node).stake, BRONZE_STAKE + amount);
        assertEq(mct.balanceOf(challenger), 1000e18 - amount);
    }
}
