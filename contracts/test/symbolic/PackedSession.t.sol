// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Session, SessionStatus} from "../../src/interfaces/SessionTypes.sol";
import {PackedSession, PackedSessionLib} from "../../src/types/PackedSession.sol";

/// @title The word a session is stored in, proven for every word and every value.
/// @dev Functions named `check_` are read by a symbolic executor (`cargo xtask contracts-symbolic`): an assertion
/// holds for all arguments or a counterexample is shown. `word` is any word with a status in it, whether or not a
/// session could ever get there.
contract PackedSessionSymbolicTest is Test {
    uint256 private constant BASIS_POINTS = 10_000;
    uint16 private constant MAX_FEE_BPS = 1000;

    function check_aNewSessionIsActiveAndElseEmpty(uint16 fee) external pure {
        _assertIs(PackedSessionLib.opened(fee), SessionStatus.Active, fee, 0, 0, 0);
    }

    function check_topUpTouchesNothingElse(uint256 word, uint96 value) external pure {
        Session memory was = _session(word).unpack();
        _assertIs(_session(word).withTopUp(value), was.status, was.feeBps, was.challengeEnd, was.presented, value);
    }

    function check_presentingTouchesNothingElse(uint256 word, uint96 value) external pure {
        Session memory was = _session(word).unpack();
        _assertIs(_session(word).withPresented(value), was.status, was.feeBps, was.challengeEnd, value, was.topUp);
    }

    function check_closingKeepsFeeAndTopUp(uint256 word, uint40 end, uint96 presented) external pure {
        Session memory was = _session(word).unpack();
        _assertIs(_session(word).closing(end, presented), SessionStatus.Closing, was.feeBps, end, presented, was.topUp);
    }

    function check_closedKeepsFeeEndAndTopUp(uint256 word, uint96 settledAt) external pure {
        Session memory was = _session(word).unpack();
        PackedSession now_ = _session(word).closed(settledAt);
        _assertIs(now_, SessionStatus.Closed, was.feeBps, was.challengeEnd, settledAt, was.topUp);
    }

    /// Five fields fill the word: with all of them known, no bit is left to hide in.
    function check_theFieldsAreTheWholeWord(uint256 word, uint256 other) external pure {
        Session memory a = _session(word).unpack();
        Session memory b = _session(other).unpack();
        vm.assume(a.status == b.status && a.feeBps == b.feeBps && a.challengeEnd == b.challengeEnd);
        vm.assume(a.presented == b.presented && a.topUp == b.topUp);
        assert(word == other);
    }

    function check_openMeansActiveOrClosing(uint256 word) external pure {
        PackedSession session = _session(word);
        SessionStatus status = session.status();
        assert(session.isOpen() == (status == SessionStatus.Active || status == SessionStatus.Closing));
    }

    /// host + fee + refund == total, and none of the three is negative, for every fee the owner can set.
    function check_theSplitLosesNothing(uint96 deposit, uint96 claim, uint16 bps) external pure {
        vm.assume(bps <= MAX_FEE_BPS && claim <= deposit);
        uint96 fee = PackedSessionLib.opened(bps).feeRoundedDown(claim);
        assert(fee <= claim);
        uint256 host = claim - fee;
        uint256 refund = deposit - claim;
        assert(host + fee + refund == deposit);
    }

    function check_theFeeIsRoundedDown(uint96 claim, uint16 bps) external pure {
        vm.assume(bps <= MAX_FEE_BPS);
        assert(PackedSessionLib.opened(bps).feeRoundedDown(claim) == uint256(claim) * bps / BASIS_POINTS);
    }

    function check_theFeeIsAtMostATenth(uint96 claim, uint16 bps) external pure {
        vm.assume(bps <= MAX_FEE_BPS);
        assert(uint256(PackedSessionLib.opened(bps).feeRoundedDown(claim)) * 10 <= claim);
    }

    function _session(uint256 word) private pure returns (PackedSession) {
        vm.assume(uint8(word) <= uint8(SessionStatus.Closed));
        return PackedSession.wrap(word);
    }

    function _assertIs(
        PackedSession session,
        SessionStatus status,
        uint16 fee,
        uint40 end,
        uint96 presented,
        uint96 topUp
    ) private pure {
        assert(session.status() == status);
        assert(session.feeBps() == fee);
        assert(session.challengeEnd() == end);
        assert(session.presented() == presented);
        assert(session.topUp() == topUp);
    }
}
