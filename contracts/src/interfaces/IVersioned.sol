// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Interface version of a Capstan contract.
/// @notice A client refuses to start against an address whose version is not the one it was built for.
interface IVersioned {
    /// @return The keccak256 of `capstan.<ContractName>.v<N>`; N grows with every change of the ABI or of a struct.
    function interfaceVersion() external view returns (bytes32);
}
