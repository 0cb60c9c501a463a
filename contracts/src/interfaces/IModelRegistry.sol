// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Models that hosts may offer.
/// @notice A model id is the SHA-256 of its weights file, so anyone with the file can check the id.
interface IModelRegistry {
    event ModelApproved(bytes32 indexed model, string uri);
    event ModelRevoked(bytes32 indexed model);

    error ZeroModel();
    error AlreadyApproved(bytes32 model);
    error NotApproved(bytes32 model);

    /// @notice Owner only. `uri` says where the file can be had; it is not stored.
    function approveModel(bytes32 model, string calldata uri) external;

    /// @notice Owner only. Open sessions and existing offers stay; new offers are refused.
    function revokeModel(bytes32 model) external;

    function isApproved(bytes32 model) external view returns (bool);
}
