// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {AccountFixture} from "./AccountFixture.sol";

/// @title What a bundle of one sponsored operation costs, whole: 21,000 and calldata included, everything cold.
/// @dev The account, its sponsor and the beneficiary exist and have done this before.
contract BaseAccountIntegrationGasTest is AccountFixture {
    function setUp() public override {
        super.setUp();
        vm.deal(beneficiary, 1);
        vm.deal(address(account), 2 * DEPOSIT);
        SessionTerms memory earlier = _accountTerms(NATIVE, DEPOSIT);
        earlier.salt = keccak256("earlier");
        _handle(_ownerOp(_opening(earlier), _free()));
        earlier.token = address(usdc);
        earlier.deposit = USDC_DEPOSIT;
        _handle(_ownerOp(_opening(earlier), _free()));
    }

    function test_openNative() public {
        _measured(_ownerOp(_opening(_accountTerms(NATIVE, DEPOSIT)), _free()), "open_native_4337", 165_000);
    }

    function test_openUsdc() public {
        SessionTerms memory terms = _accountTerms(address(usdc), USDC_DEPOSIT);
        _measured(_ownerOp(_opening(terms), _free()), "open_usdc_4337", 185_000);
    }

    function test_close() public {
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT);
        _handle(_ownerOp(_opening(terms), _free()));
        _measured(_ownerOp(_closing(terms, 0), _free()), "close_4337", 127_000);
    }

    function _measured(PackedUserOperation memory op, string memory name, uint256 budget) private {
        uint256 before = entryPoint.balanceOf(address(paymaster));
        _handle(op);
        uint256 gasUsed = vm.snapshotGasLastCall("BaseAccountIntegration", name);
        assertLt(entryPoint.balanceOf(address(paymaster)), before);
        assertLe(gasUsed, budget, name);
    }
}
