// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {VoucherHash} from "./libraries/VoucherHash.sol";

/// @title Vouchers: their digest, and who signed it.
abstract contract VoucherVerifier is EIP712 {
    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");

    /// Half the order of secp256k1: of the two valid s of a signature, the lower one counts (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    constructor() EIP712("Capstan", "1") {}

    /// @dev `domain` is `_domainSeparatorV4()`, which a batch asks for once.
    function _voucherDigest(bytes32 domain, bytes32 sessionId, uint96 amount, uint64 tokens, bytes32 transcriptRoot)
        internal
        pure
        returns (bytes32)
    {
        return MessageHashUtils.toTypedDataHash(
            domain, VoucherHash.hashStruct(VOUCHER_TYPEHASH, sessionId, amount, tokens, transcriptRoot)
        );
    }

    /// @dev ECDSA first, because that needs no look at the key's account (2,600 gas); then ERC-1271 if the key has
    /// code. An account with both, as EIP-7702 allows, may use either. `signature` is r, s, v.
    function _isSignedBy(address key, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (
            signature.length == 65
                && _isRecovered(key, digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]))
        ) return true;
        return key.code.length != 0 && BoundedCall.isValidSignature(key, digest, signature);
    }

    /// @dev ECDSA alone, in the short form of EIP-2098.
    function _isSignedBy(address key, bytes32 digest, bytes32 r, bytes32 vs) internal pure returns (bool) {
        unchecked {
            // One bit and 27 fit a byte.
            // forge-lint: disable-next-line(unsafe-typecast)
            return _isRecovered(key, digest, uint8(uint256(vs) >> 255) + 27, r, vs << 1 >> 1);
        }
    }

    /// @dev False unless v is 27 or 28 and s the lower of the two. OpenZeppelin's ECDSA does the same with named
    /// errors, for 250 gas more at every close; nobody here reads its errors.
    function _isRecovered(address key, bytes32 digest, uint8 v, bytes32 r, bytes32 s) private pure returns (bool) {
        if (uint256(s) > HALF_ORDER) return false;
        address signer = ecrecover(digest, v, r, s);
        if (signer == address(0)) return false;
        return signer == key;
    }
}
