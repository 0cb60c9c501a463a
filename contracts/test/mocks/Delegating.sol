// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommonBase} from "forge-std/Base.sol";

/// @dev Cheat codes of EIP-7702 that the bundled forge-std does not declare yet.
interface DelegationCheats {
    struct SignedDelegation {
        uint8 v;
        bytes32 r;
        bytes32 s;
        uint64 nonce;
        address implementation;
    }

    function signAndAttachDelegation(address implementation, uint256 privateKey)
        external
        returns (SignedDelegation memory);
}

/// @title Accounts that delegate to code, by a signed authorization.
abstract contract Delegating is CommonBase {
    function _delegate(address implementation, uint256 secret) internal {
        DelegationCheats(address(vm)).signAndAttachDelegation(implementation, secret);
        // The authorization travels with the next transaction.
        (bool sent,) = vm.addr(secret).call("");
        require(sent, "not delegated");
    }
}
