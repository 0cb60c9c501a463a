// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Where smart accounts come from.
/// @notice An account's address follows from its owner and a salt, so it can be funded before it exists. Anyone may
/// create it: it belongs to the same owner whoever does.
/// @dev Reads and writes no storage, so an operation may create its account on any bundler.
interface ISessionAccountFactory {
    event AccountCreated(address indexed account, address indexed owner, bytes32 salt);

    error ZeroOwner();

    /// @notice Creates the account, or finds it where it already is.
    function createAccount(address owner, bytes32 salt) external returns (address account);

    /// @notice The account's address, whether it exists or not.
    function accountOf(address owner, bytes32 salt) external view returns (address account);

    /// The `SessionAccount` that every account runs.
    function IMPLEMENTATION() external view returns (address);
}
