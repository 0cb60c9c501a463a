// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBaseAccountIntegration, Policy} from "../src/interfaces/IBaseAccountIntegration.sol";
import {AccountFixture} from "./AccountFixture.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {WeirdToken} from "./mocks/WeirdToken.sol";

/// @title Money into the paymaster and out of it, without any operation.
contract SponsorLedgerTest is AccountFixture {
    function test_fundRefusesNothing() public {
        vm.expectRevert(IBaseAccountIntegration.ZeroAmount.selector);
        paymaster.fund(sponsor);
    }

    function test_fundRefusesMoreThan96Bits() public {
        uint256 tooMuch = uint256(type(uint96).max) + 1;
        vm.deal(address(this), tooMuch);
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, tooMuch));
        paymaster.fund{value: tooMuch}(stranger);
    }

    function test_anyoneFunds(uint96 amount) public {
        amount = uint96(bound(amount, 1, type(uint96).max - FUNDED));
        vm.deal(stranger, amount);
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.SponsorFunded(sponsor, stranger, amount);
        vm.prank(stranger);
        paymaster.fund{value: amount}(sponsor);
        assertEq(paymaster.balanceOf(sponsor), FUNDED + amount);
        assertEq(entryPoint.balanceOf(address(paymaster)), 2 * uint256(FUNDED) + amount);
    }

    function test_withdrawRefusals() public {
        vm.startPrank(sponsor);
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        paymaster.withdraw(1, payable(address(0)));
        vm.expectRevert(IBaseAccountIntegration.ZeroAmount.selector);
        paymaster.withdraw(0, payable(sponsor));
        vm.expectRevert(
            abi.encodeWithSelector(IBaseAccountIntegration.BalanceTooLow.selector, uint256(FUNDED) + 1, FUNDED)
        );
        paymaster.withdraw(uint256(FUNDED) + 1, payable(sponsor));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IBaseAccountIntegration.BalanceTooLow.selector, 1, 0));
        vm.prank(stranger);
        paymaster.withdraw(1, payable(stranger));
    }

    function test_aSponsorWithdraws(uint96 amount) public {
        amount = uint96(bound(amount, 1, FUNDED));
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.SponsorWithdrawn(sponsor, stranger, amount);
        vm.prank(sponsor);
        paymaster.withdraw(amount, payable(stranger));
        assertEq(stranger.balance, amount);
        assertEq(paymaster.balanceOf(sponsor), FUNDED - amount);
        assertEq(paymaster.balanceOf(seller), FUNDED);
        assertEq(entryPoint.balanceOf(address(paymaster)), 2 * FUNDED - amount);
    }

    /// Whoever is paid finds the balance gone already.
    function test_withdrawIsNotEnteredTwice() public {
        ContractRenter thief = new ContractRenter();
        vm.deal(address(this), 1 ether);
        paymaster.fund{value: 1 ether}(address(thief));
        thief.setHook(address(paymaster), abi.encodeCall(paymaster.withdraw, (1 ether, payable(address(thief)))));
        thief.execute(address(paymaster), 0, abi.encodeCall(paymaster.withdraw, (1 ether, payable(address(thief)))));
        assertFalse(thief.hookSucceeded());
        assertEq(address(thief).balance, 1 ether);
    }

    function test_setPolicyRefusals() public {
        Policy memory policy = _policy();
        vm.startPrank(sponsor);
        policy.calls = 8;
        vm.expectRevert(abi.encodeWithSelector(IBaseAccountIntegration.InvalidCalls.selector, 8));
        paymaster.setPolicy(policy);
        policy.calls = 7;
        policy.price = 1;
        vm.expectRevert(abi.encodeWithSelector(IBaseAccountIntegration.InvalidPrice.selector, address(0), 1));
        paymaster.setPolicy(policy);
        (policy.token, policy.price) = (address(usdc), 0);
        vm.expectRevert(abi.encodeWithSelector(IBaseAccountIntegration.InvalidPrice.selector, address(usdc), 0));
        paymaster.setPolicy(policy);
    }

    function test_setPolicy(Policy memory policy) public {
        policy.calls = uint8(bound(policy.calls, 0, 7));
        policy.price = uint96(bound(policy.price, 1, type(uint96).max));
        vm.assume(policy.token != address(0));
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.PolicySet(stranger, policy);
        vm.prank(stranger);
        paymaster.setPolicy(policy);
        assertEq(abi.encode(paymaster.policyOf(stranger)), abi.encode(policy));
        assertEq(abi.encode(paymaster.policyOf(sponsor)), abi.encode(_policy()));
    }

    function test_creditForRefusals() public {
        vm.expectRevert(IBaseAccountIntegration.ZeroAmount.selector);
        paymaster.creditFor(stranger, address(usdc), 0);
        WeirdToken weird = new WeirdToken();
        weird.mint(address(this), 100);
        weird.approve(address(paymaster), 100);
        weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        vm.expectRevert(abi.encodeWithSelector(IBaseAccountIntegration.UnexpectedTransferAmount.selector, 99, 100));
        paymaster.creditFor(stranger, address(weird), 100);
        weird.setMode(WeirdToken.Mode.ReturnsFalse);
        vm.expectRevert();
        paymaster.creditFor(stranger, address(weird), 100);
    }

    function test_creditIsItsAccounts(uint128 amount) public {
        amount = uint128(bound(amount, 1, type(uint128).max));
        usdc.mint(stranger, amount);
        vm.startPrank(stranger);
        usdc.approve(address(paymaster), amount);
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.Credited(renter, address(usdc), stranger, amount);
        paymaster.creditFor(renter, address(usdc), amount);
        vm.expectRevert(
            abi.encodeWithSelector(IBaseAccountIntegration.NothingToWithdraw.selector, stranger, address(usdc))
        );
        paymaster.withdrawCredit(address(usdc), stranger);
        vm.stopPrank();
        assertEq(paymaster.creditOf(renter, address(usdc)), amount);
        vm.startPrank(renter);
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        paymaster.withdrawCredit(address(usdc), address(0));
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        paymaster.withdrawCredit(address(usdc), address(paymaster));
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.CreditWithdrawn(renter, address(usdc), host, amount);
        assertEq(paymaster.withdrawCredit(address(usdc), host), amount);
        assertEq(usdc.balanceOf(host), amount);
        assertEq(paymaster.creditOf(renter, address(usdc)), 0);
    }

    function test_earningsAreTheSponsors() public {
        vm.prank(address(account));
        usdc.approve(address(paymaster), 3.3e6);
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        vm.prank(address(entryPoint));
        paymaster.validatePaymasterUserOp(op, bytes32(0), 0.001 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IBaseAccountIntegration.NothingToWithdraw.selector, stranger, address(usdc))
        );
        vm.prank(stranger);
        paymaster.withdrawEarnings(address(usdc), stranger);
        vm.startPrank(seller);
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        paymaster.withdrawEarnings(address(usdc), address(0));
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.EarningsWithdrawn(seller, address(usdc), host, 3.3e6);
        assertEq(paymaster.withdrawEarnings(address(usdc), host), 3.3e6);
        assertEq(usdc.balanceOf(host), 3.3e6);
        assertEq(paymaster.earningsOf(seller, address(usdc)), 0);
    }

    /// A token that enters in the middle of its transfer finds nothing to take twice.
    function test_aTokenWithHooksTakesNothingTwice() public {
        WeirdToken weird = new WeirdToken();
        weird.mint(address(this), 200);
        weird.approve(address(paymaster), 200);
        paymaster.creditFor(address(weird), address(weird), 100);
        weird.setHook(address(paymaster), abi.encodeCall(paymaster.withdrawCredit, (address(weird), stranger)));
        vm.expectRevert();
        paymaster.creditFor(renter, address(weird), 100);
        assertEq(weird.balanceOf(address(paymaster)), 100);
        assertEq(paymaster.creditOf(address(weird), address(weird)), 100);
    }
}
