// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {Session, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";

contract CreateSessionJobTest is Fixture {
    function test_refusesWrongNativeValue() public {
        SessionTerms memory terms = _nativeTerms();
        vm.startPrank(renter);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, DEPOSIT - 1, DEPOSIT));
        market.createSessionJob{value: DEPOSIT - 1}(terms);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 0, DEPOSIT));
        market.createSessionJob(terms);
    }

    function test_refusesValueWithErc20() public {
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 1, 0));
        market.createSessionJob{value: 1}(_usdcTerms());
    }

    function test_refusesAnybodyButTheRenter() public {
        SessionTerms memory terms = _nativeTerms();
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotRenter.selector, stranger));
        market.createSessionJob{value: DEPOSIT}(terms);
    }

    function test_refusesZeroDeposit() public {
        SessionTerms memory terms = _terms(NATIVE, 0);
        vm.prank(renter);
        vm.expectRevert(IJobMarketplace.ZeroDeposit.selector);
        market.createSessionJob(terms);
    }

    function test_refusesZeroVoucherKey() public {
        SessionTerms memory terms = _nativeTerms();
        terms.voucherKey = address(0);
        _refused(terms, abi.encodeWithSelector(IJobMarketplace.ZeroVoucherKey.selector));
    }

    function test_refusesExpiryThatIsNotInRange(uint40 expiry) public {
        uint40 nowAt = uint40(START);
        vm.assume(expiry <= nowAt || expiry > nowAt + 30 days);
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = expiry;
        _refused(
            terms, abi.encodeWithSelector(IJobMarketplace.ExpiryOutOfRange.selector, expiry, nowAt + 1, nowAt + 30 days)
        );
    }

    function test_takesBothEndsOfTheExpiryRange() public {
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = uint40(START + 1);
        _open(terms);
        terms.expiry = uint40(START + 30 days);
        _open(terms);
    }

    function test_refusesTermsOpenedBefore() public {
        SessionTerms memory terms = _nativeTerms();
        bytes32 id = _open(terms);
        bytes memory exists = abi.encodeWithSelector(IJobMarketplace.SessionExists.selector, id);
        _refused(terms, exists);
        _close(terms, 0);
        _refused(terms, exists);
        vm.warp(START + 1 hours);
        market.finalizeSession(terms);
        _refused(terms, exists);
    }

    function test_refusesHostThatDoesNotServe() public {
        SessionTerms memory terms = _nativeTerms();
        terms.host = stranger;
        _refusedAsNotServing(terms);

        terms = _nativeTerms();
        terms.model = keccak256("another model");
        _refusedAsNotServing(terms);

        terms = _nativeTerms();
        vm.prank(host);
        nodes.removeOffer(MODEL, NATIVE);
        _refusedAsNotServing(terms);
    }

    function test_refusesUnbondingHost() public {
        vm.prank(host);
        nodes.startUnbonding();
        _refusedAsNotServing(_nativeTerms());
        vm.prank(host);
        nodes.cancelUnbonding();
        _open(_nativeTerms());
    }

    function test_refusesMissingAllowance() public {
        vm.prank(renter);
        usdc.approve(address(market), USDC_DEPOSIT - 1);
        vm.prank(renter);
        vm.expectRevert();
        market.createSessionJob(_usdcTerms());
    }

    function test_opensNative(uint96 deposit, uint40 lifetime, bytes32 salt) public {
        SessionTerms memory terms = _terms(NATIVE, uint96(bound(deposit, 1, 1000 ether)));
        terms.expiry = uint40(START + bound(lifetime, 1, 30 days));
        terms.salt = salt;
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionOpened(_idOf(terms), host, renter, terms, FEE_BPS);
        bytes32 id = _open(terms);
        assertEq(id, _idOf(terms));
        assertEq(market.sessionIdOf(terms), id);
        assertEq(address(market).balance, terms.deposit);
        _assertFresh(terms);
    }

    function test_opensErc20(uint96 deposit) public {
        SessionTerms memory terms = _terms(address(usdc), uint96(bound(deposit, 1, 1_000_000e6)));
        _open(terms);
        assertEq(usdc.balanceOf(address(market)), terms.deposit);
        _assertFresh(terms);
    }

    function test_keepsTheFeeOfItsOpening() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(owner);
        market.setFeeBps(1000);
        assertEq(market.sessions(_idOf(terms)).feeBps, FEE_BPS);
    }

    function _assertFresh(SessionTerms memory terms) private view {
        (bytes32 id, Session memory session) = market.getJob(terms);
        assertEq(id, _idOf(terms));
        assertEq(uint8(session.status), uint8(SessionStatus.Active));
        assertEq(session.feeBps, FEE_BPS);
        assertEq(session.challengeEnd, 0);
        assertEq(session.presented, 0);
        assertEq(session.topUp, 0);
    }

    function _refused(SessionTerms memory terms, bytes memory reason) private {
        vm.prank(renter);
        vm.expectRevert(reason);
        market.createSessionJob{value: terms.deposit}(terms);
    }

    function _refusedAsNotServing(SessionTerms memory terms) private {
        _refused(
            terms, abi.encodeWithSelector(IJobMarketplace.HostNotServing.selector, terms.host, terms.model, terms.token)
        );
    }
}
