// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {JobTerms} from "../interfaces/JobTypes.sol";

/// @title The id of job terms in calldata, hashed as they lie.
/// @dev Posting logs every field, and logging checks it; so an id found in storage is that of clean words.
library RawJobTerms {
    /// @dev keccak256(abi.encode(terms)) for clean words; for others a hash under which nothing was ever posted.
    function id(JobTerms calldata terms) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, terms, 0x140)
            result := keccak256(free, 0x140)
        }
    }
}
