// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Merkle trees for tests, built without the library under test.
/// @dev Width of level l over n leaves is n / 2^l rounded up; a last node without a partner goes up unhashed.
library Trees {
    /// A tree far too large to build, of which only the paths of some leaves are real; everything else is made up.
    struct Sparse {
        uint256 leafCount;
        bytes32 salt;
        uint256[] indices;
    }

    /// A tree over one leaf repeated: proofs for any indices can be had without building it.
    struct Uniform {
        uint256 leafCount;
        /// By level: a node with all its leaves, and the last node of the level.
        bytes32[] full;
        bytes32[] last;
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }

    function leafHash(bytes memory leaf) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), leaf));
    }

    /// 256 bytes that look like data.
    function leafOf(bytes32 salt, uint256 index) internal pure returns (bytes memory leaf) {
        for (uint256 i = 0; i < 8; ++i) {
            leaf = abi.encodePacked(leaf, keccak256(abi.encode(salt, index, i)));
        }
    }

    function width(uint256 leafCount, uint256 level) internal pure returns (uint256) {
        return (leafCount + (uint256(1) << level) - 1) >> level;
    }

    function depth(uint256 leafCount) internal pure returns (uint256 level) {
        while (width(leafCount, level) > 1) ++level;
    }

    // --- any tree

    /// Where the siblings of a multiproof lie, in its order: by level, then by place.
    function siblingPlaces(uint256[] memory indices, uint256 leafCount)
        internal
        pure
        returns (uint256[] memory levels, uint256[] memory places)
    {
        uint256 top = depth(leafCount);
        levels = new uint256[](indices.length * top);
        places = new uint256[](indices.length * top);
        uint256 count = 0;
        for (uint256 level = 0; level < top; ++level) {
            for (uint256 i = 0; i < indices.length; ++i) {
                uint256 place = indices[i] >> level;
                if (i > 0 && indices[i - 1] >> level == place) continue;
                uint256 sibling = place ^ 1;
                if (sibling >= width(leafCount, level) || _covers(indices, level, sibling)) continue;
                (levels[count], places[count]) = (level, sibling);
                ++count;
            }
        }
        assembly {
            mstore(levels, count)
            mstore(places, count)
        }
    }

    function _covers(uint256[] memory indices, uint256 level, uint256 place) private pure returns (bool) {
        for (uint256 i = 0; i < indices.length; ++i) {
            if (indices[i] >> level == place) return true;
        }
        return false;
    }

    // --- small trees, whole

    function levelsOf(bytes32[] memory leaves) internal pure returns (bytes32[][] memory levels) {
        uint256 top = depth(leaves.length);
        levels = new bytes32[][](top + 1);
        levels[0] = leaves;
        for (uint256 level = 1; level <= top; ++level) {
            bytes32[] memory below = levels[level - 1];
            bytes32[] memory here = new bytes32[]((below.length + 1) / 2);
            for (uint256 i = 0; i < here.length; ++i) {
                here[i] = 2 * i + 1 == below.length ? below[2 * i] : node(below[2 * i], below[2 * i + 1]);
            }
            levels[level] = here;
        }
    }

    function siblingsOf(bytes32[][] memory levels, uint256[] memory indices)
        internal
        pure
        returns (bytes32[] memory siblings)
    {
        (uint256[] memory atLevel, uint256[] memory places) = siblingPlaces(indices, levels[0].length);
        siblings = new bytes32[](atLevel.length);
        for (uint256 i = 0; i < atLevel.length; ++i) {
            siblings[i] = levels[atLevel[i]][places[i]];
        }
    }

    // --- sparse trees

    function root(Sparse memory tree) internal pure returns (bytes32) {
        return _value(tree, depth(tree.leafCount), 0);
    }

    function answersOf(Sparse memory tree) internal pure returns (bytes memory data) {
        for (uint256 i = 0; i < tree.indices.length; ++i) {
            data = abi.encodePacked(data, leafOf(tree.salt, tree.indices[i]));
        }
    }

    function proofOf(Sparse memory tree) internal pure returns (bytes32[] memory values) {
        (uint256[] memory levels, uint256[] memory places) = siblingPlaces(tree.indices, tree.leafCount);
        values = new bytes32[](levels.length);
        for (uint256 i = 0; i < levels.length; ++i) {
            values[i] = _value(tree, levels[i], places[i]);
        }
    }

    function _value(Sparse memory tree, uint256 level, uint256 place) private pure returns (bytes32) {
        if (!_covers(tree.indices, level, place)) return keccak256(abi.encode("sparse", tree.salt, level, place));
        if (level == 0) return leafHash(leafOf(tree.salt, place));
        bytes32 left = _value(tree, level - 1, 2 * place);
        if (2 * place + 1 >= width(tree.leafCount, level - 1)) return left;
        return node(left, _value(tree, level - 1, 2 * place + 1));
    }

    // --- uniform trees

    function uniform(uint256 leafCount, bytes32 salt) internal pure returns (Uniform memory tree) {
        uint256 top = depth(leafCount);
        tree.leafCount = leafCount;
        tree.full = new bytes32[](top + 1);
        tree.last = new bytes32[](top + 1);
        tree.full[0] = tree.last[0] = leafHash(leafOf(salt, 0));
        for (uint256 level = 1; level <= top; ++level) {
            tree.full[level] = node(tree.full[level - 1], tree.full[level - 1]);
            bool paired = width(leafCount, level - 1) % 2 == 0;
            tree.last[level] = paired ? node(tree.full[level - 1], tree.last[level - 1]) : tree.last[level - 1];
        }
    }

    function root(Uniform memory tree) internal pure returns (bytes32) {
        return tree.last[tree.last.length - 1];
    }

    function repeated(bytes32 salt, uint256 count) internal pure returns (bytes memory data) {
        for (uint256 i = 0; i < count; ++i) {
            data = abi.encodePacked(data, leafOf(salt, 0));
        }
    }

    function proofOf(Uniform memory tree, uint256[] memory indices) internal pure returns (bytes32[] memory values) {
        (uint256[] memory levels, uint256[] memory places) = siblingPlaces(indices, tree.leafCount);
        values = new bytes32[](levels.length);
        for (uint256 i = 0; i < levels.length; ++i) {
            bool isLast = places[i] + 1 == width(tree.leafCount, levels[i]);
            values[i] = isLast ? tree.last[levels[i]] : tree.full[levels[i]];
        }
    }
}
