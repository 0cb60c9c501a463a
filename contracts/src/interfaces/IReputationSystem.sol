// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev A host's record in one token, base units of protocol fee: merit by what its work brought the protocol, fault
/// by what failed work would have brought.
struct Score {
    uint128 merit;
    uint128 fault;
}

/// @title What hosts did, as the marketplace saw it.
/// @notice Every close that pays a host brings the protocol a fee; that fee, summed and decaying, is the host's merit.
/// A job the host claimed and did not deliver, or delivered badly by an arbiter's word, is its fault, weighed by the
/// fee it would have brought. Both halve every HALF_LIFE. Nobody writes here but the marketplace, and nobody votes.
/// @dev Assumptions and worst cases:
/// - Merit is weighed by the fee and not by the price, because a host that is its own renter gets its price back and
///   its fee never: a point of merit costs what it counts. While the protocol's fee is zero there is no merit to be had.
/// - Amounts in different tokens are not comparable, and are kept apart. Clients compare hosts in the token they pay.
/// - Merit is taken over from the marketplace when somebody asks for it (`sync`, by anyone). What was earned since the
///   last time counts as old as that time, and before the first time as one HALF_LIFE old: never newer than it is
///   unless it is older than that. A host that wants full credit has itself synced often; a day apart costs 2 to 3 %.
/// - How often a record is synced changes nothing else: it fades the same, to a base unit for each time.
/// - Sessions bring merit only. That a session timed out says nothing about its host: anyone can open one and leave.
/// - There is no list and no order here; clients sort.
interface IReputationSystem {
    /// The record after the change.
    event ScoreSynced(address indexed host, address indexed token, uint128 merit, uint128 fault);
    event FaultRecorded(address indexed host, address indexed token, uint128 weight);

    error NotMarketplace(address caller);
    error ZeroMarketplace();

    /// @notice Takes over what the host's work brought since the last time.
    function sync(address host, address token) external;

    /// @notice Marketplace only: work the host committed itself to and did not deliver. `weight`: the fee it would
    /// have brought, base units.
    function recordFault(address host, address token, uint128 weight) external;

    /// @notice The record as of now.
    function scoreOf(address host, address token) external view returns (Score memory);

    /// @notice Records of many hosts in one token, in the order asked.
    function scoresOf(address[] calldata hosts, address token) external view returns (Score[] memory);

    /// @notice merit / (merit + fault), basis points, rounded down; 0 for a host without a record.
    function qualityOf(address host, address token) external view returns (uint16 bps);

    function MARKETPLACE() external view returns (address);
    /// Seconds.
    function HALF_LIFE() external view returns (uint40);
}
