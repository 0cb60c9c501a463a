// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";

contract CreateSessionJobWithPermitTest is Fixture {
    uint256 private constant DEADLINE = START + 1 hours;

    function setUp() public override {
        super.setUp();
        vm.prank(renter);
        usdc.approve(address(market), 0);
    }

    function test_refusesNativeCoin() public {
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 0, DEPOSIT));
        market.createSessionJobWithPermit(_nativeTerms(), DEADLINE, 27, 0, 0);
    }

    function test_refusesPermitOfSomebodyElse() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(voucherSecret, USDC_DEPOSIT);
        _refusedForAllowance(v, r, s, DEADLINE);
    }

    function test_refusesExpiredPermit() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(renterSecret, USDC_DEPOSIT);
        vm.warp(DEADLINE + 1);
        _refusedForAllowance(v, r, s, DEADLINE);
    }

    function test_refusesAnybodyButTheRenter() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(renterSecret, USDC_DEPOSIT);
        SessionTerms memory terms = _usdcTerms();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotRenter.selector, stranger));
        market.createSessionJobWithPermit(terms, DEADLINE, v, r, s);
    }

    function test_opens() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(renterSecret, USDC_DEPOSIT);
        _openWith(v, r, s);
    }

    function test_opensWhenSomebodySubmittedThePermitFirst() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(renterSecret, USDC_DEPOSIT);
        vm.prank(stranger);
        usdc.permit(renter, address(market), USDC_DEPOSIT, DEADLINE, v, r, s);
        _openWith(v, r, s);
    }

    function test_opensWithAnAllowanceAndNoPermit() public {
        vm.prank(renter);
        usdc.approve(address(market), USDC_DEPOSIT);
        _openWith(0, 0, 0);
    }

    function _openWith(uint8 v, bytes32 r, bytes32 s) private {
        SessionTerms memory terms = _usdcTerms();
        vm.prank(renter);
        bytes32 id = market.createSessionJobWithPermit(terms, DEADLINE, v, r, s);
        assertEq(id, _idOf(terms));
        assertEq(usdc.balanceOf(address(market)), USDC_DEPOSIT);
        assertEq(usdc.allowance(renter, address(market)), 0);
        _assertStatus(terms, SessionStatus.Active);
    }

    function _refusedForAllowance(uint8 v, bytes32 r, bytes32 s, uint256 deadline) private {
        SessionTerms memory terms = _usdcTerms();
        vm.prank(renter);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), 0, USDC_DEPOSIT)
        );
        market.createSessionJobWithPermit(terms, deadline, v, r, s);
    }

    function _permit(uint256 secret, uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, renter, address(market), amount, 0, DEADLINE));
        return vm.sign(secret, keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash)));
    }
}
