// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {Completion, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";

/// @title Renters that are contracts: none can keep its host from being paid.
contract ContractRentersTest is Fixture {
    ContractRenter private _account;
    SessionTerms private _session;

    function setUp() public override {
        super.setUp();
        _account = new ContractRenter();
        vm.deal(address(_account), 10 ether);
        _session = _nativeTerms();
        _session.renter = address(_account);
        _account.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (_session)));
    }

    function test_smartAccountIsPaid() public {
        _complete();
        assertEq(address(_account).balance, 10 ether - 1000);
        assertEq(market.balanceOf(address(_account), NATIVE), 0);
    }

    function test_hostileAccountIsCreditedAndTheHostPaid() public {
        for (uint8 mode = uint8(ContractRenter.Mode.Rejects); mode <= uint8(ContractRenter.Mode.RevertBomb); ++mode) {
            uint256 snapshot = vm.snapshotState();
            _account.setMode(ContractRenter.Mode(mode));
            Completion memory completion = _completion(_session, 1000);
            vm.prank(host);
            // What a hostile renter can cost the host is bounded.
            market.completeSessionJob{gas: 160_000}(completion);
            _assertCredited();
            vm.revertToState(snapshot);
        }
    }

    /// Without a refund its renter is not called at all, and cannot make the close dearer.
    function test_callsNobodyForNothing() public {
        Completion memory completion = _completion(_session, DEPOSIT);
        vm.expectCall(address(_account), "", 0);
        vm.prank(host);
        market.completeSessionJob(completion);
        _assertStatus(_session, SessionStatus.Closed);
        assertEq(market.balanceOf(address(_account), NATIVE), 0);
    }

    function test_creditIsWithdrawnToAnyAddress() public {
        _account.setMode(ContractRenter.Mode.Rejects);
        _complete();
        _assertCredited();
        bytes memory data = abi.encodeCall(market.withdraw, (NATIVE, stranger));
        _account.execute(address(market), 0, data);
        assertEq(stranger.balance, DEPOSIT - 1000);
    }

    function test_unilateralExitWorksForAnAccountThatRejects() public {
        _account.setMode(ContractRenter.Mode.Rejects);
        _account.execute(address(market), 0, abi.encodeCall(market.requestSessionClose, (_session, 0)));
        vm.warp(START + 1 hours);
        market.finalizeSession(_session);
        assertEq(market.balanceOf(address(_account), NATIVE), DEPOSIT);
    }

    function test_refundCannotReenter() public {
        // Something worth taking: a credit of its own.
        SessionTerms memory other = _session;
        other.salt = 0;
        _account.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (other)));
        _account.setMode(ContractRenter.Mode.Rejects);
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(other, 0));
        uint256 before = address(_account).balance;

        _account.setHook(address(market), abi.encodeCall(market.withdraw, (NATIVE, address(_account))));
        _complete();
        assertFalse(_account.hookSucceeded());
        assertEq(address(_account).balance + market.balanceOf(address(_account), NATIVE), before + 2 * DEPOSIT - 1000);
    }

    function _complete() private {
        Completion memory completion = _completion(_session, 1000);
        vm.prank(host);
        market.completeSessionJob(completion);
    }

    function _assertCredited() private view {
        _assertStatus(_session, SessionStatus.Closed);
        assertEq(market.balanceOf(address(_account), NATIVE), DEPOSIT - 1000);
        assertEq(market.balanceOf(host, NATIVE), 1000 - _feeOf(1000));
    }
}
