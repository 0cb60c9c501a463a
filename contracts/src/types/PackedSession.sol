// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Session, SessionStatus} from "../interfaces/SessionTypes.sol";

/// @dev A `Session` in the one word it is stored in, from the lowest bit: status 8, feeBps 16, challengeEnd 40,
/// presented 96, topUp 96. A value type rather than a storage struct, so that every change is one SLOAD and one
/// SSTORE, and so that no change can touch a field it does not name.
type PackedSession is uint256;

using PackedSessionLib for PackedSession global;

/// @title Reads and changes of a packed session.
library PackedSessionLib {
    uint256 private constant FEE_SHIFT = 8;
    uint256 private constant CHALLENGE_SHIFT = 24;
    uint256 private constant PRESENTED_SHIFT = 64;
    uint256 private constant TOP_UP_SHIFT = 160;
    uint256 private constant STATUS_MASK = type(uint8).max;
    uint256 private constant FEE_MASK = uint256(type(uint16).max) << FEE_SHIFT;
    uint256 private constant CHALLENGE_MASK = uint256(type(uint40).max) << CHALLENGE_SHIFT;
    uint256 private constant PRESENTED_MASK = uint256(type(uint96).max) << PRESENTED_SHIFT;
    uint256 private constant TOP_UP_MASK = uint256(type(uint96).max) << TOP_UP_SHIFT;
    uint256 private constant BASIS_POINTS = 10_000;

    function opened(uint16 fee) internal pure returns (PackedSession) {
        return PackedSession.wrap(uint256(SessionStatus.Active) | uint256(fee) << FEE_SHIFT);
    }

    // Cutting a field out of the word is what the casts below are for.
    // forge-lint: disable-start(unsafe-typecast)

    function status(PackedSession self) internal pure returns (SessionStatus) {
        return SessionStatus(uint8(PackedSession.unwrap(self)));
    }

    function feeBps(PackedSession self) internal pure returns (uint16) {
        return uint16(PackedSession.unwrap(self) >> FEE_SHIFT);
    }

    function challengeEnd(PackedSession self) internal pure returns (uint40) {
        return uint40(PackedSession.unwrap(self) >> CHALLENGE_SHIFT);
    }

    function presented(PackedSession self) internal pure returns (uint96) {
        return uint96(PackedSession.unwrap(self) >> PRESENTED_SHIFT);
    }

    function topUp(PackedSession self) internal pure returns (uint96) {
        return uint96(PackedSession.unwrap(self) >> TOP_UP_SHIFT);
    }

    // forge-lint: disable-end(unsafe-typecast)

    /// @dev Neither a session that never was nor one that is over.
    function isOpen(PackedSession self) internal pure returns (bool) {
        uint256 current = PackedSession.unwrap(self) & STATUS_MASK;
        unchecked {
            // Active and Closing follow each other; what is below Active wraps round to above both.
            return current - uint256(SessionStatus.Active) < 2;
        }
    }

    /// @dev The protocol's part of `amount`, base units; what rounding loses stays the host's.
    function feeRoundedDown(PackedSession self, uint96 amount) internal pure returns (uint96) {
        unchecked {
            // 96 bits times 16 bits fit 256. At most MAX_FEE_BPS, a tenth, of 96 bits fits 96.
            // forge-lint: disable-next-line(unsafe-typecast)
            return uint96(uint256(amount) * feeBps(self) / BASIS_POINTS);
        }
    }

    function withTopUp(PackedSession self, uint96 topUp_) internal pure returns (PackedSession) {
        return _with(self, ~TOP_UP_MASK, uint256(topUp_) << TOP_UP_SHIFT);
    }

    function withPresented(PackedSession self, uint96 presented_) internal pure returns (PackedSession) {
        return _with(self, ~PRESENTED_MASK, uint256(presented_) << PRESENTED_SHIFT);
    }

    function closing(PackedSession self, uint40 challengeEnd_, uint96 presented_)
        internal
        pure
        returns (PackedSession)
    {
        return _with(
            self,
            FEE_MASK | TOP_UP_MASK,
            uint256(SessionStatus.Closing) | uint256(challengeEnd_) << CHALLENGE_SHIFT | uint256(presented_)
                << PRESENTED_SHIFT
        );
    }

    /// @dev The slot is never cleared: a closed session's terms cannot be opened again, and the amount it was
    /// settled at can be read without its event, as can whether its renter had asked to close.
    function closed(PackedSession self, uint96 settledAt) internal pure returns (PackedSession) {
        return _with(
            self,
            FEE_MASK | CHALLENGE_MASK | TOP_UP_MASK,
            uint256(SessionStatus.Closed) | uint256(settledAt) << PRESENTED_SHIFT
        );
    }

    function unpack(PackedSession self) internal pure returns (Session memory) {
        return Session({
            status: status(self),
            feeBps: feeBps(self),
            challengeEnd: challengeEnd(self),
            presented: presented(self),
            topUp: topUp(self)
        });
    }

    /// @dev Keeps the bits under `kept` and sets `fields` among the others.
    function _with(PackedSession self, uint256 kept, uint256 fields) private pure returns (PackedSession) {
        return PackedSession.wrap(PackedSession.unwrap(self) & kept | fields);
    }
}
