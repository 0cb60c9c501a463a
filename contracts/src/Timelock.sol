// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ITimelock} from "./interfaces/ITimelock.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title The timelock, whose roles its constructor settles.
contract Timelock is ITimelock, IVersioned, TimelockController {
    /// @inheritdoc ITimelock
    /// @dev Longer than a renter's way out of a session (CHALLENGE_WINDOW, one hour), with a day's sleep to spare.
    uint256 public constant DELAY = 2 days;

    /// @param governor May not exist yet: it wants the timelock's address too, so it is deployed next, at an address
    /// known beforehand.
    constructor(address governor) TimelockController(DELAY, _alone(governor), _alone(address(0)), address(0)) {
        if (governor == address(0)) revert ZeroGovernor();
    }

    /// @inheritdoc TimelockController
    /// @dev Refused whoever asks: a delay that can be voted down to nothing warns nobody.
    function updateDelay(uint256) public pure override {
        revert DelayFixed();
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.Timelock.v1");
    }

    function _alone(address account) private pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}
