// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Voucher} from "./interfaces/SessionTypes.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {CalldataHash} from "./libraries/CalldataHash.sol";

/// @title Vouchers: their digest, and who signed it.
abstract contract VoucherVerifier is EIP712 {
    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");

    constructor() EIP712("Capstan", "1") {}

    function _voucherDigest(Voucher calldata voucher) internal view returns (bytes32) {
        return _hashTypedDataV4(CalldataHash.hashStruct(voucher, VOUCHER_TYPEHASH));
    }

    /// @dev 65-byte ECDSA with low s first, because that needs no look at the key's account (2,600 gas); then
    /// ERC-1271 if the key has code. An account with both, as EIP-7702 allows, may use either.
    function _isSignedBy(address key, Voucher calldata voucher, bytes calldata signature) internal view returns (bool) {
        bytes32 digest = _voucherDigest(voucher);
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == key) return true;
        return key.code.length != 0 && BoundedCall.isValidSignature(key, digest, signature);
    }
}
