// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {CloseReason, Session, SessionStatus, SessionTerms, Voucher} from "../src/interfaces/SessionTypes.sol";

/// @title requestSessionClose, presentVoucher, finalizeSession.
contract UnilateralCloseTest is Fixture {
    // --- requestSessionClose

    function test_requestRefusesAnybodyButTheRenter() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotRenter.selector, host));
        market.requestSessionClose(terms, 0);
    }

    function test_requestRefusesUnknownClosingAndClosedSessions() public {
        SessionTerms memory terms = _nativeTerms();
        bytes memory notOpen = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms));
        vm.startPrank(renter);
        vm.expectRevert(notOpen);
        market.requestSessionClose(terms, 0);
        market.createSessionJob{value: DEPOSIT}(terms);
        market.requestSessionClose(terms, 0);
        // Asking again would restart the window, or take back what was acknowledged.
        vm.expectRevert(notOpen);
        market.requestSessionClose(terms, 0);
        vm.warp(START + 1 hours);
        market.finalizeSession(terms);
        vm.expectRevert(notOpen);
        market.requestSessionClose(terms, 0);
    }

    function test_requestRefusesMoreThanTheDeposit() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.AmountAboveDeposit.selector, DEPOSIT + 1, DEPOSIT));
        market.requestSessionClose(terms, DEPOSIT + 1);
    }

    function test_requestStartsTheWindow(uint96 acknowledged) public {
        acknowledged = uint96(bound(acknowledged, 0, DEPOSIT));
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosing(id, uint40(START + 1 hours), acknowledged);
        _close(terms, acknowledged);
        Session memory session = market.sessions(id);
        assertEq(uint8(session.status), uint8(SessionStatus.Closing));
        assertEq(session.challengeEnd, START + 1 hours);
        assertEq(session.presented, acknowledged);
        assertEq(session.feeBps, FEE_BPS);
    }

    // --- presentVoucher

    function test_presentRefusesSessionsThatAreNotClosing() public {
        SessionTerms memory terms = _nativeTerms();
        bytes memory notClosing = abi.encodeWithSelector(IJobMarketplace.SessionNotClosing.selector, _idOf(terms));
        _presentRefused(terms, 1, notClosing);
        _open(terms);
        _presentRefused(terms, 1, notClosing);
        _close(terms, 0);
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(terms, 0));
        _presentRefused(terms, 1, notClosing);
    }

    function test_presentRefusesVoucherOfAnotherSession() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        SessionTerms memory other = _usdcTerms();
        Voucher memory voucher = _voucher(other, 1);
        bytes memory signature = _signed(voucher);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.WrongSession.selector, _idOf(terms), _idOf(other)));
        market.presentVoucher(terms, voucher, signature);
    }

    function test_presentRefusesWhatIsNotHigher(uint96 acknowledged, uint96 amount) public {
        acknowledged = uint96(bound(acknowledged, 0, DEPOSIT));
        amount = uint96(bound(amount, 0, acknowledged));
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, acknowledged);
        _presentRefused(
            terms, amount, abi.encodeWithSelector(IJobMarketplace.AmountNotHigher.selector, amount, acknowledged)
        );
    }

    function test_presentRefusesBadSignature() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        Voucher memory voucher = _voucher(terms, 1);
        bytes memory signature = _signed(voucher);
        voucher.amount = 2;
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.presentVoucher(terms, voucher, signature);
    }

    function test_presentRaisesTheAmountForAnyCaller() public {
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        _close(terms, 10);
        vm.expectEmit(address(market));
        emit IJobMarketplace.VoucherPresented(id, 11);
        _present(terms, 11);
        _present(terms, 500);
        Session memory session = market.sessions(id);
        assertEq(session.presented, 500);
        assertEq(session.challengeEnd, START + 1 hours);
    }

    /// A renter who signed more than it put in owes all of it, and no more.
    function test_presentCountsAVoucherAboveTheDepositAsTheDeposit() public {
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        _close(terms, 0);
        vm.expectEmit(address(market));
        emit IJobMarketplace.VoucherPresented(id, DEPOSIT);
        _present(terms, DEPOSIT + 5);
        _presentRefused(
            terms, DEPOSIT + 6, abi.encodeWithSelector(IJobMarketplace.AmountNotHigher.selector, DEPOSIT, DEPOSIT)
        );
    }

    function test_presentCountsUntilSomebodyFinalises() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        vm.warp(START + 2 hours);
        _present(terms, 7);
        market.finalizeSession(terms);
        assertEq(market.balanceOf(host, NATIVE), 7);
    }

    // --- finalizeSession

    function test_finalizeRefusesSessionsThatAreNotClosing() public {
        SessionTerms memory terms = _nativeTerms();
        bytes memory notClosing = abi.encodeWithSelector(IJobMarketplace.SessionNotClosing.selector, _idOf(terms));
        vm.expectRevert(notClosing);
        market.finalizeSession(terms);
        _open(terms);
        vm.expectRevert(notClosing);
        market.finalizeSession(terms);
        _close(terms, 0);
        vm.warp(START + 1 hours);
        market.finalizeSession(terms);
        vm.expectRevert(notClosing);
        market.finalizeSession(terms);
    }

    function test_finalizeRefusesWhileTheWindowRuns() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        vm.warp(START + 1 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.ChallengeRunning.selector, START + 1 hours));
        market.finalizeSession(terms);
    }

    function test_finalizePaysTheHighestAmountPresented(uint96 acknowledged, uint96 amount) public {
        acknowledged = uint96(bound(acknowledged, 0, DEPOSIT - 1));
        amount = uint96(bound(amount, acknowledged + 1, DEPOSIT));
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        _close(terms, acknowledged);
        _present(terms, amount);
        vm.warp(START + 1 hours);
        uint256 before = renter.balance;
        uint96 fee = _feeOf(amount);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosed(
            id, host, renter, CloseReason.Finalized, NATIVE, amount - fee, fee, DEPOSIT - amount, 0, bytes32(0)
        );
        vm.prank(stranger);
        market.finalizeSession(terms);
        assertEq(market.balanceOf(host, NATIVE), amount - fee);
        assertEq(market.feesOf(host, NATIVE), fee);
        assertEq(renter.balance - before, DEPOSIT - amount);
        _assertStatus(terms, SessionStatus.Closed);
    }

    function _present(SessionTerms memory terms, uint96 amount) private {
        Voucher memory voucher = _voucher(terms, amount);
        bytes memory signature = _signed(voucher);
        vm.prank(stranger);
        market.presentVoucher(terms, voucher, signature);
    }

    function _presentRefused(SessionTerms memory terms, uint96 amount, bytes memory reason) private {
        Voucher memory voucher = _voucher(terms, amount);
        bytes memory signature = _signed(voucher);
        vm.expectRevert(reason);
        market.presentVoucher(terms, voucher, signature);
    }
}
