// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SessionTerms, Voucher} from "../interfaces/SessionTypes.sol";

/// @title Hashes of static structs straight from calldata.
/// @dev In calldata a struct of static fields already lies as `abi.encode` would write it. Copying it whole saves a
/// check of every field, about 1,000 gas for a close. Where a caller leaves rubbish above a short field the hash is
/// another one, so no session or signature is found under it; nothing is ever opened under such a hash, because
/// opening reads every field, and reading refuses rubbish.
library CalldataHash {
    /// @dev keccak256(abi.encode(typeHash, voucher)): EIP-712's hashStruct.
    function hashStruct(Voucher calldata voucher, bytes32 typeHash) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 0x20), voucher, 0x80)
            result := keccak256(free, 0xa0)
        }
    }
}
