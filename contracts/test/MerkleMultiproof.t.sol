// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {MerkleMultiproof} from "../src/libraries/MerkleMultiproof.sol";
import {Trees} from "./mocks/Trees.sol";

contract MultiproofHarness {
    function computeRoot(
        uint256[] memory indices,
        bytes32[] memory hashes,
        uint256 leafCount,
        bytes32[] calldata siblings
    ) external pure returns (bytes32) {
        return MerkleMultiproof.computeRoot(indices, hashes, leafCount, siblings);
    }

    function hashLeaf(bytes calldata leaf) external pure returns (bytes32) {
        return MerkleMultiproof.hashLeaf(leaf);
    }

    function hashNode(bytes32 left, bytes32 right) external pure returns (bytes32) {
        return MerkleMultiproof.hashNode(left, right);
    }
}

/// @title Multiproofs against whole trees.
contract MerkleMultiproofTest is Test {
    MultiproofHarness private _proofs = new MultiproofHarness();

    // --- refusals

    function test_refusesNoLeaves() public {
        vm.expectRevert(MerkleMultiproof.NoLeaves.selector);
        _proofs.computeRoot(new uint256[](0), new bytes32[](0), 5, new bytes32[](0));
    }

    function test_refusesUnequalLengths() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.LengthMismatch.selector, 2, 3));
        _proofs.computeRoot(_list(0, 1), new bytes32[](3), 5, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.LengthMismatch.selector, 2, 1));
        _proofs.computeRoot(_list(0, 1), new bytes32[](1), 5, new bytes32[](0));
    }

    function test_refusesIndicesOutOfOrder() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.IndicesNotAscending.selector, 1));
        _proofs.computeRoot(_list(1, 0), new bytes32[](2), 5, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.IndicesNotAscending.selector, 1));
        _proofs.computeRoot(_list(3, 3), new bytes32[](2), 5, new bytes32[](0));
        uint256[] memory indices = new uint256[](3);
        (indices[0], indices[1], indices[2]) = (1, 4, 2);
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.IndicesNotAscending.selector, 2));
        _proofs.computeRoot(indices, new bytes32[](3), 5, new bytes32[](0));
    }

    function test_refusesIndicesOutsideTheTree() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.IndexOutOfRange.selector, 5, 5));
        _proofs.computeRoot(_list(0, 5), new bytes32[](2), 5, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.IndexOutOfRange.selector, 0, 0));
        _proofs.computeRoot(new uint256[](1), new bytes32[](1), 0, new bytes32[](0));
    }

    function test_refusesTooFewAndTooManySiblings(uint256 size, uint256 set) public {
        (bytes32[][] memory levels, uint256[] memory indices) = _tree(size, set);
        bytes32[] memory siblings = Trees.siblingsOf(levels, indices);
        uint256 count = siblings.length;
        vm.expectRevert(abi.encodeWithSelector(MerkleMultiproof.UnusedSiblings.selector, count, count + 1));
        _proofs.computeRoot(indices, _hashes(levels, indices), levels[0].length, _resized(siblings, count + 1));
        if (count == 0) return;
        vm.expectRevert(MerkleMultiproof.MissingSibling.selector);
        _proofs.computeRoot(indices, _hashes(levels, indices), levels[0].length, _resized(siblings, count - 1));
    }

    // --- hashes

    function test_hashesAreDomainSeparated(bytes calldata leaf, bytes32 left, bytes32 right) public view {
        assertEq(_proofs.hashLeaf(leaf), keccak256(abi.encodePacked(hex"00", leaf)));
        assertEq(_proofs.hashNode(left, right), keccak256(abi.encodePacked(hex"01", left, right)));
    }

    /// By hand: five leaves, the fifth goes up alone twice.
    function test_shapeOfFive() public view {
        bytes32[] memory leaves = _leaves(5);
        bytes32 left = Trees.node(Trees.node(leaves[0], leaves[1]), Trees.node(leaves[2], leaves[3]));
        bytes32 root = Trees.node(left, leaves[4]);
        bytes32[] memory siblings = new bytes32[](1);
        siblings[0] = left;
        uint256[] memory indices = new uint256[](1);
        indices[0] = 4;
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = leaves[4];
        assertEq(_proofs.computeRoot(indices, hashes, 5, siblings), root);
    }

    // --- against whole trees

    /// Every size from 1 to 40; every single leaf, all leaves, and random sets.
    function test_matchesTheWholeTree() public view {
        for (uint256 size = 1; size <= 40; ++size) {
            bytes32[][] memory levels = Trees.levelsOf(_leaves(size));
            uint256 all = (1 << size) - 1;
            _check(levels, all);
            for (uint256 i = 0; i < size; ++i) {
                _check(levels, 1 << i);
            }
            for (uint256 i = 0; i < 12; ++i) {
                uint256 set = uint256(keccak256(abi.encode(size, i))) & all;
                if (set != 0) _check(levels, set);
            }
        }
    }

    function test_matchesTheWholeTreeFuzzed(uint256 size, uint256 set) public view {
        (bytes32[][] memory levels, uint256[] memory indices) = _tree(size, set);
        assertEq(_root(levels, indices, Trees.siblingsOf(levels, indices)), levels[levels.length - 1][0]);
    }

    /// A changed leaf, sibling, or claim of where a leaf is, gives another root or is refused.
    function test_mutatedProofsFail(uint256 size, uint256 set, uint256 what) public view {
        (bytes32[][] memory levels, uint256[] memory indices) = _tree(size, set);
        bytes32[] memory siblings = Trees.siblingsOf(levels, indices);
        bytes32[] memory hashes = _hashes(levels, indices);
        uint256 leafCount = levels[0].length;
        uint256 place = what >> 8;
        bytes32 flip = bytes32(uint256(1) << (place % 256));
        if (what % 5 == 0) {
            hashes[place % hashes.length] ^= flip;
        } else if (what % 5 == 1 && siblings.length != 0) {
            siblings[place % siblings.length] ^= flip;
        } else if (what % 5 == 2 && siblings.length > 1) {
            uint256 other = place % (siblings.length - 1);
            (siblings[other], siblings[other + 1]) = (siblings[other + 1], siblings[other]);
        } else if (what % 5 == 3 && hashes.length > 1) {
            uint256 other = place % (hashes.length - 1);
            (hashes[other], hashes[other + 1]) = (hashes[other + 1], hashes[other]);
        } else {
            place %= indices.length;
            uint256 next = place + 1 < indices.length ? indices[place + 1] : leafCount;
            if (indices[place] + 1 == next) return;
            indices[place] += 1;
        }
        try _proofs.computeRoot(indices, hashes, leafCount, siblings) returns (bytes32 root) {
            assertNotEq(root, levels[levels.length - 1][0]);
        } catch {}
    }

    /// No list of leaves shares its root with itself and its last leaf once more.
    function test_repeatedLastLeafChangesTheRoot() public view {
        for (uint256 size = 1; size < 40; ++size) {
            bytes32[] memory longer = _resized(_leaves(size), size + 1);
            longer[size] = longer[size - 1];
            bytes32[][] memory levels = Trees.levelsOf(_leaves(size));
            bytes32[][] memory other = Trees.levelsOf(longer);
            assertNotEq(levels[levels.length - 1][0], other[other.length - 1][0]);
        }
    }

    /// An inner node cannot be shown as a leaf: its preimage starts with another byte.
    function test_nodeIsNoLeaf() public view {
        bytes32[] memory leaves = _leaves(4);
        bytes memory inner = abi.encodePacked(leaves[0], leaves[1]);
        assertNotEq(_proofs.hashLeaf(inner), Trees.node(leaves[0], leaves[1]));
    }

    function _check(bytes32[][] memory levels, uint256 set) private view {
        uint256[] memory indices = _indices(set);
        assertEq(_root(levels, indices, Trees.siblingsOf(levels, indices)), levels[levels.length - 1][0]);
    }

    function _root(bytes32[][] memory levels, uint256[] memory indices, bytes32[] memory siblings)
        private
        view
        returns (bytes32)
    {
        return _proofs.computeRoot(indices, _hashes(levels, indices), levels[0].length, siblings);
    }

    function _tree(uint256 size, uint256 set)
        private
        pure
        returns (bytes32[][] memory levels, uint256[] memory indices)
    {
        size = bound(size, 1, 40);
        levels = Trees.levelsOf(_leaves(size));
        indices = _indices(bound(set, 1, (1 << size) - 1));
    }

    function _leaves(uint256 size) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            leaves[i] = keccak256(abi.encode("leaf", i));
        }
    }

    function _indices(uint256 set) private pure returns (uint256[] memory indices) {
        indices = new uint256[](256);
        uint256 count = 0;
        for (uint256 i = 0; i < 256; ++i) {
            if (set >> i & 1 == 1) indices[count++] = i;
        }
        assembly {
            mstore(indices, count)
        }
    }

    function _hashes(bytes32[][] memory levels, uint256[] memory indices) private pure returns (bytes32[] memory list) {
        list = new bytes32[](indices.length);
        for (uint256 i = 0; i < indices.length; ++i) {
            list[i] = levels[0][indices[i]];
        }
    }

    function _resized(bytes32[] memory list, uint256 length) private pure returns (bytes32[] memory copy) {
        copy = new bytes32[](length);
        for (uint256 i = 0; i < length && i < list.length; ++i) {
            copy[i] = list[i];
        }
    }

    function _list(uint256 first, uint256 second) private pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (first, second);
    }
}
