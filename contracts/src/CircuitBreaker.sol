// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ICircuitBreaker} from "./interfaces/ICircuitBreaker.sol";
import {IEntryPause} from "./interfaces/IEntryPause.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title Guardians, and the one thing they can do.
contract CircuitBreaker is ICircuitBreaker, IVersioned, Ownable2Step {
    /// @inheritdoc ICircuitBreaker
    mapping(address account => bool) public isGuardian;

    constructor(address owner_, address[] memory guardians) Ownable(owner_) {
        for (uint256 i = 0; i < guardians.length; ++i) {
            _setGuardian(guardians[i], true);
        }
    }

    /// @inheritdoc ICircuitBreaker
    function pause(address[] calldata targets) external {
        if (!isGuardian[msg.sender]) revert NotGuardian(msg.sender);
        if (targets.length == 0) revert NoTargets();
        for (uint256 i = 0; i < targets.length; ++i) {
            IEntryPause(targets[i]).pauseEntry();
        }
    }

    /// @inheritdoc ICircuitBreaker
    function resume(address[] calldata targets) external onlyOwner {
        if (targets.length == 0) revert NoTargets();
        for (uint256 i = 0; i < targets.length; ++i) {
            IEntryPause(targets[i]).resumeEntry();
        }
    }

    /// @inheritdoc ICircuitBreaker
    function setGuardian(address guardian, bool active) external onlyOwner {
        _setGuardian(guardian, active);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.CircuitBreaker.v1");
    }

    function _setGuardian(address guardian, bool active) private {
        if (guardian == address(0)) revert ZeroGuardian();
        if (isGuardian[guardian] == active) revert GuardianUnchanged(guardian, active);
        isGuardian[guardian] = active;
        emit GuardianSet(guardian, active);
    }
}
