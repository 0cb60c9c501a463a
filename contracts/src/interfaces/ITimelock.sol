// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The owner of everything that is owned.
/// @notice What governance has decided waits here for DELAY in public, so that whoever dislikes it can leave first;
/// then anybody may execute it. The functions are those of OpenZeppelin's TimelockController.
/// @dev Roles from the first block on: the governor alone proposes and cancels, everybody executes, the timelock
/// administers itself, no key holds anything. So the governor can be replaced, but only by a decision that waited.
interface ITimelock {
    error ZeroGovernor();
    error DelayFixed();

    /// Seconds.
    function DELAY() external view returns (uint256);
}
