// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Calls to strangers that cannot hurt the caller.
/// @notice Each call has a gas ceiling, reads at most one word of what comes back, and answers false where it would
/// otherwise revert. A caller with little gas left can make such a call fail; the failure must be harmless.
library BoundedCall {
    /// Enough for a smart account's receive hook that writes a slot and logs; far too little to grief a batch.
    uint256 internal constant NATIVE_GAS = 30_000;
    /// A proxied stablecoin transfer to a fresh account costs about 70,000; twice that and a margin.
    uint256 internal constant TOKEN_GAS = 200_000;
    /// A wallet of several owners, or a P-256 check in Solidity where the precompile is missing (about 350,000).
    uint256 internal constant SIGNATURE_GAS = 500_000;

    function trySendNative(address to, uint256 amount) internal returns (bool sent) {
        uint256 gasLimit = NATIVE_GAS;
        assembly ("memory-safe") {
            sent := call(gasLimit, to, amount, 0, 0, 0, 0)
        }
    }

    /// @dev ERC-20 transfer. Tokens that return nothing count as paid when they do not revert.
    function tryTransfer(address token, address to, uint256 amount) internal returns (bool sent) {
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        uint256 gasLimit = TOKEN_GAS;
        assembly ("memory-safe") {
            // Scratch space holds the answer's first word.
            sent := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            switch returndatasize()
            case 0 { sent := and(sent, gt(extcodesize(token), 0)) }
            default { sent := and(sent, and(gt(returndatasize(), 0x1f), eq(mload(0), 1))) }
        }
    }

    /// @dev ERC-1271. False for an account without code.
    function isValidSignature(address account, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (bool valid)
    {
        bytes memory data = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 expected = bytes32(IERC1271.isValidSignature.selector);
        uint256 gasLimit = SIGNATURE_GAS;
        assembly ("memory-safe") {
            valid := staticcall(gasLimit, account, add(data, 0x20), mload(data), 0, 0x20)
            valid := and(valid, and(gt(returndatasize(), 0x1f), eq(mload(0), expected)))
        }
    }
}
