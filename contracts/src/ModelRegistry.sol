// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title Approved models.
/// @dev The owner is meant to be a timelock behind token governance. It decides what may be newly offered and can
/// neither move money nor touch a session.
contract ModelRegistry is IModelRegistry, IVersioned, Ownable2Step {
    /// @inheritdoc IModelRegistry
    mapping(bytes32 model => bool) public isApproved;

    constructor(address owner_) Ownable(owner_) {}

    /// @inheritdoc IModelRegistry
    function approveModel(bytes32 model, string calldata uri) external onlyOwner {
        if (model == bytes32(0)) revert ZeroModel();
        if (isApproved[model]) revert AlreadyApproved(model);
        isApproved[model] = true;
        emit ModelApproved(model, uri);
    }

    /// @inheritdoc IModelRegistry
    function revokeModel(bytes32 model) external onlyOwner {
        if (!isApproved[model]) revert NotApproved(model);
        isApproved[model] = false;
        emit ModelRevoked(model);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.ModelRegistry.v1");
    }
}
