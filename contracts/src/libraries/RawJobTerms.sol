// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {JobTerms} from "../interfaces/JobTypes.sol";

/// @title Job terms in calldata, read as they lie.
/// @dev Solidity checks every short field each time it is read, which is 50 bytes of code a time. Posting logs every
/// field, and logging checks it; so once an id was found in storage its words are known to be clean. Before that,
/// nothing may rest on them but a refusal.
library RawJobTerms {
    /// @dev keccak256(abi.encode(terms)) for clean words; for others a hash under which nothing was ever posted.
    function id(JobTerms calldata terms) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, terms, 0x140)
            result := keccak256(free, 0x140)
        }
    }

    function rawRenter(JobTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(terms)
        }
    }

    function rawHost(JobTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x20))
        }
    }

    function rawToken(JobTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x40))
        }
    }

    function rawMaxPrice(JobTerms calldata terms) internal pure returns (uint96 result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x60))
        }
    }

    function rawDeadline(JobTerms calldata terms) internal pure returns (uint40 result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x80))
        }
    }

    function rawArbiter(JobTerms calldata terms) internal pure returns (address result) {
        assembly ("memory-safe") {
            result := calldataload(add(terms, 0x100))
        }
    }
}
