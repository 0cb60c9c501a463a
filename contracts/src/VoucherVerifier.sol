// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Voucher} from "./interfaces/SessionTypes.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {CalldataHash} from "./libraries/CalldataHash.sol";

/// @title Vouchers: their digest, and who signed it.
abstract contract VoucherVerifier is EIP712 {
    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");

    /// Half the order of secp256k1: of the two valid s of a signature, the lower one counts (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    constructor() EIP712("Capstan", "1") {}

    function _voucherDigest(Voucher calldata voucher) internal view returns (bytes32) {
        return _hashTypedDataV4(CalldataHash.hashStruct(voucher, VOUCHER_TYPEHASH));
    }

    /// @dev ECDSA first, because that needs no look at the key's account (2,600 gas); then ERC-1271 if the key has
    /// code. An account with both, as EIP-7702 allows, may use either.
    function _isSignedBy(address key, Voucher calldata voucher, bytes calldata signature) internal view returns (bool) {
        bytes32 digest = _voucherDigest(voucher);
        if (_recover(digest, signature) == key && key != address(0)) return true;
        return key.code.length != 0 && BoundedCall.isValidSignature(key, digest, signature);
    }

    /// @dev Zero unless these are 65 bytes r, s, v with v 27 or 28 and the lower of the two s. OpenZeppelin's ECDSA
    /// does the same with named errors, for 250 gas more at every close; nobody here reads its errors.
    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 r = bytes32(signature[:32]);
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > HALF_ORDER) return address(0);
        return ecrecover(digest, uint8(signature[64]), r, s);
    }
}
