// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Sums in memory, at places that are known to be below the length.
/// @dev Solidity checks a place at each access, about 45 gas; a batch of closes has three for every item.
library Sums {
    function rawAt(uint256[] memory sums, uint256 index) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            sum := mload(add(add(sums, 0x20), shl(5, index)))
        }
    }

    /// @dev For sums that cannot overflow.
    function rawAdd(uint256[] memory sums, uint256 index, uint256 amount) internal pure {
        assembly ("memory-safe") {
            let place := add(add(sums, 0x20), shl(5, index))
            mstore(place, add(mload(place), amount))
        }
    }
}
