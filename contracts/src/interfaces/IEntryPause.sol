// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Entry that can be stopped for a while; exit cannot.
/// @notice While a contract is paused it takes nobody in: no new session, job, host, node. Whatever gives money back,
/// ends something or defends somebody works as always. A pause ends by itself.
/// @dev Worst case: guardians that misuse their right keep newcomers out for PAUSE_LENGTH in every PAUSE_LENGTH +
/// PAUSE_COOLDOWN until governance replaces them. Nobody's money is held longer by it.
interface IEntryPause {
    event EntryPaused(uint40 until);
    event EntryResumed();

    error EntryIsPaused(uint40 until);
    error NotCircuitBreaker(address caller);
    error PauseCooldown(uint40 until);
    error NotPaused();

    /// @notice Circuit breaker only: takes nobody in for PAUSE_LENGTH from now. Refused while a pause runs and for
    /// PAUSE_COOLDOWN after the last one's end, so that pauses cannot be strung together.
    function pauseEntry() external;

    /// @notice Circuit breaker only: ends a pause early. The cooldown then counts from now.
    function resumeEntry() external;

    /// @notice Unix seconds until which nobody is taken in; in the past if not paused, 0 if never.
    function pausedUntil() external view returns (uint40);

    function CIRCUIT_BREAKER() external view returns (address);
    /// Seconds.
    function PAUSE_LENGTH() external view returns (uint40);
    /// Seconds.
    function PAUSE_COOLDOWN() external view returns (uint40);
}
