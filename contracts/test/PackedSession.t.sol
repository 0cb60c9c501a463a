// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Session, SessionStatus} from "../src/interfaces/SessionTypes.sol";
import {PackedSession, PackedSessionLib} from "../src/types/PackedSession.sol";

/// @title The word a session is stored in: every change touches the fields it names and no other.
contract PackedSessionTest is Test {
    function test_fieldsDoNotTouchEachOther(uint16 fee, uint96 topUp, uint40 end, uint96 presented, uint96 settled)
        public
        pure
    {
        PackedSession session = PackedSessionLib.opened(fee);
        _assertIs(session, SessionStatus.Active, fee, 0, 0, 0);
        session = session.withTopUp(topUp);
        _assertIs(session, SessionStatus.Active, fee, 0, 0, topUp);
        session = session.closing(end, presented);
        _assertIs(session, SessionStatus.Closing, fee, end, presented, topUp);
        session = session.withPresented(settled);
        _assertIs(session, SessionStatus.Closing, fee, end, settled, topUp);
        session = session.closed(settled);
        _assertIs(session, SessionStatus.Closed, fee, end, settled, topUp);
    }

    /// What indexers and other contracts may read from storage.
    function test_liesAsDocumented() public pure {
        PackedSession session = PackedSessionLib.opened(0x1234).withTopUp(0xabcdef).closing(0x56, 0x789a);
        uint256 expected = 2 | 0x1234 << 8 | 0x56 << 24 | 0x789a << 64 | uint256(0xabcdef) << 160;
        assertEq(PackedSession.unwrap(session), expected);
    }

    function test_feeIsRoundedDownAndBelowTheAmount(uint96 amount, uint16 bps) public pure {
        bps = uint16(bound(bps, 0, 1000));
        uint96 fee = PackedSessionLib.opened(bps).feeRoundedDown(amount);
        assertLe(uint256(fee) * 10_000, uint256(amount) * bps);
        assertGt((uint256(fee) + 1) * 10_000, uint256(amount) * bps);
        assertEq(PackedSessionLib.opened(1000).feeRoundedDown(type(uint96).max), type(uint96).max / 10);
    }

    function test_onlyActiveAndClosingAreOpen() public pure {
        assertFalse(PackedSession.wrap(0).isOpen());
        assertTrue(PackedSessionLib.opened(0).isOpen());
        assertTrue(PackedSessionLib.opened(0).closing(1, 1).isOpen());
        assertFalse(PackedSessionLib.opened(0).closed(1).isOpen());
    }

    function _assertIs(
        PackedSession session,
        SessionStatus status,
        uint16 fee,
        uint40 end,
        uint96 presented,
        uint96 topUp
    ) private pure {
        Session memory unpacked = session.unpack();
        assertEq(uint8(unpacked.status), uint8(status));
        assertEq(unpacked.feeBps, fee);
        assertEq(unpacked.challengeEnd, end);
        assertEq(unpacked.presented, presented);
        assertEq(unpacked.topUp, topUp);
    }
}
