// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {CloseReason, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";

contract TriggerSessionTimeoutTest is Fixture {
    function test_refusesUnknownAndClosedSessions() public {
        SessionTerms memory terms = _nativeTerms();
        vm.warp(terms.expiry + 1 hours);
        bytes memory notOpen = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms));
        vm.expectRevert(notOpen);
        market.triggerSessionTimeout(terms);
        vm.warp(START);
        _open(terms);
        vm.warp(terms.expiry + 1 hours);
        market.triggerSessionTimeout(terms);
        vm.expectRevert(notOpen);
        market.triggerSessionTimeout(terms);
    }

    function test_refusesBeforeExpiryAndGrace(uint40 moment) public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        uint40 timeoutAt = terms.expiry + 1 hours;
        vm.warp(bound(moment, START, timeoutAt - 1));
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotExpired.selector, timeoutAt));
        market.triggerSessionTimeout(terms);
    }

    function test_refundsAnActiveSession() public {
        SessionTerms memory terms = _usdcTerms();
        bytes32 id = _open(terms);
        vm.warp(terms.expiry + 1 hours);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosed(
            id, host, renter, CloseReason.TimedOut, address(usdc), 0, 0, USDC_DEPOSIT, 0, bytes32(0)
        );
        vm.prank(stranger);
        market.triggerSessionTimeout(terms);
        assertEq(usdc.balanceOf(address(market)), 0);
        _assertStatus(terms, SessionStatus.Closed);
    }

    function test_paysWhatWasPresented(uint96 acknowledged) public {
        acknowledged = uint96(bound(acknowledged, 0, DEPOSIT));
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, acknowledged);
        vm.warp(terms.expiry + 1 hours);
        market.triggerSessionTimeout(terms);
        assertEq(market.balanceOf(host, NATIVE), acknowledged - _feeOf(acknowledged));
        assertEq(address(market).balance, acknowledged);
    }
}
