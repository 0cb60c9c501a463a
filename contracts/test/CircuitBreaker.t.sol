// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";
import {CircuitBreaker} from "../src/CircuitBreaker.sol";
import {ICircuitBreaker} from "../src/interfaces/ICircuitBreaker.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {Door} from "./mocks/Door.sol";

contract CircuitBreakerTest is Test {
    uint40 private constant START = 1_800_000_000;
    uint40 private constant LENGTH = 3 days;
    uint40 private constant COOLDOWN = 14 days;
    address private _owner = makeAddr("owner");
    address private _guardian = makeAddr("guardian");
    address private _other = makeAddr("other guardian");
    address private _stranger = makeAddr("stranger");
    CircuitBreaker private _breaker;
    Door private _front;
    Door private _back;

    function setUp() public {
        vm.warp(START);
        address[] memory guardians = new address[](2);
        (guardians[0], guardians[1]) = (_guardian, _other);
        _breaker = new CircuitBreaker(_owner, guardians);
        _front = new Door(address(_breaker));
        _back = new Door(address(_breaker));
    }

    // --- constructor

    function test_constructorRefusesBadParameters() public {
        address[] memory guardians = new address[](2);
        guardians[0] = _guardian;
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.makeBreaker(address(0), guardians);
        vm.expectRevert(ICircuitBreaker.ZeroGuardian.selector);
        this.makeBreaker(_owner, guardians);
        guardians[1] = _guardian;
        vm.expectRevert(abi.encodeWithSelector(ICircuitBreaker.GuardianUnchanged.selector, _guardian, true));
        this.makeBreaker(_owner, guardians);
    }

    function test_constructorNamesOwnerAndGuardians() public {
        address[] memory guardians = new address[](1);
        guardians[0] = _stranger;
        vm.expectEmit();
        emit ICircuitBreaker.GuardianSet(_stranger, true);
        CircuitBreaker breaker = new CircuitBreaker(_owner, guardians);
        assertEq(breaker.owner(), _owner);
        assertTrue(breaker.isGuardian(_stranger));
        assertFalse(breaker.isGuardian(_guardian));
        assertTrue(_breaker.isGuardian(_guardian) && _breaker.isGuardian(_other));
        assertEq(breaker.interfaceVersion(), keccak256("capstan.CircuitBreaker.v1"));
        new CircuitBreaker(_owner, new address[](0));
    }

    // --- pause

    function test_pauseRefusesAnybodyButGuardians(address caller) public {
        vm.assume(caller != _guardian && caller != _other);
        _refusesPause(caller);
        _refusesPause(_owner);
    }

    function test_pauseRefusesNoTargets() public {
        vm.prank(_guardian);
        vm.expectRevert(ICircuitBreaker.NoTargets.selector);
        _breaker.pause(new address[](0));
    }

    function test_pausePausesEveryTarget() public {
        vm.expectEmit(address(_front));
        emit IEntryPause.EntryPaused(START + LENGTH);
        vm.expectEmit(address(_back));
        emit IEntryPause.EntryPaused(START + LENGTH);
        vm.prank(_guardian);
        _breaker.pause(_both());
        assertEq(_front.pausedUntil(), START + LENGTH);
        assertEq(_back.pausedUntil(), START + LENGTH);
    }

    function test_pauseOfOneLeavesTheOther() public {
        vm.prank(_other);
        _breaker.pause(_only(_back));
        assertEq(_front.pausedUntil(), 0);
        assertEq(_back.pausedUntil(), START + LENGTH);
    }

    function test_pauseRevertsAsAWhole() public {
        vm.prank(_guardian);
        _breaker.pause(_only(_back));
        vm.prank(_other);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.PauseCooldown.selector, START + LENGTH + COOLDOWN));
        _breaker.pause(_both());
        assertEq(_front.pausedUntil(), 0);
    }

    /// Another guardian is no way round the cooldown.
    function test_cooldownIsTheTargets() public {
        vm.prank(_guardian);
        _breaker.pause(_both());
        vm.warp(START + LENGTH + COOLDOWN - 1);
        vm.prank(_other);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.PauseCooldown.selector, START + LENGTH + COOLDOWN));
        _breaker.pause(_both());
        vm.warp(START + LENGTH + COOLDOWN);
        vm.prank(_other);
        _breaker.pause(_both());
        assertEq(_front.pausedUntil(), START + LENGTH + COOLDOWN + LENGTH);
    }

    // --- resume

    function test_resumeRefusesAnybodyButTheOwner(address caller) public {
        vm.assume(caller != _owner);
        vm.prank(_guardian);
        _breaker.pause(_both());
        _refusesResume(caller);
        _refusesResume(_guardian);
    }

    function test_resumeRefusesNoTargets() public {
        vm.prank(_owner);
        vm.expectRevert(ICircuitBreaker.NoTargets.selector);
        _breaker.resume(new address[](0));
    }

    function test_resumeRevertsAsAWhole() public {
        vm.prank(_guardian);
        _breaker.pause(_only(_front));
        vm.prank(_owner);
        vm.expectRevert(IEntryPause.NotPaused.selector);
        _breaker.resume(_both());
        assertEq(_front.pausedUntil(), START + LENGTH);
    }

    function test_resumeEndsEveryPause() public {
        vm.prank(_guardian);
        _breaker.pause(_both());
        vm.warp(START + 1);
        vm.expectEmit(address(_front));
        emit IEntryPause.EntryResumed();
        vm.expectEmit(address(_back));
        emit IEntryPause.EntryResumed();
        vm.prank(_owner);
        _breaker.resume(_both());
        assertEq(_front.pausedUntil(), START + 1);
        assertEq(_back.pausedUntil(), START + 1);
    }

    // --- setGuardian

    function test_setGuardianRefusesAnybodyButTheOwner(address caller) public {
        vm.assume(caller != _owner);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        _breaker.setGuardian(_stranger, true);
        vm.prank(_guardian);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, _guardian));
        _breaker.setGuardian(_other, false);
    }

    function test_setGuardianRefusesZeroAndNoChange(address account) public {
        vm.assume(account != address(0) && account != _guardian && account != _other);
        vm.startPrank(_owner);
        vm.expectRevert(ICircuitBreaker.ZeroGuardian.selector);
        _breaker.setGuardian(address(0), true);
        vm.expectRevert(abi.encodeWithSelector(ICircuitBreaker.GuardianUnchanged.selector, _guardian, true));
        _breaker.setGuardian(_guardian, true);
        vm.expectRevert(abi.encodeWithSelector(ICircuitBreaker.GuardianUnchanged.selector, account, false));
        _breaker.setGuardian(account, false);
    }

    function test_setGuardianNamesAndDismisses() public {
        vm.startPrank(_owner);
        vm.expectEmit(address(_breaker));
        emit ICircuitBreaker.GuardianSet(_stranger, true);
        _breaker.setGuardian(_stranger, true);
        vm.expectEmit(address(_breaker));
        emit ICircuitBreaker.GuardianSet(_guardian, false);
        _breaker.setGuardian(_guardian, false);
        vm.stopPrank();
        assertTrue(_breaker.isGuardian(_stranger));
        assertFalse(_breaker.isGuardian(_guardian));
        _refusesPause(_guardian);
        vm.prank(_stranger);
        _breaker.pause(_both());
        assertEq(_front.pausedUntil(), START + LENGTH);
    }

    function test_ownershipMovesInTwoSteps() public {
        vm.prank(_owner);
        _breaker.transferOwnership(_stranger);
        assertEq(_breaker.owner(), _owner);
        vm.prank(_stranger);
        _breaker.acceptOwnership();
        assertEq(_breaker.owner(), _stranger);
    }

    // --- inner

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeBreaker(address owner_, address[] memory guardians) external returns (CircuitBreaker) {
        return new CircuitBreaker(owner_, guardians);
    }

    function _both() private view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(_front), address(_back));
    }

    function _only(Door door) private pure returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(door);
    }

    function _refusesPause(address caller) private {
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(ICircuitBreaker.NotGuardian.selector, caller));
        _breaker.pause(_both());
    }

    function _refusesResume(address caller) private {
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        _breaker.resume(_both());
    }
}
