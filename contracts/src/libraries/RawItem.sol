// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedCompletion} from "../interfaces/SessionTypes.sol";

/// @title The items of a batch in calldata, read as they lie.
/// @dev Packed words have no bits to spare, and the two fields that do, token and expiry, are hashed whole: rubbish in
/// them gives an id under which nothing was ever opened. So nothing but a refusal may rest on an item before its
/// session was found, and nothing need be checked after.
library RawItem {
    // Cutting a field out of a word is what the casts below are for.
    // forge-lint: disable-start(unsafe-typecast)

    /// @dev The item at a place below the length. Solidity would check the place again, and the length is checked
    /// against the calldata when the call is decoded.
    function rawAt(PackedCompletion[] calldata items, uint256 index)
        internal
        pure
        returns (PackedCompletion calldata item)
    {
        assembly ("memory-safe") {
            item := add(items.offset, mul(index, 0x120))
        }
    }

    /// @dev keccak256(abi.encode(terms)) of the item's terms with `host` for their host.
    function sessionId(PackedCompletion calldata item, address host) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let renterDeposit := calldataload(item)
            mstore(free, host)
            mstore(add(free, 0x20), shr(96, renterDeposit))
            mstore(add(free, 0x40), calldataload(add(item, 0x20)))
            mstore(add(free, 0x60), shr(160, shl(160, renterDeposit)))
            mstore(add(free, 0x80), shr(160, calldataload(add(item, 0x60))))
            mstore(add(free, 0xa0), shr(96, calldataload(add(item, 0x40))))
            // Model and salt.
            calldatacopy(add(free, 0xc0), add(item, 0x80), 0x40)
            result := keccak256(free, 0x100)
        }
    }

    function renter(PackedCompletion calldata item) internal pure returns (address) {
        return address(uint160(item.renterDeposit >> 96));
    }

    function deposit(PackedCompletion calldata item) internal pure returns (uint96) {
        return uint96(item.renterDeposit);
    }

    function rawToken(PackedCompletion calldata item) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(item, 0x20))
        }
    }

    function voucherKey(PackedCompletion calldata item) internal pure returns (address) {
        return address(uint160(item.keyAmount >> 96));
    }

    function amount(PackedCompletion calldata item) internal pure returns (uint96) {
        return uint96(item.keyAmount);
    }

    function tokens(PackedCompletion calldata item) internal pure returns (uint64) {
        return uint64(item.expiryTokensClaim >> 96);
    }

    function claim(PackedCompletion calldata item) internal pure returns (uint96) {
        return uint96(item.expiryTokensClaim);
    }

    // forge-lint: disable-end(unsafe-typecast)
}
