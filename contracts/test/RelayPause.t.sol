// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ChallengeStatus, Commitment, NodeStatus, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title What a pause does not stop: upkeep, the ends of challenges, and every way out.
contract RelayPauseTest is RelayFixture {
    bytes32[] private _ids;

    function setUp() public override {
        super.setUp();
        mct.approve(address(relay), type(uint256).max);
        relay.fundRewards(3000e18);
        _ids = _fleet(3, Tier.Bronze);
    }

    modifier whilePaused() {
        vm.prank(breaker);
        relay.pauseEntry();
        _;
        assertLt(vm.getBlockTimestamp(), relay.pausedUntil(), "the pause ended too soon to show anything");
    }

    function test_upkeepGoesOn() public {
        _commitUniform(node);
        skip(7 days);
        _keepUp();
    }

    function _keepUp() private whilePaused {
        relay.claimRewards(_one(node));
        assertEq(relay.balanceOf(wallet), 100e18);
        Commitment memory commitment = _commitUniform(node);
        assertTrue(relay.isChallengeable(node, commitment));
        vm.prank(wallet);
        relay.updateEndpoint(node, "wss://moved.example.org");
        assertEq(relay.endpointHash(node), keccak256("wss://moved.example.org"));
        _approve(wallet, _machineId(operator, 1));
        vm.prank(wallet);
        relay.migrateMachine(node, _machineId(operator, 1));
        assertEq(relay.getNode(node).machineIdHash, _machineId(operator, 1));
    }

    function test_challengesEnd() public {
        Commitment memory commitment;
        for (uint256 i = 0; i < 3; ++i) {
            commitment = _commitUniform(_ids[i]);
            _challenge(_ids[i], commitment);
        }
        _endAll(commitment);
    }

    function _endAll(Commitment memory commitment) private whilePaused {
        _pin(_ids[0], "first seed");
        _pin(_ids[1], "second seed");
        _answerUniform(_ids[0], commitment);
        skip(1 hours + 1);
        relay.lapseChallenge(_ids[2]);
        skip(11 hours);
        relay.failChallenge(_ids[1]);
        for (uint256 i = 0; i < 3; ++i) {
            _assertChallenge(_ids[i], ChallengeStatus.None);
        }
        assertEq(relay.balanceOf(relay.walletOf(_ids[0])), BOND);
        vm.prank(challenger);
        assertEq(relay.withdraw(challenger), BOND + 2.5e18);
    }

    function test_nodesLeave() public {
        vm.prank(wallet);
        relay.startUnbonding(node);
        skip(7 days);
        _leave();
    }

    function _leave() private whilePaused {
        vm.prank(wallet);
        relay.withdrawStake(node, wallet);
        assertEq(mct.balanceOf(wallet), BRONZE_STAKE);
        vm.prank(relay.walletOf(_ids[0]));
        relay.startUnbonding(_ids[0]);
        _assertStatus(_ids[0], NodeStatus.Unbonding);
    }
}
