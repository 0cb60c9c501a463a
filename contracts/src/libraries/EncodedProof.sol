// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Reads abi.encode(bytes, uint256[]) in place, and takes the canonical layout only.
/// @notice A verifier gets these very bytes as its arguments. As there is one way to lay them out, it reads the instances
/// that were checked here and no others. What fills up the proof's last word is not looked at, here or there.
library EncodedProof {
    uint256 private constant WORD = 32;
    /// Two offsets and the first length.
    uint256 private constant HEAD = 3 * WORD;

    /// @return canonical False if these bytes are anything else; the array is then empty.
    /// @return instances The array, which lies at the end.
    function instancesOf(bytes calldata proof) internal pure returns (bool canonical, uint256[] calldata instances) {
        instances = _empty();
        uint256 size = proof.length;
        uint256 length = _word(proof, 2 * WORD);
        // Lengths are bounded by what there is before anything is added to them, so that no sum can overflow.
        if (length > size) return (false, instances);
        uint256 tail = HEAD + (length + WORD - 1) / WORD * WORD;
        if (_word(proof, 0) != 2 * WORD || _word(proof, WORD) != tail) return (false, instances);
        uint256 count = _word(proof, tail);
        if (count > size || tail + WORD + count * WORD != size) return (false, instances);
        assembly ("memory-safe") {
            instances.offset := add(proof.offset, add(tail, 0x20))
            instances.length := count
        }
        return (true, instances);
    }

    /// @dev Past the end it reads what follows in calldata. That is harmless here: the sizes then add up to more than
    /// there is.
    function _word(bytes calldata data, uint256 position) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data.offset, position))
        }
    }

    function _empty() private pure returns (uint256[] calldata none) {
        assembly ("memory-safe") {
            none.offset := 0
            none.length := 0
        }
    }
}
