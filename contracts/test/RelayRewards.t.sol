// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IRelayManager} from "../src/interfaces/IRelayManager.sol";
import {IRelayRewards} from "../src/interfaces/IRelayRewards.sol";
import {Commitment, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title fundRewards, pots, claimRewards, withdraw.
contract RelayRewardsTest is RelayFixture {
    bytes32 private constant ROOT = "root";

    function setUp() public override {
        super.setUp();
        mct.approve(address(relay), type(uint256).max);
    }

    function _pot(uint40 epoch) private view returns (uint96 pot) {
        (pot,) = relay.epochRewards(epoch);
    }

    function _weight(uint40 epoch) private view returns (uint64 weight) {
        (, weight) = relay.epochRewards(epoch);
    }

    // --- fundRewards

    function test_fundRefusals() public {
        vm.expectRevert(IRelayManager.ZeroAmount.selector);
        relay.fundRewards(0);
        vm.prank(breaker);
        relay.pauseEntry();
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, uint40(block.timestamp + 3 days)));
        relay.fundRewards(1);
    }

    function test_funds(uint96 first, uint96 second) public {
        first = uint96(bound(first, 1, 1e26));
        second = uint96(bound(second, 1, 1e26));
        relay.fundRewards(first);
        vm.expectEmit(address(relay));
        emit IRelayRewards.RewardsFunded(address(this), second);
        relay.fundRewards(second);
        assertEq(relay.rewardReserve(), first + second);
        assertEq(mct.balanceOf(address(relay)), uint256(BRONZE_STAKE) + first + second);
    }

    // --- pots

    function test_firstLiveNodeOpensThePot(uint96 amount) public {
        amount = uint96(bound(amount, 1, 1e26));
        relay.fundRewards(amount);
        uint40 epoch = relay.currentEpoch();
        vm.expectEmit(address(relay));
        emit IRelayRewards.EpochOpened(epoch, amount / 30);
        _commitUniform(node);
        assertEq(_pot(epoch), amount / 30);
        assertEq(relay.rewardReserve(), amount - amount / 30);
        // The pot is fixed: later money and later nodes change nothing.
        relay.fundRewards(900e18);
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        _commit(ids[0], ROOT, BRONZE_LEAVES);
        assertEq(_pot(epoch), amount / 30);
        assertEq(_weight(epoch), 2_000_000);
    }

    function test_epochsWithoutNodesLeaveTheReserve() public {
        relay.fundRewards(3000e18);
        for (uint256 i = 0; i < 5; ++i) {
            _nextEpoch();
        }
        assertEq(relay.rewardReserve(), 3000e18);
        _commitUniform(node);
        assertEq(relay.rewardReserve(), 2900e18);
    }

    function test_nodeWithoutWeightOpensNoPot() public {
        _miss(node);
        relay.fundRewards(3000e18);
        _commit(node, ROOT, BRONZE_LEAVES);
        assertEq(_pot(relay.currentEpoch()), 0);
        assertEq(relay.rewardReserve(), 3002.5e18);
    }

    // --- claimRewards

    function test_claimRefusesWhileTheEpochRuns() public {
        relay.fundRewards(3000e18);
        Commitment memory commitment = _commitUniform(node);
        vm.warp((uint256(commitment.epoch) + 1) * 1 days - 1);
        vm.expectRevert(IRelayRewards.NothingToClaim.selector);
        relay.claimRewards(_one(node));
        skip(1);
        vm.expectEmit(address(relay));
        emit IRelayRewards.RewardSettled(node, commitment.epoch, 100e18);
        relay.claimRewards(_one(node));
        assertEq(relay.balanceOf(wallet), 100e18);
        vm.expectRevert(IRelayRewards.NothingToClaim.selector);
        relay.claimRewards(_one(node));
        vm.expectRevert(IRelayRewards.NothingToClaim.selector);
        relay.claimRewards(new bytes32[](0));
    }

    /// Shares follow the weights, whoever claims first; nothing of the pot is left, and no node is paid twice.
    function test_potIsDividedByWeight(uint96 amount, uint256 seed) public {
        amount = uint96(bound(amount, 1, 1e26));
        relay.fundRewards(amount);
        bytes32[] memory ids = new bytes32[](4);
        uint256 total = 0;
        for (uint256 i = 0; i < 4; ++i) {
            address member = makeAddr(string(abi.encodePacked("tier", i)));
            ids[i] = _register(member, _machineId(member, 1), Tier(i));
            _commit(ids[i], ROOT, _storageOf(Tier(i)) / 256);
            total += _stakeOf(Tier(i)) / 1e18;
        }
        uint40 epoch = relay.currentEpoch();
        uint256 pot = amount / 30;
        _nextEpoch();
        bytes32[] memory order = new bytes32[](5);
        for (uint256 i = 0; i < 4; ++i) {
            order[i] = ids[(i + seed % 4) % 4];
        }
        order[4] = order[0];
        relay.claimRewards(order);
        uint256 paid = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 earned = relay.getUpkeep(ids[i]).earned;
            assertApproxEqAbs(earned, pot * (_stakeOf(Tier(i)) / 1e18) / total, 4);
            assertEq(relay.getUpkeep(ids[i]).weight, 0);
            paid += earned;
        }
        assertEq(paid, pot);
        assertEq(_pot(epoch), 0);
        assertEq(_weight(epoch), 0);
    }

    /// By hand: weights 1 and 5 of 6, rounded down, the last gets the rest.
    function test_lastGetsTheRest() public {
        relay.fundRewards(30 * 100);
        address member = makeAddr("silver");
        bytes32 silver = _register(member, _machineId(member, 1), Tier.Silver);
        _commitUniform(node);
        _commit(silver, ROOT, 2 ** 24);
        uint40 epoch = relay.currentEpoch();
        _nextEpoch();
        relay.claimRewards(_one(node));
        assertEq(relay.balanceOf(wallet), 16);
        assertEq(_pot(epoch), 84);
        assertEq(_weight(epoch), 5_000_000);
        relay.claimRewards(_list(node, silver));
        assertEq(relay.balanceOf(member), 84);
    }

    /// A node that comes back daily claims nothing by itself.
    function test_committingSettlesTheEpochBefore() public {
        relay.fundRewards(3000e18);
        uint40 epoch = relay.currentEpoch();
        _commitUniform(node);
        _nextEpoch();
        skip(3 days);
        vm.expectEmit(address(relay));
        emit IRelayRewards.RewardSettled(node, epoch, 100e18);
        _commitUniform(node);
        assertEq(relay.balanceOf(wallet), 100e18);
        assertEq(relay.getUpkeep(node).weight, 1_000_000);
        assertEq(_weight(relay.currentEpoch()), 1_000_000);
        _nextEpoch();
        relay.claimRewards(_one(node));
        assertEq(relay.balanceOf(wallet), 100e18 + uint256(2900e18) / 30);
    }

    // --- nodes that miss a challenge

    /// A commitment of the running epoch is worth nothing once its node was slashed in it.
    function test_slashedNodeLosesTheRunningEpoch() public {
        relay.fundRewards(3000e18);
        _nextEpoch();
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        _commit(ids[0], ROOT, BRONZE_LEAVES);
        _miss(node);
        uint40 epoch = relay.currentEpoch();
        assertEq(_weight(epoch), 1_000_000);
        assertEq(_pot(epoch), 100e18);
        assertEq(relay.getUpkeep(node).weight, 0);
        _nextEpoch();
        vm.expectRevert(IRelayRewards.NothingToClaim.selector);
        relay.claimRewards(_one(node));
        relay.claimRewards(ids);
        assertEq(relay.balanceOf(relay.walletOf(ids[0])), 100e18);
    }

    function test_potOfNobodyGoesBack() public {
        relay.fundRewards(3000e18);
        _nextEpoch();
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _pin(node, "seed");
        skip(12 hours + 1);
        vm.expectEmit(address(relay));
        emit IRelayRewards.EpochEmptied(commitment.epoch, 100e18);
        relay.failChallenge(node);
        assertEq(_weight(commitment.epoch), 0);
        assertEq(_pot(commitment.epoch), 0);
        assertEq(relay.rewardReserve(), 3002.5e18);
        // The next live node opens it anew.
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        _commit(ids[0], ROOT, BRONZE_LEAVES);
        assertEq(_pot(commitment.epoch), uint256(3002.5e18) / 30);
    }

    /// What an earlier epoch owes stays owed.
    function test_slashedNodeKeepsPastEpochs() public {
        relay.fundRewards(3000e18);
        _miss(node);
        assertEq(relay.getUpkeep(node).weight, 1_000_000);
        relay.claimRewards(_one(node));
        assertEq(relay.balanceOf(wallet), 100e18);
    }

    // --- withdraw

    function test_withdrawRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayRewards.NothingToWithdraw.selector, stranger));
        vm.prank(stranger);
        relay.withdraw(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRelayRewards.NothingToWithdraw.selector, wallet));
        vm.prank(wallet);
        relay.withdraw(wallet);
        relay.fundRewards(3000e18);
        _commitUniform(node);
        _nextEpoch();
        relay.claimRewards(_one(node));
        vm.startPrank(wallet);
        vm.expectRevert(abi.encodeWithSelector(IRelayManager.WithdrawalFailed.selector, address(0)));
        relay.withdraw(address(0));
        vm.expectRevert(abi.encodeWithSelector(IRelayManager.WithdrawalFailed.selector, address(relay)));
        relay.withdraw(address(relay));
    }

    /// Rewards of the node and credits of the account go out together.
    function test_withdrawsBoth() public {
        relay.fundRewards(3000e18);
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        Commitment memory commitment = _commit(ids[0], ROOT, BRONZE_LEAVES);
        _commitUniform(node);
        _fund(wallet, BOND);
        vm.prank(wallet);
        relay.challengeNode(ids[0], commitment);
        _pin(ids[0], "seed");
        skip(12 hours + 1);
        relay.failChallenge(ids[0]);
        relay.claimRewards(_one(node));
        uint96 all = 50e18 + BOND + 2.5e18;
        assertEq(relay.balanceOf(wallet), all);
        vm.expectEmit(address(relay));
        emit IRelayRewards.Withdrawn(wallet, stranger, all);
        vm.prank(wallet);
        assertEq(relay.withdraw(stranger), all);
        assertEq(mct.balanceOf(stranger), all);
        assertEq(relay.balanceOf(wallet), 0);
        assertEq(relay.getUpkeep(node).earned, 0);
        assertEq(relay.nodeOf(wallet), node);
    }
}
