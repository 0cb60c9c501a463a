// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {CloseReason, Completion, Session, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";

contract CompleteSessionJobTest is Fixture {
    function test_refusesAnybodyButTheHost() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        Completion memory completion = _completion(terms, 1);
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotHost.selector, renter));
        market.completeSessionJob(completion);
    }

    function test_refusesUnknownSession() public {
        SessionTerms memory terms = _nativeTerms();
        _refused(_completion(terms, 1), abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
    }

    function test_refusesTermsThatDifferInAnyField() public {
        _open(_nativeTerms());
        SessionTerms memory terms = _nativeTerms();
        terms.deposit += 1;
        _refusedAsUnknown(terms);
        terms = _nativeTerms();
        terms.renter = host;
        _refusedAsUnknown(terms);
        terms = _nativeTerms();
        terms.voucherKey = host;
        _refusedAsUnknown(terms);
        terms = _nativeTerms();
        terms.token = address(usdc);
        _refusedAsUnknown(terms);
        terms = _nativeTerms();
        terms.expiry += 1;
        _refusedAsUnknown(terms);
    }

    function test_refusesDirtyBitsInTheTerms() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        bytes memory data = abi.encodeCall(market.completeSessionJob, (_completion(terms, 1)));
        // Selector, offset of the completion, then the terms: their fifth word is the 40-bit expiry.
        data[4 + 32 + 4 * 32] = 0x01;
        vm.prank(host);
        (bool ok,) = address(market).call(data);
        assertFalse(ok);
    }

    function test_refusesSecondCompletion() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        Completion memory completion = _completion(terms, 1);
        vm.prank(host);
        market.completeSessionJob(completion);
        _refused(completion, abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
    }

    function test_refusesVoucherOfAnotherSession() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        SessionTerms memory other = _nativeTerms();
        other.salt = 0;
        _open(other);
        Completion memory completion = _completion(other, 1);
        completion.terms = terms;
        _refused(completion, abi.encodeWithSelector(IJobMarketplace.WrongSession.selector, _idOf(terms), _idOf(other)));
    }

    function test_refusesClaimAboveVoucher(uint96 amount, uint96 claim) public {
        amount = uint96(bound(amount, 0, DEPOSIT - 1));
        claim = uint96(bound(claim, uint256(amount) + 1, DEPOSIT));
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        Completion memory completion = _completion(terms, amount);
        completion.claim = claim;
        _refused(completion, abi.encodeWithSelector(IJobMarketplace.ClaimAboveVoucher.selector, claim, amount));
    }

    function test_refusesClaimAboveDeposit(uint96 claim) public {
        claim = uint96(bound(claim, uint256(DEPOSIT) + 1, type(uint96).max));
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _refused(
            _completion(terms, claim),
            abi.encodeWithSelector(IJobMarketplace.AmountAboveDeposit.selector, claim, DEPOSIT)
        );
    }

    function test_refusesClaimBelowPresented() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 1000);
        _refused(_completion(terms, 999), abi.encodeWithSelector(IJobMarketplace.AmountNotHigher.selector, 999, 1000));
    }

    function test_refusesClaimWithoutVoucher() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        Completion memory completion = _completion(terms, 1);
        completion.signature = "";
        _refused(completion, abi.encodeWithSelector(IJobMarketplace.BadSignature.selector));
    }

    /// A claim of zero needs no signature, but one that is there must be good: the event carries its token count.
    function test_refusesBadSignatureEvenOverNothing() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        Completion memory completion = _completion(terms, 0);
        completion.voucher.tokens += 1;
        _refused(completion, abi.encodeWithSelector(IJobMarketplace.BadSignature.selector));
    }

    function test_paysWhatTheVoucherSays(uint96 deposit, uint96 amount, uint96 claim) public {
        deposit = uint96(bound(deposit, 1, 1000 ether));
        amount = uint96(bound(amount, 1, type(uint96).max));
        claim = uint96(bound(claim, 0, amount < deposit ? amount : deposit));
        SessionTerms memory terms = _terms(NATIVE, deposit);
        bytes32 id = _open(terms);
        Completion memory completion = _completion(terms, amount);
        completion.claim = claim;
        uint256 before = renter.balance;

        uint96 fee = _feeOf(claim);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosed(
            id,
            host,
            renter,
            CloseReason.Completed,
            NATIVE,
            claim - fee,
            fee,
            deposit - claim,
            1234,
            keccak256("transcript")
        );
        if (claim - fee != 0) {
            vm.expectEmit(address(market));
            emit IPaymentEscrow.Credited(host, NATIVE, claim - fee);
        }
        vm.prank(host);
        market.completeSessionJob(completion);

        assertEq(market.balanceOf(host, NATIVE), claim - fee);
        assertEq(market.feesOf(host, NATIVE), fee);
        assertEq(renter.balance - before, deposit - claim);
        assertEq(address(market).balance, claim);
        Session memory session = market.sessions(id);
        assertEq(uint8(session.status), uint8(SessionStatus.Closed));
        assertEq(session.presented, claim);
    }

    function test_paysErc20(uint96 claim) public {
        claim = uint96(bound(claim, 0, USDC_DEPOSIT));
        SessionTerms memory terms = _usdcTerms();
        _open(terms);
        uint256 before = usdc.balanceOf(renter);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, claim));
        assertEq(market.balanceOf(host, address(usdc)), claim - _feeOf(claim));
        assertEq(market.feesOf(host, address(usdc)), _feeOf(claim));
        assertEq(usdc.balanceOf(renter) - before, USDC_DEPOSIT - claim);
        assertEq(usdc.balanceOf(address(market)), claim);
    }

    function test_refundsEverythingWithoutAVoucher() public {
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosed(
            id, host, renter, CloseReason.Completed, NATIVE, 0, 0, DEPOSIT, 0, bytes32(0)
        );
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(terms, 0));
        assertEq(address(market).balance, 0);
    }

    function test_acceptsWhatTheRenterAcknowledgedWithoutAVoucher() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, DEPOSIT / 2);
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(terms, DEPOSIT / 2));
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT / 2 - _feeOf(DEPOSIT / 2));
    }

    function test_completesWhileClosing() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 1);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, DEPOSIT));
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT - _feeOf(DEPOSIT));
        _assertStatus(terms, SessionStatus.Closed);
    }

    function test_completesAfterExpiryUntilSomebodyCloses() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.warp(terms.expiry + 3 days);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        _assertStatus(terms, SessionStatus.Closed);
    }

    function test_completesAfterTheHostLeft() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        vm.prank(host);
        nodes.withdrawStake();
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        assertEq(market.balanceOf(host, NATIVE), 1000 - _feeOf(1000));
    }

    function test_chargesTheFeeOfTheOpening() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(owner);
        market.setFeeBps(0);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 10_000));
        assertEq(market.feesOf(host, NATIVE), FEE_BPS);
        SessionTerms memory next = _nativeTerms();
        next.salt = 0;
        _open(next);
        vm.prank(host);
        market.completeSessionJob(_completion(next, 10_000));
        assertEq(market.feesOf(host, NATIVE), FEE_BPS);
        assertEq(market.balanceOf(host, NATIVE), 20_000 - FEE_BPS);
    }

    function _refused(Completion memory completion, bytes memory reason) private {
        vm.prank(host);
        vm.expectRevert(reason);
        market.completeSessionJob(completion);
    }

    function _refusedAsUnknown(SessionTerms memory terms) private {
        _refused(_completion(terms, 1), abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
    }
}
