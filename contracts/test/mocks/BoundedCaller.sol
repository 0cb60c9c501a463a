// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../../src/libraries/BoundedCall.sol";

/// @title Makes bounded calls with the scratch space as unlucky as it can be.
contract BoundedCaller {
    function sendNative(address to, uint256 amount) external returns (bool) {
        return BoundedCall.trySendNative(to, amount);
    }

    function transfer(address token, address to, uint256 amount) external returns (bool) {
        assembly ("memory-safe") {
            mstore(0, 1)
        }
        return BoundedCall.tryTransfer(token, to, amount);
    }

    function isValidSignature(address account, bytes32 digest, bytes calldata signature) external returns (bool) {
        assembly ("memory-safe") {
            mstore(0, 0)
        }
        return BoundedCall.isValidSignature(account, digest, signature);
    }
}
