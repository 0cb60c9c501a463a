// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {EntryPause} from "../src/EntryPause.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {Door} from "./mocks/Door.sol";

contract EntryPauseTest is Test {
    uint40 private constant START = 1_800_000_000;
    uint40 private constant LENGTH = 3 days;
    uint40 private constant COOLDOWN = 14 days;
    address private _breaker = makeAddr("breaker");
    address private _guest = makeAddr("guest");
    Door private _door;

    function setUp() public {
        vm.warp(START);
        _door = new Door(_breaker);
    }

    function test_constructorRefusesZero() public {
        vm.expectRevert(EntryPause.ZeroCircuitBreaker.selector);
        new Door(address(0));
    }

    function test_startsOpen() public {
        assertEq(_door.CIRCUIT_BREAKER(), _breaker);
        assertEq(_door.PAUSE_LENGTH(), LENGTH);
        assertEq(_door.PAUSE_COOLDOWN(), COOLDOWN);
        assertEq(_door.pausedUntil(), 0);
        _assertOpen();
    }

    // --- pauseEntry

    function test_pauseRefusesAnybodyButTheBreaker(address caller) public {
        vm.assume(caller != _breaker);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.NotCircuitBreaker.selector, caller));
        _door.pauseEntry();
        assertEq(_door.pausedUntil(), 0);
    }

    function test_pauseHoldsFromTheFirstToTheLastSecond() public {
        vm.expectEmit(address(_door));
        emit IEntryPause.EntryPaused(START + LENGTH);
        _pause();
        assertEq(_door.pausedUntil(), START + LENGTH);
        _assertPaused(START + LENGTH);
        vm.warp(START + LENGTH - 1);
        _assertPaused(START + LENGTH);
        vm.warp(START + LENGTH);
        _assertOpen();
    }

    function test_pauseTouchesNoExit() public {
        vm.prank(_guest);
        _door.enter();
        _pause();
        vm.prank(_guest);
        _door.depart();
        assertFalse(_door.isInside(_guest));
    }

    function test_pauseIsNotProlongedWhileItRuns(uint40 time) public {
        _pause();
        vm.warp(bound(time, START, START + LENGTH - 1));
        _refusesPause(START + LENGTH + COOLDOWN);
        assertEq(_door.pausedUntil(), START + LENGTH);
    }

    function test_pauseIsRefusedUntilTheCooldownIsOver() public {
        _pause();
        uint40 cool = START + LENGTH + COOLDOWN;
        vm.warp(START + LENGTH);
        _refusesPause(cool);
        vm.warp(cool - 1);
        _refusesPause(cool);
        _assertOpen();
        vm.warp(cool);
        vm.expectEmit(address(_door));
        emit IEntryPause.EntryPaused(cool + LENGTH);
        _pause();
        _assertPaused(cool + LENGTH);
        vm.warp(cool + LENGTH);
        _refusesPause(cool + LENGTH + COOLDOWN);
    }

    /// Before any pause there is nothing to cool down from, on a chain whose clock has just begun too.
    function test_firstPauseNeedsNoCooldown(uint40 time) public {
        time = uint40(bound(time, 1, type(uint40).max - LENGTH));
        vm.warp(time);
        _pause();
        assertEq(_door.pausedUntil(), time + LENGTH);
    }

    // --- resumeEntry

    function test_resumeRefusesAnybodyButTheBreaker(address caller) public {
        vm.assume(caller != _breaker);
        _pause();
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.NotCircuitBreaker.selector, caller));
        _door.resumeEntry();
    }

    function test_resumeRefusesIfNotPaused() public {
        _refusesResume();
        _pause();
        vm.warp(START + LENGTH);
        _refusesResume();
        assertEq(_door.pausedUntil(), START + LENGTH);
    }

    function test_resumeEndsAPauseAtOnce(uint40 time) public {
        _pause();
        time = uint40(bound(time, START, START + LENGTH - 1));
        vm.warp(time);
        vm.expectEmit(address(_door));
        emit IEntryPause.EntryResumed();
        _resume();
        assertEq(_door.pausedUntil(), time);
        _assertOpen();
        _refusesResume();
    }

    function test_resumeWorksInTheLastSecond() public {
        _pause();
        vm.warp(START + LENGTH - 1);
        _resume();
        _assertOpen();
    }

    function test_cooldownCountsFromTheResumption() public {
        _pause();
        vm.warp(START + 1 hours);
        _resume();
        uint40 cool = START + 1 hours + COOLDOWN;
        vm.warp(cool - 1);
        _refusesPause(cool);
        vm.warp(cool);
        _pause();
        _assertPaused(cool + LENGTH);
    }

    /// Whatever guardians and governance do, entry is open for most of any long time.
    function test_pausesCannotBeStrungTogether(uint8[40] calldata waits) public {
        uint256 pausedFor;
        for (uint256 i = 0; i < waits.length; ++i) {
            uint256 until = _door.pausedUntil();
            uint256 wait = uint256(waits[i]) * 1 hours;
            if (until > block.timestamp) {
                pausedFor += until - block.timestamp < wait ? until - block.timestamp : wait;
            }
            vm.warp(block.timestamp + wait);
            vm.prank(_breaker);
            try _door.pauseEntry() {} catch {}
        }
        uint256 rounds = (block.timestamp - START) / (LENGTH + COOLDOWN) + 1;
        assertLe(pausedFor, rounds * LENGTH);
    }

    // --- inner

    function _pause() private {
        vm.prank(_breaker);
        _door.pauseEntry();
    }

    function _resume() private {
        vm.prank(_breaker);
        _door.resumeEntry();
    }

    function _refusesPause(uint40 until) private {
        vm.prank(_breaker);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.PauseCooldown.selector, until));
        _door.pauseEntry();
    }

    function _refusesResume() private {
        vm.prank(_breaker);
        vm.expectRevert(IEntryPause.NotPaused.selector);
        _door.resumeEntry();
    }

    function _assertOpen() private {
        vm.startPrank(_guest);
        _door.enter();
        assertTrue(_door.isInside(_guest));
        _door.depart();
        vm.stopPrank();
    }

    function _assertPaused(uint40 until) private {
        vm.prank(_guest);
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, until));
        _door.enter();
        assertFalse(_door.isInside(_guest));
    }
}
