// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedJob} from "./types/PackedJob.sol";
import {PackedSession} from "./types/PackedSession.sol";
import {ProtocolFee} from "./ProtocolFee.sol";

/// @title Everything the marketplace stores, in one order.
/// @dev JobMarketplace runs JobBoard's code on its own storage. Both inherit this contract first and store nothing
/// else, so every slot means the same to both.
abstract contract MarketState is ProtocolFee {
    /// @dev A reference to a bare value type cannot be held in a local variable, and one to a struct can: a close then
    /// finds its slot once and not twice.
    struct Slot {
        PackedSession session;
    }

    mapping(bytes32 sessionId => Slot) internal _slots;
    mapping(bytes32 jobId => PackedJob) internal _jobs;
}
