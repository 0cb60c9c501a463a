// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Root of a binary Merkle tree from some of its leaves and the fewest siblings.
/// @notice The tree over `leafCount` leaves: a leaf's hash is keccak256(0x00 ‖ leaf), a node's keccak256(0x01 ‖ left ‖
/// right). Each level is paired from the left; a last node without a partner goes up as it is, unhashed. Nothing is
/// ever duplicated, so two different lists of leaves have different roots.
///
/// Siblings come level by level from the leaves upwards, and in each level from left to right, each once, and only
/// those that cannot be computed from what is known.
/// @dev Why a root that matches proves each leaf at its place: `leafCount` fixes the shape, so each index has exactly
/// one path and the number of siblings is fixed by the indices; too few and too many are both refused. The two
/// prefixes keep a node from being read as a leaf, and the other way round. Callers must know `leafCount` for certain:
/// it belongs into what was committed, next to the root.
library MerkleMultiproof {
    error NoLeaves();
    error LengthMismatch(uint256 indices, uint256 hashes);
    error IndicesNotAscending(uint256 position);
    error IndexOutOfRange(uint256 index, uint256 leafCount);
    error MissingSibling();
    error UnusedSiblings(uint256 used, uint256 given);

    /// @param indices Places of the leaves, strictly ascending, below `leafCount`. Overwritten.
    /// @param hashes Their hashes, in the same order. Overwritten.
    function computeRoot(
        uint256[] memory indices,
        bytes32[] memory hashes,
        uint256 leafCount,
        bytes32[] calldata siblings
    ) internal pure returns (bytes32) {
        _checkIndices(indices, hashes.length, leafCount);
        uint256 known = indices.length;
        uint256 used = 0;
        unchecked {
            // Counters stay within the lengths of their lists, and an index is below a width, so one more fits.
            for (uint256 width = leafCount; width > 1; width -= width >> 1) {
                uint256 parents = 0;
                uint256 i = 0;
                while (i < known) {
                    uint256 index = _at(indices, i);
                    bytes32 hash = _at(hashes, i);
                    ++i;
                    if (index & 1 == 1) {
                        // A known left neighbour would have taken this node with it.
                        hash = hashNode(_sibling(siblings, used++), hash);
                    } else if (i < known && _at(indices, i) == index + 1) {
                        hash = hashNode(hash, _at(hashes, i++));
                    } else if (index + 1 < width) {
                        hash = hashNode(hash, _sibling(siblings, used++));
                    }
                    _set(indices, hashes, parents++, index >> 1, hash);
                }
                known = parents;
            }
        }
        if (used != siblings.length) revert UnusedSiblings(used, siblings.length);
        return hashes[0];
    }

    function hashLeaf(bytes calldata leaf) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0)
            calldatacopy(add(free, 1), leaf.offset, leaf.length)
            hash := keccak256(free, add(leaf.length, 1))
        }
    }

    function hashNode(bytes32 left, bytes32 right) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 0x01), left)
            mstore(add(free, 0x21), right)
            hash := keccak256(free, 0x41)
        }
    }

    function _sibling(bytes32[] calldata siblings, uint256 place) private pure returns (bytes32 sibling) {
        if (place >= siblings.length) revert MissingSibling();
        assembly ("memory-safe") {
            sibling := calldataload(add(siblings.offset, shl(5, place)))
        }
    }

    // Places below the length of both lists: each check by the compiler would cost as much as the hash.

    function _at(uint256[] memory list, uint256 place) private pure returns (uint256 item) {
        assembly ("memory-safe") {
            item := mload(add(add(list, 0x20), shl(5, place)))
        }
    }

    function _at(bytes32[] memory list, uint256 place) private pure returns (bytes32 item) {
        assembly ("memory-safe") {
            item := mload(add(add(list, 0x20), shl(5, place)))
        }
    }

    function _set(uint256[] memory indices, bytes32[] memory hashes, uint256 place, uint256 index, bytes32 hash)
        private
        pure
    {
        assembly ("memory-safe") {
            let offset := add(0x20, shl(5, place))
            mstore(add(indices, offset), index)
            mstore(add(hashes, offset), hash)
        }
    }

    function _checkIndices(uint256[] memory indices, uint256 hashCount, uint256 leafCount) private pure {
        uint256 count = indices.length;
        if (count == 0) revert NoLeaves();
        if (count != hashCount) revert LengthMismatch(count, hashCount);
        for (uint256 i = 1; i < count; ++i) {
            if (indices[i] <= indices[i - 1]) revert IndicesNotAscending(i);
        }
        // The last is the highest.
        if (indices[count - 1] >= leafCount) revert IndexOutOfRange(indices[count - 1], leafCount);
    }
}
