// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ISessionAccountFactory} from "./interfaces/ISessionAccountFactory.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title Smart accounts as clones of one implementation, each with its owner in its code.
contract SessionAccountFactory is ISessionAccountFactory, IVersioned {
    /// @inheritdoc ISessionAccountFactory
    address public immutable IMPLEMENTATION;

    error NoCode(address implementation);

    constructor(address implementation) {
        if (implementation.code.length == 0) revert NoCode(implementation);
        IMPLEMENTATION = implementation;
    }

    /// @inheritdoc ISessionAccountFactory
    function createAccount(address owner, bytes32 salt) external returns (address account) {
        if (owner == address(0)) revert ZeroOwner();
        account = accountOf(owner, salt);
        if (account.code.length != 0) return account;
        emit AccountCreated(account, owner, salt);
        Clones.cloneDeterministicWithImmutableArgs(IMPLEMENTATION, abi.encodePacked(owner), salt);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.SessionAccountFactory.v1");
    }

    /// @inheritdoc ISessionAccountFactory
    function accountOf(address owner, bytes32 salt) public view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(IMPLEMENTATION, abi.encodePacked(owner), salt);
    }
}
