// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Fixture} from "./Fixture.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {NoReturnToken, WeirdToken} from "./mocks/WeirdToken.sol";

/// @title Tokens that do not do what ERC-20 promises.
contract WeirdTokensTest is Fixture {
    WeirdToken private _weird;

    function setUp() public override {
        super.setUp();
        _weird = new WeirdToken();
        _serveToken(address(_weird));
        _weird.mint(renter, 10 * DEPOSIT);
        vm.prank(renter);
        _weird.approve(address(market), type(uint256).max);
    }

    function test_feeOnTransferIsRefusedOnEntry() public {
        SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
        _weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        bytes memory short =
            abi.encodeWithSelector(IPaymentEscrow.UnexpectedTransferAmount.selector, DEPOSIT - DEPOSIT / 100, DEPOSIT);
        vm.startPrank(renter);
        vm.expectRevert(short);
        market.createSessionJob(terms);
        vm.expectRevert(short);
        market.createSessionJobWithPermit(terms, 0, 0, 0, 0);
        _weird.setMode(WeirdToken.Mode.Normal);
        market.createSessionJob(terms);
        _weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.UnexpectedTransferAmount.selector, 99, 100));
        market.topUp(terms, 100);
    }

    function test_falseIsRefusedOnEntry() public {
        _weird.setMode(WeirdToken.Mode.ReturnsFalse);
        SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_weird)));
        market.createSessionJob(terms);
    }

    function test_addressWithoutCodeIsRefusedOnEntry() public {
        address nothing = makeAddr("nothing");
        _serveToken(nothing);
        SessionTerms memory terms = _terms(nothing, DEPOSIT);
        vm.startPrank(renter);
        vm.expectRevert();
        market.createSessionJob(terms);
        vm.expectRevert();
        market.createSessionJobWithPermit(terms, 0, 0, 0, 0);
    }

    /// However the token refuses the refund, the session closes, the host is paid and the renter keeps a credit.
    function test_refusedRefundBecomesACredit() public {
        for (uint8 mode = uint8(WeirdToken.Mode.ReturnsFalse); mode <= uint8(WeirdToken.Mode.ReturnBomb); ++mode) {
            uint256 snapshot = vm.snapshotState();
            SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
            _open(terms);
            _weird.setMode(WeirdToken.Mode(mode));
            vm.prank(host);
            market.completeSessionJob(_completion(terms, 1000));
            _assertStatus(terms, SessionStatus.Closed);
            assertEq(market.balanceOf(renter, address(_weird)), DEPOSIT - 1000);
            assertEq(market.balanceOf(host, address(_weird)), 1000 - _feeOf(1000));
            vm.prank(renter);
            vm.expectRevert();
            market.withdraw{gas: 1_000_000}(address(_weird), renter);

            _weird.setMode(WeirdToken.Mode.Normal);
            vm.prank(renter);
            assertEq(market.withdraw(address(_weird), stranger), DEPOSIT - 1000);
            assertEq(_weird.balanceOf(stranger), DEPOSIT - 1000);
            vm.revertToState(snapshot);
        }
    }

    function test_blocklistedRenterWithdrawsElsewhere() public {
        SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
        _open(terms);
        _weird.blockAccount(renter);
        _close(terms, 0);
        vm.warp(START + 1 hours);
        market.finalizeSession(terms);
        assertEq(market.balanceOf(renter, address(_weird)), DEPOSIT);
        address haven = makeAddr("haven");
        vm.prank(renter);
        market.withdraw(address(_weird), haven);
        assertEq(_weird.balanceOf(haven), DEPOSIT);
    }

    /// A token that vanished takes its own ledger with it and nobody else's.
    function test_vanishedTokenDoesNotBlockTheClose() public {
        SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
        _open(terms);
        vm.etch(address(_weird), "");
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        assertEq(market.balanceOf(renter, address(_weird)), DEPOSIT - 1000);
    }

    function test_tokenWithoutReturnValueWorks() public {
        NoReturnToken old = new NoReturnToken();
        _serveToken(address(old));
        old.mint(renter, DEPOSIT);
        vm.prank(renter);
        old.approve(address(market), DEPOSIT);
        SessionTerms memory terms = _terms(address(old), DEPOSIT);
        _open(terms);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        assertEq(old.balanceOf(renter), DEPOSIT - 1000);
        vm.prank(host);
        market.withdraw(address(old), host);
        assertEq(old.balanceOf(host), 1000 - _feeOf(1000));
    }

    /// Called back in the middle of an entry, of a refund and of a withdrawal, nothing can be entered again.
    function test_reentryIsRefused() public {
        SessionTerms memory terms = _terms(address(_weird), DEPOSIT);
        // The token itself has money to take and a session to close.
        SessionTerms memory own = _nativeTerms();
        own.renter = address(_weird);
        vm.deal(address(_weird), 1 ether);
        vm.prank(address(_weird));
        market.createSessionJob{value: DEPOSIT}(own);
        bytes[] memory attacks = new bytes[](6);
        attacks[0] = abi.encodeCall(market.withdraw, (NATIVE, address(_weird)));
        attacks[1] = abi.encodeCall(market.requestSessionClose, (own, 0));
        attacks[2] = abi.encodeCall(market.finalizeSession, (terms));
        attacks[3] = abi.encodeCall(market.topUp, (terms, 1));
        attacks[4] = abi.encodeCall(market.triggerSessionTimeout, (own));
        attacks[5] = abi.encodeCall(market.completeSessionJob, (_bareCompletion(terms, 0)));
        for (uint256 i = 0; i < attacks.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            _weird.setHook(address(market), attacks[i]);
            _open(terms);
            _assertHookRefused();
            vm.prank(host);
            market.completeSessionJob(_completion(terms, DEPOSIT / 2));
            _assertHookRefused();
            vm.prank(host);
            market.withdraw(address(_weird), host);
            _assertHookRefused();
            assertEq(_weird.balanceOf(renter), 10 * DEPOSIT - DEPOSIT / 2);
            assertEq(_weird.balanceOf(address(market)), market.feesOf(host, address(_weird)));
            vm.revertToState(snapshot);
        }
    }

    function _assertHookRefused() private view {
        assertFalse(_weird.hookSucceeded());
        assertEq(
            _weird.hookAnswer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }
}
