// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {BoundedCaller} from "./mocks/BoundedCaller.sol";

/// @title Callees are raw code, so that what they are given and what they answer is exact.
contract BoundedCallTest is Test {
    /// Stores the gas there is when it starts, two for the question taken off, and returns nothing.
    bytes private constant NOTES_GAS = hex"5a5f5500";
    bytes private constant REVERTS = hex"5f5ffd";
    /// Returns the word 1, and then reverts with it.
    bytes private constant SAYS_ONE = hex"60015f5260205ff3";
    bytes private constant REVERTS_WITH_ONE = hex"60015f5260205ffd";
    /// A stipend for calls with value (EIP-150).
    uint256 private constant STIPEND = 2_300;

    BoundedCaller private _caller = new BoundedCaller();
    address private _callee = makeAddr("callee");

    function test_nativeIsSentWithItsGas() public {
        vm.deal(address(_caller), 10);
        vm.etch(_callee, NOTES_GAS);
        assertTrue(_caller.sendNative(_callee, 4));
        assertEq(_callee.balance, 4);
        assertEq(_gasNoted(), 30_000 + STIPEND - 2);
        assertFalse(_caller.sendNative(_callee, 7), "more than there is");
        vm.etch(_callee, REVERTS);
        assertFalse(_caller.sendNative(_callee, 1));
        assertEq(_callee.balance, 4);
    }

    function test_tokenIsCalledWithItsGas() public {
        vm.etch(_callee, NOTES_GAS);
        assertTrue(_caller.transfer(_callee, address(1), 2));
        assertEq(_gasNoted(), 200_000 - 2);
        vm.expectCall(_callee, abi.encodeWithSignature("transfer(address,uint256)", address(1), 2));
        _caller.transfer(_callee, address(1), 2);
    }

    function test_tokenAnswers() public {
        assertFalse(_caller.transfer(_callee, address(1), 2), "no code");
        _answers(SAYS_ONE, true);
        _answers(REVERTS_WITH_ONE, false);
        _answers(REVERTS, false);
        // The word 2, and a word of ones.
        _answers(hex"60025f5260205ff3", false);
        _answers(hex"5f195f5260205ff3", false);
        // The word 1, and more behind it.
        _answers(hex"60015f5260405ff3", true);
        // A single zero, and 31 of them: the rest of the word is the caller's own, and happens to end in 1.
        _answers(hex"60015ff3", false);
        _answers(hex"601f5ff3", false);
    }

    function test_signatureIsAskedForWithItsGas() public {
        // Says yes if it has this gas.
        vm.etch(_callee, abi.encodePacked(hex"5a62", uint24(500_000 - 2), hex"14631626ba7e0260e01b5f5260205ff3"));
        assertTrue(_caller.isValidSignature(_callee, "digest", "signature"));
    }

    function test_signatureAnswers() public {
        assertFalse(_caller.isValidSignature(_callee, "digest", "signature"), "no code");
        // The magic value in its word, with more behind it, and reverted with.
        _signs(hex"631626ba7e60e01b5f5260205ff3", true);
        _signs(hex"631626ba7e60e01b5f5260405ff3", true);
        _signs(hex"631626ba7e60e01b5f5260205ffd", false);
        // In the lower end of the word, and with a bit below it.
        _signs(hex"631626ba7e5f5260205ff3", false);
        _signs(hex"631626ba7e60e01b6001175f5260205ff3", false);
        // Four bytes, and 31: the rest of the word is the caller's own, and happens to be zero.
        _signs(hex"631626ba7e60e01b5f5260045ff3", false);
        _signs(hex"631626ba7e60e01b5f52601f5ff3", false);
        // Nobody can write while he is asked.
        _signs(hex"60015f55631626ba7e60e01b5f5260205ff3", false);
    }

    function _answers(bytes memory code, bool paid) private {
        vm.etch(_callee, code);
        assertEq(_caller.transfer(_callee, address(1), 2), paid);
    }

    function _signs(bytes memory code, bool valid) private {
        vm.etch(_callee, code);
        assertEq(_caller.isValidSignature(_callee, "digest", "signature"), valid);
    }

    function _gasNoted() private view returns (uint256) {
        return uint256(vm.load(_callee, 0));
    }
}
