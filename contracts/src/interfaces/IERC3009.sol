// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Transfers by a signature of the payer (ERC-3009), as far as they are used here.
interface IERC3009 {
    /// @notice Moves `value` from `from` to the caller, which must be `to`. `nonce` is free to choose and works once.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;
}
