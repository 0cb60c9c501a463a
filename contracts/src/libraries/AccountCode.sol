// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title What the code at a smart account's address says about it.
/// @dev There are two kinds of account. A clone (ERC-1167) carries its owner in the twenty bytes behind the proxy's
/// code, where no call can change it. An account that delegates (EIP-7702) has a designator for code, and is its own
/// owner. Looking at code reads no storage, so bundlers allow it while an operation is validated.
library AccountCode {
    /// The prefix of a designator, and the address of the code.
    uint256 private constant DESIGNATOR_SIZE = 23;
    bytes3 private constant DESIGNATOR_PREFIX = 0xef0100;
    /// ERC-1167's proxy.
    uint256 private constant PROXY_SIZE = 45;
    /// The proxy, and the owner.
    uint256 private constant CLONE_SIZE = 65;
    bytes10 private constant PROXY_HEAD = 0x363d3d373d3d3d363d73;
    bytes15 private constant PROXY_TAIL = 0x5af43d82803e903d91602b57fd5bf3;

    /// @dev Who owns the account whose code is running; nobody if it is neither kind.
    function ownerOfThis() internal view returns (address owner) {
        uint256 size = address(this).code.length;
        // No contract can have code of this size that is no designator and yet delegates to a given address.
        if (size == DESIGNATOR_SIZE) return address(this);
        if (size != CLONE_SIZE) return address(0);
        uint256 proxySize = PROXY_SIZE;
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(address(), 0x0c, proxySize, 20)
            owner := mload(0)
        }
    }

    /// @dev True if `account` runs `implementation` and nothing else.
    function runs(address account, address implementation) internal view returns (bool) {
        uint256 size = account.code.length;
        if (size == DESIGNATOR_SIZE) {
            return account.codehash == keccak256(abi.encodePacked(DESIGNATOR_PREFIX, implementation));
        }
        if (size != CLONE_SIZE) return false;
        bytes memory proxy = new bytes(PROXY_SIZE);
        uint256 proxySize = PROXY_SIZE;
        assembly ("memory-safe") {
            extcodecopy(account, add(proxy, 0x20), 0, proxySize)
        }
        return keccak256(proxy) == keccak256(abi.encodePacked(PROXY_HEAD, implementation, PROXY_TAIL));
    }
}
