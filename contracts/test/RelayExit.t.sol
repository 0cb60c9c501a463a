// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {IRelayManager} from "../src/interfaces/IRelayManager.sol";
import {IRelayNodes} from "../src/interfaces/IRelayNodes.sol";
import {IRelayRewards} from "../src/interfaces/IRelayRewards.sol";
import {Commitment, NodeStatus, Tier, Upkeep} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title startUnbonding, withdrawStake.
contract RelayExitTest is RelayFixture {
    address private _purse = makeAddr("purse");

    function _unbond() private {
        vm.prank(wallet);
        relay.startUnbonding(node);
    }

    function _leave() private {
        vm.prank(wallet);
        relay.withdrawStake(node, _purse);
    }

    function test_unbondingRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.ForeignNodeId.selector, node, stranger));
        vm.prank(stranger);
        relay.startUnbonding(node);
        bytes32 unknown = _nodeId(wallet, 3);
        vm.startPrank(wallet);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, unknown));
        relay.startUnbonding(unknown);
        relay.startUnbonding(node);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.startUnbonding(node);
    }

    function test_unbondingLeavesTheMachine() public {
        vm.expectEmit(address(relay));
        emit IRelayNodes.UnbondingStarted(node, uint40(block.timestamp + 7 days));
        _unbond();
        _assertStatus(node, NodeStatus.Unbonding);
        assertEq(relay.getNode(node).unbondsAt, block.timestamp + 7 days);
        assertEq(relay.getNode(node).machineIdHash, 0);
        assertEq(relay.getNode(node).stake, BRONZE_STAKE);
        assertEq(relay.machineNodeIds(machine).length, 0);
        assertEq(relay.operatorNodeCount(wallet), 0);
        assertEq(relay.nodeOf(wallet), node);
        assertEq(relay.weightOf(node), 0);
    }

    function test_withdrawalRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.ForeignNodeId.selector, node, stranger));
        vm.prank(stranger);
        relay.withdrawStake(node, stranger);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotUnbonding.selector, node));
        _leave();
        _unbond();
        uint40 unbondsAt = uint40(block.timestamp + 7 days);
        vm.warp(unbondsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.StillUnbonding.selector, unbondsAt));
        _leave();
        vm.warp(unbondsAt);
        vm.startPrank(wallet);
        vm.expectRevert(abi.encodeWithSelector(IRelayManager.WithdrawalFailed.selector, address(0)));
        relay.withdrawStake(node, address(0));
        vm.expectRevert(abi.encodeWithSelector(IRelayManager.WithdrawalFailed.selector, address(relay)));
        relay.withdrawStake(node, address(relay));
        relay.withdrawStake(node, _purse);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotUnbonding.selector, node));
        relay.withdrawStake(node, _purse);
    }

    /// Stake, earnings, and what the last epoch still owes go out together, pause or not; the wallet's own credits stay.
    function test_paysEverythingOut() public {
        _fund(wallet, 1000e18);
        relay_fund(3000e18);
        _commitUniform(node);
        _nextEpoch();
        _commitUniform(node);
        uint96 secondPot = (3000e18 - 100e18) / uint96(30);
        _unbond();
        skip(7 days);
        vm.prank(breaker);
        relay.pauseEntry();
        uint96 earned = 100e18 + secondPot;
        vm.expectEmit(address(relay));
        emit IRelayRewards.RewardSettled(node, uint40(block.timestamp / 1 days - 7), secondPot);
        vm.expectEmit(address(relay));
        emit IRelayNodes.StakeWithdrawn(node, _purse, BRONZE_STAKE, earned);
        vm.expectEmit(address(mct));
        emit IERC20.Transfer(address(relay), _purse, BRONZE_STAKE + earned);
        _leave();
        assertEq(mct.balanceOf(_purse), BRONZE_STAKE + earned);
        assertEq(mct.balanceOf(address(relay)), relay.rewardReserve());
        _assertStatus(node, NodeStatus.Exited);
        assertEq(relay.getNode(node).stake, 0);
        Upkeep memory upkeep = relay.getUpkeep(node);
        assertEq(keccak256(abi.encode(upkeep)), keccak256(abi.encode(Upkeep(0, 0, 0, 0, 0, 0))));
        assertEq(relay.endpointHash(node), 0);
        assertEq(relay.nodeOf(wallet), 0);
        assertEq(relay.balanceOf(wallet), 0);
    }

    function relay_fund(uint96 amount) private {
        mct.approve(address(relay), amount);
        relay.fundRewards(amount);
    }

    /// An id is used once; the wallet may come back under another.
    function test_idIsNeverUsedAgain() public {
        _unbond();
        skip(7 days);
        _leave();
        _fund(wallet, BRONZE_STAKE);
        vm.startPrank(wallet);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NodeIdUsed.selector, node));
        relay.registerNodeWithId(node, machine, Tier.Bronze, GB, ENDPOINT);
        relay.registerNodeWithId(_nodeId(wallet, 2), machine, Tier.Bronze, GB, ENDPOINT);
        assertEq(relay.nodeOf(wallet), _nodeId(wallet, 2));
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotActive.selector, node));
        relay.startUnbonding(node);
        vm.expectRevert(IRelayRewards.NothingCommitted.selector);
        relay.commitRoots(_one(node), _one("root"), _one(BRONZE_LEAVES));
    }

    /// What a wallet earned as a challenger is not its node's, and is there after the node has gone.
    function test_creditsOutliveTheNode() public {
        bytes32[] memory ids = _fleet(1, Tier.Bronze);
        Commitment memory commitment = _commitUniform(ids[0]);
        _fund(wallet, BOND);
        vm.prank(wallet);
        relay.challengeNode(ids[0], commitment);
        _pin(ids[0], "seed");
        skip(12 hours + 1);
        relay.failChallenge(ids[0]);
        _unbond();
        skip(7 days);
        _leave();
        assertEq(relay.balanceOf(wallet), BOND + 2.5e18);
        vm.prank(wallet);
        relay.withdraw(wallet);
        assertEq(mct.balanceOf(wallet), BOND + 2.5e18);
    }

    // --- challenges on the way out

    /// Unbonding is no way round a challenge: what was committed answers for two epochs.
    function test_unbondingNodeIsChallengeable() public {
        Commitment memory commitment = _commitUniform(node);
        _unbond();
        vm.warp((uint256(commitment.epoch) + 2) * 1 days - 1);
        _challenge(node, commitment);
        _pin(node, "seed");
        skip(12 hours + 1);
        relay.failChallenge(node);
        _assertStatus(node, NodeStatus.Unbonding);
        assertEq(relay.getNode(node).stake, 95e18);
        vm.warp(relay.getNode(node).unbondsAt);
        _leave();
        assertEq(mct.balanceOf(_purse), 95e18);
    }

    function test_unbondingNodeThatAnswersStaysUnbonding() public {
        Commitment memory commitment = _commitUniform(node);
        _unbond();
        _challenge(node, commitment);
        _pin(node, "seed");
        _answerUniform(node, commitment);
        _assertStatus(node, NodeStatus.Unbonding);
        skip(7 days);
        _leave();
        assertEq(mct.balanceOf(_purse), BRONZE_STAKE + BOND);
    }

    /// A missed challenge that nobody has collected costs its share at the exit, and holds nothing else up.
    function test_missedChallengeIsSettledAtTheExit() public {
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _pin(node, "seed");
        _unbond();
        skip(7 days);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeFailed(node, challenger, 5e18, 2.5e18);
        vm.expectEmit(address(relay));
        emit IRelayNodes.StakeWithdrawn(node, _purse, 95e18, 0);
        _leave();
        assertEq(mct.balanceOf(_purse), 95e18);
        assertEq(relay.balanceOf(challenger), BOND + 2.5e18);
        assertEq(relay.rewardReserve(), 2.5e18);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        relay.failChallenge(node);
    }

    function test_lapsedChallengeIsSettledAtTheExit() public {
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _unbond();
        skip(7 days);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeLapsed(node, challenger);
        _leave();
        assertEq(mct.balanceOf(_purse), BRONZE_STAKE);
        assertEq(relay.rewardReserve(), BOND);
        assertEq(relay.balanceOf(challenger), 0);
    }

    /// A suspended node may leave like any other.
    function test_suspendedNodeLeaves() public {
        _miss(node);
        _unbond();
        skip(7 days);
        _leave();
        assertEq(mct.balanceOf(_purse), 95e18);
    }
}
