// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";

/// @title withdraw, withdrawMany.
contract WithdrawTest is Fixture {
    uint96 private constant CLAIM = 10_000;
    uint256 private constant EARNED = CLAIM - CLAIM * FEE_BPS / 10_000;

    function test_refusesWithoutABalance() public {
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, host, NATIVE));
        market.withdraw(NATIVE, host);
        _earn(_nativeTerms());
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, stranger, NATIVE));
        market.withdraw(NATIVE, stranger);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, host, address(usdc)));
        market.withdraw(address(usdc), host);
    }

    function test_refusesRecipientsThatLoseMoney() public {
        _earn(_nativeTerms());
        _earn(_usdcTerms());
        address[2] memory sinks = [address(0), address(market)];
        address[2] memory tokens = [NATIVE, address(usdc)];
        vm.startPrank(host);
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WithdrawalFailed.selector, sinks[i / 2]));
            market.withdraw(tokens[i % 2], sinks[i / 2]);
        }
    }

    function test_refusesRecipientThatRejectsAndKeepsTheBalance() public {
        _earn(_nativeTerms());
        ContractRenter stubborn = new ContractRenter();
        stubborn.setMode(ContractRenter.Mode.Rejects);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WithdrawalFailed.selector, address(stubborn)));
        market.withdraw(NATIVE, address(stubborn));
        assertEq(market.balanceOf(host, NATIVE), EARNED);
    }

    function test_paysOnce() public {
        _earn(_nativeTerms());
        vm.startPrank(host);
        vm.expectEmit(address(market));
        emit IPaymentEscrow.Withdrawn(host, NATIVE, stranger, EARNED);
        assertEq(market.withdraw(NATIVE, stranger), EARNED);
        assertEq(stranger.balance, EARNED);
        assertEq(market.balanceOf(host, NATIVE), 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, host, NATIVE));
        market.withdraw(NATIVE, stranger);
    }

    function test_leavesTheFeesOfTheHostsSessions() public {
        _earn(_usdcTerms());
        vm.prank(host);
        market.withdraw(address(usdc), host);
        assertEq(usdc.balanceOf(host), EARNED);
        assertEq(market.feesOf(host, address(usdc)), CLAIM - EARNED);
    }

    /// Though it has a credit of its own, which it could take at any other moment.
    function test_recipientCannotReenter() public {
        ContractRenter account = _withCredit();
        _earn(_nativeTerms());
        vm.prank(host);
        market.withdraw(NATIVE, address(account));
        _assertKeptOut(account, EARNED);
    }

    function test_recipientOfManyCannotReenter() public {
        ContractRenter account = _withCredit();
        _earn(_nativeTerms());
        vm.prank(host);
        market.withdrawMany(new address[](1), address(account));
        _assertKeptOut(account, EARNED);
    }

    function test_recipientOfFeesCannotReenter() public {
        ContractRenter account = _withCredit();
        _earn(_nativeTerms());
        address[] memory hosts = new address[](1);
        hosts[0] = host;
        vm.prank(treasury);
        market.withdrawFees(NATIVE, hosts, address(account));
        _assertKeptOut(account, CLAIM - EARNED);
    }

    function test_manyPaysEachToken() public {
        _earn(_nativeTerms());
        _earn(_usdcTerms());
        address[] memory tokens = new address[](2);
        tokens[1] = address(usdc);
        vm.prank(host);
        market.withdrawMany(tokens, stranger);
        assertEq(stranger.balance, EARNED);
        assertEq(usdc.balanceOf(stranger), EARNED);
    }

    function test_manyRefusesAsAWhole() public {
        _earn(_nativeTerms());
        address[] memory tokens = new address[](2);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, host, NATIVE));
        market.withdrawMany(tokens, host);
        assertEq(market.balanceOf(host, NATIVE), EARNED);
    }

    function test_nothingComesInUnasked() public {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (bool ok,) = address(market).call{value: 1}("");
        assertFalse(ok);
    }

    /// @dev A contract with a refund in the ledger that it rejected once, and takes whenever it is sent something now.
    function _withCredit() private returns (ContractRenter account) {
        account = new ContractRenter();
        vm.deal(address(account), DEPOSIT);
        SessionTerms memory terms = _nativeTerms();
        (terms.renter, terms.salt) = (address(account), "refused");
        account.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        account.setMode(ContractRenter.Mode.Rejects);
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(terms, 0));
        assertEq(market.balanceOf(address(account), NATIVE), DEPOSIT);
        account.setHook(address(market), abi.encodeCall(market.withdraw, (NATIVE, stranger)));
    }

    function _assertKeptOut(ContractRenter account, uint256 received) private {
        assertFalse(account.hookSucceeded(), "entered again");
        assertEq(address(account).balance, received);
        assertEq(market.balanceOf(address(account), NATIVE), DEPOSIT);
        assertEq(stranger.balance, 0);
        // Nothing but the moment was in its way.
        account.execute(address(market), 0, account.hookData());
        assertEq(stranger.balance, DEPOSIT);
    }

    function _earn(SessionTerms memory terms) private {
        _open(terms);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, CLAIM));
    }
}
