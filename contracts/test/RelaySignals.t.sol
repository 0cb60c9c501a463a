// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Commitment, NodeSignals, SharedTraits, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title signalsOf, sharedTraits.
contract RelaySignalsTest is RelayFixture {
    bytes32[] private _ids;

    function setUp() public override {
        super.setUp();
        _ids = _fleet(3, Tier.Bronze);
    }

    function test_signalsOfAFleet() public {
        vm.prank(operator);
        relay.commitRoots(_ids, _same("root", 3), _same(BRONZE_LEAVES, 3));
        _commitUniform(node);
        address fourth = makeAddr("fourth");
        bytes32 other = _register(fourth, _machineId(operator, 2), Tier.Bronze);
        NodeSignals memory signals = relay.signalsOf(_ids[1]);
        assertEq(signals.machineNodes, 3);
        assertEq(signals.operatorNodes, 4);
        assertEq(signals.nodeWeight, 920_000);
        assertEq(signals.machineWeight, 3 * 920_000);
        assertEq(signals.totalWeight, 3 * 920_000 + 1_000_000);
        signals = relay.signalsOf(other);
        assertEq(signals.machineNodes, 1);
        assertEq(signals.operatorNodes, 4);
        // What an operator has on other machines costs nothing.
        assertEq(relay.weightOf(other), 1_000_000);
        assertEq(signals.nodeWeight, 0);
        assertEq(signals.machineWeight, 0);
        // Yesterday's weights are no signal of today.
        _nextEpoch();
        signals = relay.signalsOf(_ids[1]);
        assertEq(signals.nodeWeight, 0);
        assertEq(signals.machineWeight, 0);
        assertEq(signals.totalWeight, 0);
    }

    function test_sharedTraits() public {
        Commitment memory commitment = _commitUniform(_ids[0]);
        _commitUniform(_ids[1]);
        _commit(_ids[2], "other", BRONZE_LEAVES);
        _commitUniform(node);
        vm.prank(relay.walletOf(_ids[2]));
        relay.updateEndpoint(_ids[2], "elsewhere");
        address fourth = makeAddr("fourth");
        bytes32 secondMachine = _register(fourth, _machineId(operator, 2), Tier.Bronze);
        bytes32[] memory others = new bytes32[](6);
        (others[0], others[1], others[2]) = (_ids[0], _ids[1], _ids[2]);
        (others[3], others[4], others[5]) = (node, secondMachine, _nodeId(stranger, 1));
        SharedTraits memory shared = relay.sharedTraits(_ids[0], others);
        assertEq(shared.machine, 2);
        assertEq(shared.operator, 3);
        assertEq(shared.commitment, 2);
        assertEq(shared.endpoint, 3);
        assertEq(commitment.leafCount, BRONZE_LEAVES);
        // The same tree in another epoch, or before any commitment, is not the same commitment.
        _nextEpoch();
        _commitUniform(_ids[0]);
        assertEq(relay.sharedTraits(_ids[0], others).commitment, 0);
        _commitUniform(_ids[1]);
        assertEq(relay.sharedTraits(_ids[0], others).commitment, 1);
    }

    /// What two nodes do not have, they do not share.
    function test_absentTraitsAreNotShared() public {
        bytes32 unknown = _nodeId(stranger, 1);
        SharedTraits memory shared = relay.sharedTraits(unknown, _list(_nodeId(owner, 1), _nodeId(owner, 2)));
        assertEq(shared.machine + shared.operator + shared.commitment + shared.endpoint, 0);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(relay.walletOf(_ids[i]));
            relay.startUnbonding(_ids[i]);
        }
        shared = relay.sharedTraits(_ids[0], _list(_ids[1], _ids[2]));
        assertEq(shared.machine, 0);
        assertEq(shared.operator, 0);
        assertEq(shared.commitment, 0);
        assertEq(shared.endpoint, 2);
        assertEq(relay.signalsOf(_ids[0]).machineNodes, 0);
        assertEq(relay.signalsOf(_ids[0]).operatorNodes, 0);
    }

    /// A node that has gone has no newest commitment; what it committed before is not one again.
    function test_goneNodesShareNoCommitment() public {
        // An even epoch: what it leaves lies where a node that never committed would have its newest.
        _nextEpoch();
        assertEq(relay.currentEpoch() % 2, 0);
        _commitUniform(_ids[0]);
        _commitUniform(_ids[1]);
        assertEq(relay.sharedTraits(_ids[1], _list(_ids[0], node)).commitment, 1);
        _nextEpoch();
        _commitUniform(_ids[0]);
        assertEq(relay.sharedTraits(_ids[1], _list(_ids[0], node)).commitment, 0);
        vm.startPrank(relay.walletOf(_ids[0]));
        relay.startUnbonding(_ids[0]);
        skip(7 days);
        relay.withdrawStake(_ids[0], operator);
        assertEq(relay.sharedTraits(_ids[1], _list(_ids[0], node)).commitment, 0);
        assertEq(relay.sharedTraits(_ids[0], _list(_ids[1], node)).commitment, 0);
    }
}
