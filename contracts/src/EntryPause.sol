// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPause} from "./interfaces/IEntryPause.sol";

/// @title The pause of one contract's entry, as a base of that contract.
/// @dev State is one 40-bit word, so that an heir may put it in a slot that its entry reads anyway.
abstract contract EntryPause is IEntryPause {
    /// @inheritdoc IEntryPause
    /// @dev Three days: time for governance to propose what it wants done, not to do it.
    uint40 public constant PAUSE_LENGTH = 3 days;
    /// @inheritdoc IEntryPause
    /// @dev A vote and its timelock take less, so guardians that misuse a pause are gone before the next.
    uint40 public constant PAUSE_COOLDOWN = 14 days;

    /// @inheritdoc IEntryPause
    address public immutable CIRCUIT_BREAKER;

    /// @inheritdoc IEntryPause
    uint40 public pausedUntil;

    error ZeroCircuitBreaker();

    modifier onlyCircuitBreaker() {
        if (msg.sender != CIRCUIT_BREAKER) revert NotCircuitBreaker(msg.sender);
        _;
    }

    /// @dev On every function that takes somebody or something in, and on nothing else.
    modifier whenEntryOpen() {
        _requireEntryOpen();
        _;
    }

    constructor(address circuitBreaker) {
        if (circuitBreaker == address(0)) revert ZeroCircuitBreaker();
        CIRCUIT_BREAKER = circuitBreaker;
    }

    /// @inheritdoc IEntryPause
    function pauseEntry() external onlyCircuitBreaker {
        uint40 last = pausedUntil;
        if (last != 0 && block.timestamp < last + PAUSE_COOLDOWN) revert PauseCooldown(last + PAUSE_COOLDOWN);
        uint40 until = uint40(block.timestamp) + PAUSE_LENGTH;
        pausedUntil = until;
        emit EntryPaused(until);
    }

    /// @inheritdoc IEntryPause
    function resumeEntry() external onlyCircuitBreaker {
        if (block.timestamp >= pausedUntil) revert NotPaused();
        pausedUntil = uint40(block.timestamp);
        emit EntryResumed();
    }

    function _requireEntryOpen() internal view {
        uint40 until = pausedUntil;
        if (block.timestamp < until) revert EntryIsPaused(until);
    }
}
