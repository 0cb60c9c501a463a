// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Who may stop entry in an emergency.
/// @notice Guardians are named and dismissed by governance. Each may pause the entry of the protocol's contracts, and
/// nothing else: a pause ends by itself, cannot be repeated at once, and touches no exit (see IEntryPause).
interface ICircuitBreaker {
    event GuardianSet(address indexed guardian, bool active);

    error NotGuardian(address caller);
    error ZeroGuardian();
    error GuardianUnchanged(address guardian, bool active);
    error NoTargets();

    /// @notice Guardian only: pauses entry of every target; reverts as a whole if one refuses.
    function pause(address[] calldata targets) external;

    /// @notice Owner (governance) only: ends the pauses early.
    function resume(address[] calldata targets) external;

    /// @notice Owner (governance) only.
    function setGuardian(address guardian, bool active) external;

    function isGuardian(address account) external view returns (bool);
}
