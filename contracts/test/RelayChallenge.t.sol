// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {Challenge, ChallengeStatus, Commitment, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title challengeNode, pinSeed, lapseChallenge.
contract RelayChallengeTest is RelayFixture {
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    Commitment private _committed;

    function setUp() public override {
        super.setUp();
        _committed = _commitUniform(node);
    }

    function _expectNotChallengeable() private {
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NotChallengeable.selector, node));
    }

    // --- challengeNode

    function test_refusesWhatWasNotCommitted() public {
        Commitment memory other = _commitment("other", BRONZE_LEAVES);
        _expectNotChallengeable();
        _challenge(node, other);
        other = _commitment(_committed.root, BRONZE_LEAVES + 1);
        _expectNotChallengeable();
        _challenge(node, other);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NotChallengeable.selector, bytes32("none")));
        _challenge("none", _committed);
    }

    function test_refusesOldCommitments() public {
        vm.warp((uint256(_committed.epoch) + 2) * 1 days);
        _expectNotChallengeable();
        _challenge(node, _committed);
        vm.warp(block.timestamp - 1);
        _challenge(node, _committed);
    }

    function test_refusesASecondAtATime() public {
        _challenge(node, _committed);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.ChallengeOpen.selector, node));
        _challenge(node, _committed);
        _pin(node, "seed");
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.ChallengeOpen.selector, node));
        _challenge(node, _committed);
    }

    function test_refusesAFifthInADay() public {
        for (uint256 i = 1; i <= 4; ++i) {
            _challenge(node, _committed);
            assertEq(relay.getChallenge(node).countToday, i);
            _pin(node, bytes32(i));
            _answerUniform(node, _committed);
        }
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.TooManyChallenges.selector, node));
        _challenge(node, _committed);
        vm.warp((uint256(_committed.epoch) + 1) * 1 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.TooManyChallenges.selector, node));
        _challenge(node, _committed);
        skip(1);
        _challenge(node, _committed);
        assertEq(relay.getChallenge(node).countToday, 1);
    }

    function test_refusesWhilePaused() public {
        vm.prank(breaker);
        relay.pauseEntry();
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, uint40(block.timestamp + 3 days)));
        _challenge(node, _committed);
    }

    function test_refusesWithoutTheBond() public {
        vm.startPrank(stranger);
        mct.approve(address(relay), BOND);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, stranger, 0, BOND));
        relay.challengeNode(node, _committed);
    }

    function test_opens() public {
        vm.roll(5000);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.NodeChallenged(node, challenger, _committed, 5004, uint40(block.timestamp + 12 hours));
        _challenge(node, _committed);
        assertEq(mct.balanceOf(challenger), 1000e18 - BOND);
        _assertEqual(
            relay.getChallenge(node),
            Challenge({
                challenger: challenger,
                openedAt: uint40(block.timestamp),
                seedBlock: 5004,
                countToday: 1,
                status: ChallengeStatus.Open,
                commitmentHash: keccak256(abi.encode(_committed)),
                seed: 0
            })
        );
    }

    /// A newer root does not undo an older one.
    function test_olderRootIsStillChallengeable() public {
        _nextEpoch();
        _commit(node, "newer", BRONZE_LEAVES);
        _challenge(node, _committed);
        _pin(node, "seed");
        // And the next commitments change nothing about the open challenge.
        _answerUniform(node, _committed);
    }

    function test_frozenRootOutlivesItsSlot() public {
        vm.warp((uint256(_committed.epoch) + 2) * 1 days - 1);
        _challenge(node, _committed);
        _pin(node, "seed");
        skip(1);
        _commit(node, "overwrites the slot", BRONZE_LEAVES);
        assertFalse(relay.isChallengeable(node, _committed));
        _answerUniform(node, _committed);
    }

    // --- pinSeed

    function test_pinRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        relay.pinSeed(node);
        _challenge(node, _committed);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedUnavailable.selector, 1004));
        relay.pinSeed(node);
        vm.roll(1004);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedUnavailable.selector, 1004));
        relay.pinSeed(node);
        _pin(node, "seed");
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.AlreadyPinned.selector, node));
        relay.pinSeed(node);
    }

    function test_pinWindowEnds() public {
        _challenge(node, _committed);
        uint40 end = uint40(block.timestamp + 1 hours);
        _mineSeed(node, "seed");
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.PinWindowOver.selector, end));
        relay.pinSeed(node);
        vm.warp(end);
        relay.pinSeed(node);
    }

    function test_pins(bytes32 seed) public {
        vm.assume(seed != 0);
        _challenge(node, _committed);
        Challenge memory before = relay.getChallenge(node);
        _mineSeed(node, seed);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.SeedPinned(node, seed);
        vm.prank(stranger);
        relay.pinSeed(node);
        before.status = ChallengeStatus.Pinned;
        before.seed = seed;
        _assertEqual(relay.getChallenge(node), before);
    }

    /// Past the 256 blocks of the opcode the history contract is asked; where there is none, the seed is lost.
    function test_historyContractReachesFurther() public {
        _challenge(node, _committed);
        vm.roll(1004 + 300);
        vm.etch(HISTORY, "");
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedUnavailable.selector, 1004));
        relay.pinSeed(node);
        // Returns the number it is asked for, plus one.
        vm.etch(HISTORY, hex"5f3560010160005260206000f3");
        relay.pinSeed(node);
        assertEq(relay.getChallenge(node).seed, bytes32(uint256(1005)));
    }

    // --- lapseChallenge

    function test_lapseRefusals() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        relay.lapseChallenge(node);
        _challenge(node, _committed);
        uint40 end = uint40(block.timestamp + 1 hours);
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.PinWindowRunning.selector, end));
        relay.lapseChallenge(node);
        _pin(node, "seed");
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.AlreadyPinned.selector, node));
        relay.lapseChallenge(node);
    }

    /// The bond goes to the reserve and not to the node, or a node could keep its own place taken for nothing.
    function test_lapses() public {
        _challenge(node, _committed);
        skip(1 hours + 1);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeLapsed(node, challenger);
        vm.prank(stranger);
        relay.lapseChallenge(node);
        assertEq(relay.rewardReserve(), BOND);
        assertEq(relay.balanceOf(wallet), 0);
        assertEq(relay.balanceOf(challenger), 0);
        assertEq(relay.getNode(node).stake, BRONZE_STAKE);
        _assertChallenge(node, ChallengeStatus.None);
        assertEq(relay.getChallenge(node).commitmentHash, 0);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        relay.lapseChallenge(node);
        _challenge(node, _committed);
        assertEq(relay.getChallenge(node).countToday, 2);
        skip(1 hours + 1);
        relay.lapseChallenge(node);
        assertEq(relay.rewardReserve(), 2 * BOND);
    }

    /// Nodes are counted one by one.
    function test_nodesAreChallengedIndependently() public {
        bytes32[] memory ids = _fleet(2, Tier.Bronze);
        for (uint256 i = 0; i < 2; ++i) {
            _challenge(ids[i], _commitUniform(ids[i]));
            assertEq(relay.getChallenge(ids[i]).countToday, 1);
        }
        _challenge(node, _committed);
    }
}
