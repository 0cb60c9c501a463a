// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Job, JobStatus} from "../interfaces/JobTypes.sol";

/// @dev A `Job` in the one word it is stored in, from the lowest bit: status 8, feeBps 16, priceBps 16, windowEnd 40,
/// host 160. Sixteen bits are free.
type PackedJob is uint256;

using PackedJobLib for PackedJob global;

/// @title Reads and changes of a packed job.
library PackedJobLib {
    uint256 private constant FEE_SHIFT = 8;
    uint256 private constant PRICE_SHIFT = 24;
    uint256 private constant WINDOW_SHIFT = 40;
    uint256 private constant HOST_SHIFT = 80;
    uint256 private constant STATUS_MASK = type(uint8).max;
    uint256 private constant WINDOW_MASK = uint256(type(uint40).max) << WINDOW_SHIFT;
    uint256 private constant BASIS_POINTS = 10_000;

    function posted(uint16 fee) internal pure returns (PackedJob) {
        return PackedJob.wrap(uint256(JobStatus.Posted) | uint256(fee) << FEE_SHIFT);
    }

    // Cutting a field out of the word is what the casts below are for.
    // forge-lint: disable-start(unsafe-typecast)

    function status(PackedJob self) internal pure returns (JobStatus) {
        return JobStatus(uint8(PackedJob.unwrap(self)));
    }

    function feeBps(PackedJob self) internal pure returns (uint16) {
        return uint16(PackedJob.unwrap(self) >> FEE_SHIFT);
    }

    function priceBps(PackedJob self) internal pure returns (uint16) {
        return uint16(PackedJob.unwrap(self) >> PRICE_SHIFT);
    }

    function windowEnd(PackedJob self) internal pure returns (uint40) {
        return uint40(PackedJob.unwrap(self) >> WINDOW_SHIFT);
    }

    function host(PackedJob self) internal pure returns (address) {
        return address(uint160(PackedJob.unwrap(self) >> HOST_SHIFT));
    }

    /// @dev What the host asks of `maxPrice`, base units.
    function priceRoundedDown(PackedJob self, uint96 maxPrice) internal pure returns (uint96) {
        return shareRoundedDown(maxPrice, priceBps(self));
    }

    /// @dev The protocol's part of `amount`, base units; what rounding loses stays the host's.
    function feeRoundedDown(PackedJob self, uint96 amount) internal pure returns (uint96) {
        return shareRoundedDown(amount, feeBps(self));
    }

    /// @dev `bps` basis points of `amount`. At most 10,000 of them, so the share fits where the whole does.
    function shareRoundedDown(uint96 amount, uint16 bps) internal pure returns (uint96) {
        unchecked {
            // 96 bits times 16 bits fit 256.
            return uint96(uint256(amount) * bps / BASIS_POINTS);
        }
    }

    /// @dev The same, rounded up.
    function shareRoundedUp(uint96 amount, uint16 bps) internal pure returns (uint96) {
        unchecked {
            // 96 bits times 16 bits and the divisor fit 256.
            return uint96((uint256(amount) * bps + BASIS_POINTS - 1) / BASIS_POINTS);
        }
    }

    // forge-lint: disable-end(unsafe-typecast)

    function claimed(PackedJob self, address by, uint16 priceBps_) internal pure returns (PackedJob) {
        return _with(self, JobStatus.Claimed, uint256(priceBps_) << PRICE_SHIFT | uint256(uint160(by)) << HOST_SHIFT);
    }

    /// @dev Completed or Disputed, until `end`.
    function waiting(PackedJob self, JobStatus next, uint40 end) internal pure returns (PackedJob) {
        return _with(self, next, uint256(end) << WINDOW_SHIFT);
    }

    /// @dev The slot is never cleared: the terms of a closed job cannot be posted again.
    function closed(PackedJob self) internal pure returns (PackedJob) {
        return _with(self, JobStatus.Closed, 0);
    }

    function unpack(PackedJob self) internal pure returns (Job memory) {
        return Job({
            status: status(self),
            feeBps: feeBps(self),
            priceBps: priceBps(self),
            windowEnd: windowEnd(self),
            host: host(self)
        });
    }

    /// @dev Another status, no window, and `fields` set among what was empty.
    function _with(PackedJob self, JobStatus next, uint256 fields) private pure returns (PackedJob) {
        return PackedJob.wrap(PackedJob.unwrap(self) & ~(STATUS_MASK | WINDOW_MASK) | uint256(next) | fields);
    }
}
