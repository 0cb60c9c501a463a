// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Call, ISelfBatch} from "./interfaces/ISelfBatch.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title Many calls of one account in one transaction, for contracts that have no batch of their own.
contract SelfBatch is ISelfBatch, IERC1271, IVersioned {
    /// Holds a custom error of seven words or a sentence; a stranger decides how long revert data is, and a log costs
    /// 8 gas a byte.
    uint256 private constant MAX_REASON = 256;

    /// A frame keeps a 64th of its gas when it calls (EIP-150), so where the d-th frame from here ran out of gas,
    /// 1 - (63/64)^d is left: below an eighth up to d = 8, the call itself and seven below it.
    uint256 private constant SUSPECT_PART = 8;

    address private immutable IMPLEMENTATION = address(this);

    receive() external payable {
        if (address(this) == IMPLEMENTATION) revert NotDelegated();
    }

    /// @inheritdoc ISelfBatch
    function execute(Call[] calldata calls) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        uint256 failed = 0;
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool done, bytes memory reason) = _try(i, calls[i]);
            if (done) continue;
            ++failed;
            emit CallFailed(i, reason);
        }
        emit BatchExecuted(calls.length, failed);
    }

    /// @inheritdoc IERC1271
    /// @dev Tokens with permits ask an account with code here and no longer recover the signature themselves. The
    /// account's key signs for it as before.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        return signer == address(this) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.SelfBatch.v1");
    }

    function _try(uint256 index, Call calldata item) private returns (bool done, bytes memory reason) {
        (address to, uint256 value, bytes calldata data) = (item.to, item.value, item.data);
        if (to == address(this)) return (false, abi.encodeWithSelector(CallToSelf.selector));
        uint256 gasBefore = gasleft();
        assembly ("memory-safe") {
            // Behind the free pointer, which stays: the next call's data may overwrite it.
            let free := mload(0x40)
            calldatacopy(free, data.offset, data.length)
            done := call(gas(), to, value, free, data.length, 0, 0)
        }
        if (done) return (true, reason);
        if (gasleft() < gasBefore / SUSPECT_PART) revert TooLittleGas(index);
        uint256 maxReason = MAX_REASON;
        assembly ("memory-safe") {
            reason := mload(0x40)
            let size := returndatasize()
            if gt(size, maxReason) { size := maxReason }
            mstore(reason, size)
            returndatacopy(add(reason, 0x20), 0, size)
            mstore(0x40, and(add(add(reason, 0x3f), size), not(0x1f)))
        }
    }
}
