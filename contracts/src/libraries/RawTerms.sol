// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SessionTerms} from "../interfaces/SessionTypes.sol";

/// @title Session terms in calldata, read as they lie.
/// @dev Solidity checks every short field each time it is read, about 30 gas; closing a session reads a dozen.
/// A session's id is the hash of all eight words as they lie, and `createSessionJob` reads each field with the check,
/// so once the id was found in storage the words are known to be clean. Before that, nothing may rest on them but
/// a refusal.
library RawTerms {
    /// @dev keccak256(abi.encode(terms)) for clean words; for others a hash under which nothing was ever opened.
    function id(SessionTerms calldata terms) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, terms, 0x100)
            result := keccak256(free, 0x100)
        }
    }

    function rawHost(SessionTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(terms)
        }
    }

    function rawRenter(SessionTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x20))
        }
    }

    function rawToken(SessionTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x40))
        }
    }

    function rawDeposit(SessionTerms calldata terms) internal pure returns (uint96 result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x60))
        }
    }

    function rawVoucherKey(SessionTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0xa0))
        }
    }
}
