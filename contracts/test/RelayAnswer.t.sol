// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {MerkleMultiproof} from "../src/libraries/MerkleMultiproof.sol";
import {ChallengeStatus, Commitment, NodeStatus} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";
import {Trees} from "./mocks/Trees.sol";

/// @title answerChallenge, sampleIndices.
contract RelayAnswerTest is RelayFixture {
    using Trees for Trees.Sparse;
    using Trees for Trees.Uniform;

    bytes32 private constant SEED = keccak256("seed");
    Trees.Sparse private _tree;
    Commitment private _committed;

    /// @dev Challenged on a tree that can answer SEED.
    function setUp() public override {
        super.setUp();
        _open(BRONZE_LEAVES + 12_345, SEED);
        _mineSeed(node, SEED);
    }

    function _open(uint64 leafCount, bytes32 seed) private {
        _tree = _sparse(node, leafCount, seed);
        _committed = _commit(node, _tree.root(), leafCount);
        _challenge(node, _committed);
    }

    function _answer() private {
        relay.answerChallenge(node, _committed, _tree.answersOf(), _tree.proofOf());
    }

    // --- refusals

    function test_refusesWithoutAChallenge() public {
        bytes32 other = _nodeId(wallet, 2);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, other));
        relay.answerChallenge(other, _committed, "", new bytes32[](0));
    }

    function test_refusesAfterTheDeadline() public {
        relay.pinSeed(node);
        uint40 deadline = relay.getChallenge(node).openedAt + 12 hours;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.AnswerWindowOver.selector, deadline));
        _answer();
        vm.warp(deadline);
        _answer();
    }

    function test_refusesAnotherCommitment() public {
        bytes memory refusal = abi.encodeWithSelector(IRelayChallenges.WrongCommitment.selector, node);
        Commitment memory good = _committed;
        _committed.root = "other";
        vm.expectRevert(refusal);
        _answer();
        _committed = good;
        _committed.leafCount += 1;
        vm.expectRevert(refusal);
        _answer();
        _committed = good;
        _committed.epoch -= 1;
        vm.expectRevert(refusal);
        _answer();
        _committed = good;
        _answer();
    }

    function test_refusesBeforeTheSeedIsKnown() public {
        uint40 seedBlock = relay.getChallenge(node).seedBlock;
        vm.roll(seedBlock);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.SeedUnavailable.selector, seedBlock));
        _answer();
    }

    function test_refusesUnpinnedAfterThePinWindow() public {
        uint40 end = relay.getChallenge(node).openedAt + 1 hours;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.PinWindowOver.selector, end));
        _answer();
        vm.warp(end);
        _answer();
    }

    function test_refusesWrongLengths() public {
        bytes memory leaves = _tree.answersOf();
        bytes32[] memory siblings = _tree.proofOf();
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.WrongLeavesLength.selector, 1281, 1280));
        relay.answerChallenge(node, _committed, abi.encodePacked(leaves, bytes1(0)), siblings);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.WrongLeavesLength.selector, 0, 1280));
        relay.answerChallenge(node, _committed, "", siblings);
        uint256 count = siblings.length;
        bytes32[] memory more = new bytes32[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            more[i] = siblings[i];
        }
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.UnusedSiblings.selector, count, count + 1));
        relay.answerChallenge(node, _committed, leaves, more);
        assembly {
            mstore(siblings, sub(count, 1))
        }
        vm.expectRevert(MerkleMultiproof.MissingSibling.selector);
        relay.answerChallenge(node, _committed, leaves, siblings);
    }

    /// One bit of one leaf or sibling is enough.
    function test_refusesAWrongProof(uint256 where) public {
        bytes memory leaves = _tree.answersOf();
        bytes32[] memory siblings = _tree.proofOf();
        uint256 place = (where >> 1) % (where & 1 == 0 ? leaves.length : siblings.length);
        if (where & 1 == 0) leaves[place] ^= 0x01;
        else siblings[place] ^= bytes32(uint256(1));
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.WrongProof.selector, _committed.root));
        relay.answerChallenge(node, _committed, leaves, siblings);
    }

    /// Leaves that the tree has, but that were not asked for.
    function test_refusesOtherSamples() public {
        Trees.Sparse memory tree = _sparse(node, _committed.leafCount, SEED);
        tree.indices[2] ^= 1;
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.WrongProof.selector, _committed.root));
        relay.answerChallenge(node, _committed, tree.answersOf(), tree.proofOf());
    }

    // --- answers

    function test_answers() public {
        relay.pinSeed(node);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeAnswered(node, challenger);
        vm.prank(stranger);
        _answer();
        assertEq(relay.balanceOf(wallet), BOND);
        assertEq(relay.getUpkeep(node).earned, BOND);
        assertEq(relay.balanceOf(challenger), 0);
        assertEq(relay.rewardReserve(), 0);
        assertEq(relay.getNode(node).stake, BRONZE_STAKE);
        assertEq(relay.getNode(node).missedAt, 0);
        _assertStatus(node, NodeStatus.Serving);
        _assertChallenge(node, ChallengeStatus.None);
        assertEq(relay.getChallenge(node).commitmentHash, 0);
        assertEq(relay.getChallenge(node).seed, 0);
        vm.expectRevert(abi.encodeWithSelector(IRelayChallenges.NoChallenge.selector, node));
        _answer();
        vm.prank(wallet);
        relay.withdraw(wallet);
        assertEq(mct.balanceOf(wallet), BOND);
    }

    function test_answersWithoutAPin() public {
        vm.expectEmit(address(relay));
        emit IRelayChallenges.SeedPinned(node, SEED);
        vm.expectEmit(address(relay));
        emit IRelayChallenges.ChallengeAnswered(node, challenger);
        _answer();
        _assertChallenge(node, ChallengeStatus.None);
    }

    /// A pinned seed counts, whatever the chain still remembers.
    function test_pinnedSeedStays() public {
        relay.pinSeed(node);
        vm.roll(block.number + 10_000);
        skip(11 hours);
        _answer();
    }

    /// Any tree a node may commit, any seed.
    function test_answersAnyTree(uint64 leafCount, bytes32 seed) public {
        vm.assume(seed != 0);
        _answer();
        _nextEpoch();
        leafCount = uint64(bound(leafCount, BRONZE_LEAVES, 2 ** 32));
        _open(leafCount, seed);
        _pin(node, seed);
        _answer();
        assertEq(relay.balanceOf(wallet), 2 * BOND);
    }

    /// A node that missed one may challenge itself, and earns again for the price of gas.
    function test_answerEndsASuspension() public {
        _answer();
        _nextEpoch();
        _miss(node);
        _assertStatus(node, NodeStatus.Suspended);
        vm.prank(challenger);
        relay.addStake(node, 5e18);
        _nextEpoch();
        Commitment memory commitment = _commitUniform(node);
        assertEq(relay.getUpkeep(node).weight, 0);
        _fund(wallet, BOND);
        vm.prank(wallet);
        relay.challengeNode(node, commitment);
        _pin(node, "own challenge");
        _answerUniform(node, commitment);
        _assertStatus(node, NodeStatus.Serving);
        assertGt(relay.getNode(node).missedAt, 0);
        _nextEpoch();
        _commitUniform(node);
        assertEq(relay.getUpkeep(node).weight, 1_000_000);
    }

    // --- samples

    function test_samplesAreOnePerPart(bytes32 id, uint64 leafCount, bytes32 seed) public view {
        leafCount = uint64(bound(leafCount, BRONZE_LEAVES, 2 ** 32));
        uint256[] memory indices = relay.sampleIndices(id, leafCount, seed);
        assertEq(indices, _samples(id, leafCount, seed));
        assertEq(indices.length, 5);
        for (uint256 i = 0; i < 5; ++i) {
            assertGe(indices[i], i * leafCount / 5);
            assertLt(indices[i], (i + 1) * leafCount / 5);
        }
    }
}
