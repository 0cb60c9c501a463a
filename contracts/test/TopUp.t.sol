// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";

contract TopUpTest is Fixture {
    function test_refusesWrongValue() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.startPrank(renter);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 1, 2));
        market.topUp{value: 1}(terms, 2);
        SessionTerms memory usdcTerms = _usdcTerms();
        market.createSessionJob(usdcTerms);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 1, 0));
        market.topUp{value: 1}(usdcTerms, 1);
    }

    function test_refusesZero() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.expectRevert(IJobMarketplace.ZeroDeposit.selector);
        market.topUp(terms, 0);
    }

    function test_refusesUnknownClosingAndClosedSessions() public {
        SessionTerms memory terms = _nativeTerms();
        vm.deal(address(this), 1 ether);
        bytes memory notOpen = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms));
        vm.expectRevert(notOpen);
        market.topUp{value: 1}(terms, 1);
        _open(terms);
        _close(terms, 0);
        vm.expectRevert(notOpen);
        market.topUp{value: 1}(terms, 1);
        vm.warp(START + 1 hours);
        market.finalizeSession(terms);
        vm.expectRevert(notOpen);
        market.topUp{value: 1}(terms, 1);
    }

    function test_refusesExpiredSession() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.deal(address(this), 1 ether);
        vm.warp(terms.expiry);
        market.topUp{value: 1}(terms, 1);
        vm.warp(terms.expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionExpired.selector, _idOf(terms)));
        market.topUp{value: 1}(terms, 1);
    }

    function test_refusesSumAbove96Bits() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        uint96 rest = type(uint96).max - DEPOSIT;
        vm.deal(renter, type(uint128).max);
        vm.startPrank(renter);
        vm.expectRevert(IJobMarketplace.DepositTooLarge.selector);
        market.topUp{value: uint256(rest) + 1}(terms, rest + 1);
        market.topUp{value: rest}(terms, rest);
        vm.expectRevert(IJobMarketplace.DepositTooLarge.selector);
        market.topUp{value: 1}(terms, 1);
    }

    function test_addsUpFromAnyPayer(uint96 first, uint96 second) public {
        SessionTerms memory terms = _usdcTerms();
        _open(terms);
        first = uint96(bound(first, 1, 1e18));
        second = uint96(bound(second, 1, 1e18));
        usdc.mint(renter, first);
        usdc.mint(stranger, second);
        vm.prank(stranger);
        usdc.approve(address(market), second);

        vm.prank(renter);
        market.topUp(terms, first);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionToppedUp(_idOf(terms), stranger, second, first + second);
        vm.prank(stranger);
        market.topUp(terms, second);

        assertEq(market.sessions(_idOf(terms)).topUp, first + second);
        assertEq(usdc.balanceOf(address(market)), uint256(USDC_DEPOSIT) + first + second);
    }

    function test_theRefundOfATopUpIsTheRenters() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        market.topUp{value: 1 ether}(terms, 1 ether);
        uint256 before = renter.balance;
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(terms, 0));
        assertEq(renter.balance - before, DEPOSIT + 1 ether);
    }

    function test_theHostMayClaimIntoATopUp() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(renter);
        market.topUp{value: 1 ether}(terms, 1 ether);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, DEPOSIT + 1 ether));
        uint96 fee = _feeOf(DEPOSIT + 1 ether);
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT + 1 ether - fee);
        assertEq(market.feesOf(host, NATIVE), fee);
    }
}
