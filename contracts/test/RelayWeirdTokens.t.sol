// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {RelayManager} from "../src/RelayManager.sol";
import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {IRelayManager} from "../src/interfaces/IRelayManager.sol";
import {IRelayNodes} from "../src/interfaces/IRelayNodes.sol";
import {IRelayRewards} from "../src/interfaces/IRelayRewards.sol";
import {Commitment, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";
import {NoReturnToken, WeirdToken} from "./mocks/WeirdToken.sol";

/// @title Stake tokens that do not do what ERC-20 promises.
contract RelayWeirdTokensTest is RelayFixture {
    WeirdToken private _weird;
    Commitment private _committed;
    address private _purse = makeAddr("purse");

    /// @dev The same node on a manager whose token misbehaves.
    function setUp() public override {
        super.setUp();
        _weird = new WeirdToken();
        relay = new RelayManager(_weird, owner, breaker);
        _hold(wallet);
        _hold(challenger);
        vm.prank(wallet);
        relay.registerNodeWithId(node, machine, Tier.Bronze, GB, ENDPOINT);
        _committed = _commitUniform(node);
    }

    function _hold(address who) private {
        _weird.mint(who, 10_000e18);
        vm.prank(who);
        _weird.approve(address(relay), type(uint256).max);
    }

    /// @dev Every way in, as wallet and challenger would take it.
    function _waysIn() private view returns (address[] memory callers, bytes[] memory calls) {
        callers = new address[](5);
        calls = new bytes[](5);
        callers[0] = challenger;
        calls[0] = abi.encodeCall(
            IRelayNodes.registerNodeWithId,
            (_nodeId(challenger, 1), _machineId(challenger, 1), Tier.Bronze, GB, ENDPOINT)
        );
        callers[1] = wallet;
        calls[1] = abi.encodeCall(IRelayNodes.changeTier, (node, Tier.Silver, 4 * GB));
        callers[2] = challenger;
        calls[2] = abi.encodeCall(IRelayNodes.addStake, (node, 100e18));
        callers[3] = challenger;
        calls[3] = abi.encodeCall(IRelayRewards.fundRewards, (100e18));
        callers[4] = challenger;
        calls[4] = abi.encodeCall(IRelayChallenges.challengeNode, (node, _committed));
    }

    function test_feeOnTransferIsRefusedOnEveryWayIn() public {
        (address[] memory callers, bytes[] memory calls) = _waysIn();
        uint96[5] memory asked = [BRONZE_STAKE, 400e18, 100e18, 100e18, BOND];
        _weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(callers[i]);
            (bool ok, bytes memory answer) = address(relay).call(calls[i]);
            assertFalse(ok);
            assertEq(
                answer,
                abi.encodeWithSelector(
                    IRelayManager.UnexpectedTransferAmount.selector, asked[i] - asked[i] / 100, asked[i]
                )
            );
        }
    }

    /// A token that brings more than was asked for would leave money here that is nobody's.
    function test_moreThanAskedIsRefusedOnEveryWayIn() public {
        (address[] memory callers, bytes[] memory calls) = _waysIn();
        uint96[5] memory asked = [BRONZE_STAKE, 400e18, 100e18, 100e18, BOND];
        _weird.setHook(address(_weird), abi.encodeCall(WeirdToken.mint, (address(relay), 1)));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(callers[i]);
            (bool ok, bytes memory answer) = address(relay).call(calls[i]);
            assertFalse(ok);
            assertEq(
                answer, abi.encodeWithSelector(IRelayManager.UnexpectedTransferAmount.selector, asked[i] + 1, asked[i])
            );
        }
    }

    function test_falseIsRefusedOnEveryWayIn() public {
        (address[] memory callers, bytes[] memory calls) = _waysIn();
        _weird.setMode(WeirdToken.Mode.ReturnsFalse);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(callers[i]);
            (bool ok, bytes memory answer) = address(relay).call(calls[i]);
            assertFalse(ok);
            assertEq(answer, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_weird)));
        }
    }

    /// A token with hooks finds every door that moves money shut, from within every other.
    function test_hooksCannotEnter() public {
        (address[] memory callers, bytes[] memory calls) = _waysIn();
        for (uint256 i = 0; i < calls.length; ++i) {
            _weird.setHook(address(relay), abi.encodeCall(IRelayRewards.fundRewards, (1)));
            vm.prank(callers[i]);
            (bool ok,) = address(relay).call(calls[i]);
            assertTrue(ok);
            _assertShut();
        }
        for (uint256 i = 0; i < calls.length; ++i) {
            _weird.setHook(address(relay), calls[i]);
            vm.prank(challenger);
            relay.fundRewards(1);
            _assertShut();
        }
        _weird.setHook(address(relay), abi.encodeCall(IRelayRewards.withdraw, (_purse)));
        vm.prank(challenger);
        relay.fundRewards(1);
        _assertShut();
        _weird.setHook(address(relay), abi.encodeCall(IRelayNodes.withdrawStake, (node, _purse)));
        vm.prank(challenger);
        relay.fundRewards(1);
        _assertShut();
    }

    function test_hooksCannotEnterOnTheWayOut() public {
        vm.prank(challenger);
        relay.fundRewards(300e18);
        _nextEpoch();
        _commitUniform(node);
        _nextEpoch();
        relay.claimRewards(_one(node));
        _weird.setHook(address(relay), abi.encodeCall(IRelayRewards.fundRewards, (1)));
        vm.prank(wallet);
        relay.withdraw(_purse);
        _assertShut();
        vm.prank(wallet);
        relay.startUnbonding(node);
        skip(7 days);
        _weird.setHook(address(relay), abi.encodeCall(IRelayRewards.fundRewards, (1)));
        vm.prank(wallet);
        relay.withdrawStake(node, _purse);
        _assertShut();
    }

    function _assertShut() private view {
        assertFalse(_weird.hookSucceeded());
        assertEq(
            _weird.hookAnswer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    /// A blocklisted party holds up nobody, and takes its money elsewhere.
    function test_blockedPartiesHoldUpNobody() public {
        vm.prank(challenger);
        relay.challengeNode(node, _committed);
        _weird.blockAccount(challenger);
        _weird.blockAccount(wallet);
        _pin(node, "seed");
        skip(12 hours + 1);
        relay.failChallenge(node);
        vm.prank(challenger);
        relay.withdraw(_purse);
        assertEq(_weird.balanceOf(_purse), BOND + 2.5e18);
        vm.startPrank(wallet);
        relay.startUnbonding(node);
        skip(7 days);
        vm.expectRevert("blocked");
        relay.withdrawStake(node, wallet);
        relay.withdrawStake(node, _purse);
        assertEq(_weird.balanceOf(_purse), BOND + 2.5e18 + 95e18);
    }

    /// A token that stops working stops money only: upkeep, answers and misses go on.
    function test_revertingTokenStopsMoneyOnly() public {
        vm.prank(challenger);
        relay.challengeNode(node, _committed);
        _weird.setMode(WeirdToken.Mode.Reverts);
        _pin(node, "seed");
        _answerUniform(node, _committed);
        _nextEpoch();
        _commitUniform(node);
        vm.prank(wallet);
        relay.startUnbonding(node);
        skip(7 days);
        vm.expectRevert("reverts");
        vm.prank(wallet);
        relay.withdrawStake(node, _purse);
        _weird.setMode(WeirdToken.Mode.Normal);
        vm.prank(wallet);
        relay.withdrawStake(node, _purse);
        assertEq(_weird.balanceOf(_purse), BRONZE_STAKE + BOND);
    }

    function test_tokenWithoutAnswersWorks() public {
        NoReturnToken silent = new NoReturnToken();
        relay = new RelayManager(IERC20(address(silent)), owner, breaker);
        silent.mint(wallet, BRONZE_STAKE);
        vm.startPrank(wallet);
        silent.approve(address(relay), BRONZE_STAKE);
        relay.registerNodeWithId(node, machine, Tier.Bronze, GB, ENDPOINT);
        relay.startUnbonding(node);
        skip(7 days);
        relay.withdrawStake(node, _purse);
        assertEq(silent.balanceOf(_purse), BRONZE_STAKE);
    }
}
