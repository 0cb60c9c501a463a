// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IReputationSystem, Score} from "../src/interfaces/IReputationSystem.sol";
import {ReputationSystem} from "../src/ReputationSystem.sol";
import {FeesDouble} from "./mocks/FeesDouble.sol";

contract ReputationSystemTest is Test {
    uint256 private constant HALF_LIFE = 30 days;
    /// A multiple of the half-life, from which the lines fall.
    uint256 private constant START = 700 * HALF_LIFE;
    address private constant USDC = address(0xCC);

    address private _host = makeAddr("host");
    address private _stranger = makeAddr("stranger");
    FeesDouble private _market;
    ReputationSystem private _reputation;

    function setUp() public {
        vm.warp(START);
        _market = new FeesDouble();
        _reputation = new ReputationSystem(address(_market));
    }

    function test_constructorRefusesNoMarketplace() public {
        vm.expectRevert(IReputationSystem.ZeroMarketplace.selector);
        new ReputationSystem(address(0));
    }

    function test_saysWhatItIs() public view {
        assertEq(_reputation.MARKETPLACE(), address(_market));
        assertEq(_reputation.HALF_LIFE(), HALF_LIFE);
        assertEq(_reputation.interfaceVersion(), keccak256("capstan.ReputationSystem.v1"));
    }

    function test_refusesFaultsFromAnybodyButTheMarketplace() public {
        address[2] memory callers = [_stranger, _host];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IReputationSystem.NotMarketplace.selector, callers[i]));
            _reputation.recordFault(_host, USDC, 1);
        }
    }

    // --- decay

    function test_halvesEveryHalfLifeAndFallsStraightBetween() public {
        _fail(1000e18);
        uint256[7] memory ages =
            [uint256(0), HALF_LIFE / 2, HALF_LIFE - 1, HALF_LIFE, HALF_LIFE * 3 / 2, 2 * HALF_LIFE, 3 * HALF_LIFE];
        uint256[7] memory left = [
            uint256(1000e18),
            750e18,
            // Half, and what one second is still above it; rounded down.
            1000e18 * (HALF_LIFE + 1) / (2 * HALF_LIFE),
            500e18,
            375e18,
            250e18,
            125e18
        ];
        for (uint256 i = 0; i < ages.length; ++i) {
            vm.warp(START + ages[i]);
            assertEq(_score().fault, left[i]);
        }
    }

    function test_isGoneAfterTheLastOf128Halvings() public {
        _fail(type(uint128).max);
        vm.warp(START + 127 * HALF_LIFE);
        assertEq(_score().fault, 1);
        vm.warp(START + 128 * HALF_LIFE);
        assertEq(_score().fault, 0);
        vm.warp(START + 10_000 * HALF_LIFE);
        assertEq(_score().fault, 0);
    }

    /// Over one half-life it is the half, whatever the day it began on.
    function test_halvesFromAnyDay(uint128 weight, uint32 offset) public {
        vm.warp(START + offset);
        _fail(weight);
        assertEq(_score().fault, weight);
        vm.warp(START + offset + HALF_LIFE);
        assertEq(_score().fault, weight / 2);
        vm.warp(START + offset + 5 * HALF_LIFE);
        assertEq(_score().fault, weight / 32);
    }

    function test_neverGrowsWithAge(uint128 weight, uint32 offset, uint32 age, uint32 more) public {
        vm.warp(START + offset);
        _fail(weight);
        vm.warp(START + offset + age);
        uint128 before = _score().fault;
        assertLe(before, weight);
        vm.warp(START + offset + uint256(age) + more);
        assertLe(_score().fault, before);
    }

    /// However often somebody takes a record over, it fades as one that nobody touched.
    function test_doesNotFadeSlowerForBeingSyncedDaily(uint32 offset) public {
        vm.warp(START + offset);
        address idle = makeAddr("idle");
        _fail(1000e18);
        _market.fail(_reputation, idle, USDC, 1000e18);
        for (uint256 day = 1; day <= 45; ++day) {
            vm.warp(START + offset + day * 1 days);
            _reputation.sync(_host, USDC);
        }
        uint128 untouched = _reputation.scoreOf(idle, USDC).fault;
        assertLe(_score().fault, untouched);
        // A base unit for each time it was rounded.
        assertApproxEqAbs(_score().fault, untouched, 46);
    }

    // --- merit

    function test_whatNobodyEverTookOverCountsAsAHalfLifeOld(uint32 offset) public {
        vm.warp(START + offset);
        _bring(1001);
        assertEq(_score().merit, 500);
        vm.warp(START + offset + 10 * HALF_LIFE);
        assertEq(_score().merit, 500);
        vm.expectEmit(address(_reputation));
        emit IReputationSystem.ScoreSynced(_host, USDC, 500, 0);
        vm.prank(_stranger);
        _reputation.sync(_host, USDC);
        assertEq(_score().merit, 500);
        vm.warp(START + offset + 11 * HALF_LIFE);
        assertEq(_score().merit, 250);
    }

    function test_countsFromTheFirstSecondOfAChain() public {
        vm.warp(1);
        _bring(1000);
        assertEq(_score().merit, 500);
        _reputation.sync(_host, USDC);
        assertEq(_score().merit, 500);
    }

    function test_whatWasEarnedSinceCountsAsOldAsTheLastTime() public {
        _reputation.sync(_host, USDC);
        vm.warp(START + 10 days);
        _bring(1200);
        // A third of the way down to the half.
        assertEq(_score().merit, 1000);
        vm.warp(START + HALF_LIFE);
        assertEq(_score().merit, 600);
        _reputation.sync(_host, USDC);
        assertEq(_score().merit, 600);
        // Taken over now, so new work counts whole.
        _bring(400);
        assertEq(_score().merit, 1000);
        _reputation.sync(_host, USDC);
        _reputation.sync(_host, USDC);
        assertEq(_score().merit, 1000);
        vm.warp(START + 2 * HALF_LIFE);
        assertEq(_score().merit, 500);
    }

    function test_everySyncSaysTheRecordAfterIt() public {
        _reputation.sync(_host, USDC);
        _bring(700);
        vm.expectEmit(address(_reputation));
        emit IReputationSystem.FaultRecorded(_host, USDC, 300);
        vm.expectEmit(address(_reputation));
        emit IReputationSystem.ScoreSynced(_host, USDC, 700, 300);
        _fail(300);
        vm.warp(START + HALF_LIFE);
        vm.expectEmit(address(_reputation));
        emit IReputationSystem.ScoreSynced(_host, USDC, 350, 150);
        _reputation.sync(_host, USDC);
    }

    // --- faults

    function test_aFaultTakesTheMeritOverToo() public {
        _bring(1000);
        _fail(10);
        // The first time: a half-life old.
        assertEq(_score().merit, 500);
        _bring(100);
        _fail(0);
        assertEq(_score().merit, 600);
        assertEq(_score().fault, 10);
    }

    function test_oldFaultsFadeAndTheNewOneCountsWhole() public {
        _fail(1000);
        vm.warp(START + HALF_LIFE);
        _fail(1000);
        assertEq(_score().fault, 1500);
    }

    function test_staysAtTheEndOfItsRange() public {
        _fail(type(uint128).max);
        _fail(1);
        assertEq(_score().fault, type(uint128).max);
        _fail(type(uint128).max);
        assertEq(_score().fault, type(uint128).max);
        vm.warp(START + HALF_LIFE);
        // 2^127 - 1 is left: to the last unit before the end, and over it.
        _fail(uint128(1) << 127);
        assertEq(_score().fault, type(uint128).max);
        vm.warp(START + 2 * HALF_LIFE);
        _fail((uint128(1) << 127) - 1);
        assertEq(_score().fault, type(uint128).max - 1);
    }

    function test_hostsAndTokensAreKeptApart() public {
        _fail(1000);
        _bring(1000);
        Score memory none = _reputation.scoreOf(_stranger, USDC);
        assertEq(none.merit + none.fault, 0);
        none = _reputation.scoreOf(_host, address(0));
        assertEq(none.merit + none.fault, 0);
    }

    // --- readings

    function test_scoresComeInTheOrderAsked() public {
        address[] memory hosts = new address[](3);
        (hosts[0], hosts[1], hosts[2]) = (_stranger, _host, _stranger);
        _fail(7);
        _bring(8);
        _market.bring(_stranger, USDC, 20);
        Score[] memory scores = _reputation.scoresOf(hosts, USDC);
        assertEq(scores.length, 3);
        assertEq(scores[0].merit, 10);
        assertEq(scores[0].fault, 0);
        assertEq(scores[1].merit, 8);
        assertEq(scores[1].fault, 7);
        assertEq(scores[2].merit, 10);
        assertEq(_reputation.scoresOf(new address[](0), USDC).length, 0);
    }

    function test_qualityIsTheShareOfMerit() public {
        assertEq(_reputation.qualityOf(_host, USDC), 0);
        _fail(2);
        assertEq(_reputation.qualityOf(_host, USDC), 0);
        _bring(1);
        assertEq(_reputation.qualityOf(_host, USDC), 3333);
        _bring(1);
        assertEq(_reputation.qualityOf(_host, USDC), 5000);
        _market.bring(_stranger, USDC, 2);
        assertEq(_reputation.qualityOf(_stranger, USDC), 10_000);
    }

    function test_qualityHoldsAtTheEndsOfTheRange() public {
        _reputation.sync(_host, USDC);
        _bring(type(uint128).max);
        assertEq(_reputation.qualityOf(_host, USDC), 10_000);
        _fail(type(uint128).max);
        assertEq(_reputation.qualityOf(_host, USDC), 5000);
    }

    function test_qualityIsAShare(uint128 merit, uint128 fault) public {
        _reputation.sync(_host, USDC);
        _bring(merit);
        _fail(fault);
        uint256 whole = uint256(merit) + fault;
        assertEq(_reputation.qualityOf(_host, USDC), whole == 0 ? 0 : uint256(merit) * 10_000 / whole);
    }

    function _fail(uint128 weight) private {
        _market.fail(_reputation, _host, USDC, weight);
    }

    function _bring(uint128 fees) private {
        _market.bring(_host, USDC, fees);
    }

    function _score() private view returns (Score memory) {
        return _reputation.scoreOf(_host, USDC);
    }
}
