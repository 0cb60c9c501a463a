// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Vm} from "forge-std/Vm.sol";
import {SelfBatch} from "../src/SelfBatch.sol";
import {Call, ISelfBatch} from "../src/interfaces/ISelfBatch.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {Callee} from "./mocks/Callee.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {Delegating} from "./mocks/Delegating.sol";
import {Fixture} from "./Fixture.sol";

contract SelfBatchTest is Fixture, Delegating {
    SelfBatch private code;
    Callee private callee;
    ISelfBatch private account;
    uint256 private hostSecret;

    function setUp() public override {
        super.setUp();
        (, hostSecret) = makeAddrAndKey("host");
        code = new SelfBatch();
        callee = new Callee();
        _delegate(address(code), hostSecret);
        account = ISelfBatch(host);
        vm.deal(host, 10 ether);
    }

    function test_theAccountHoldsTheDesignator() public view {
        assertEq(host.code, abi.encodePacked(hex"ef0100", address(code)));
    }

    function test_refusesEverybodyElse(address caller) public {
        vm.assume(caller != host);
        vm.expectRevert(abi.encodeWithSelector(ISelfBatch.NotSelf.selector, caller));
        vm.prank(caller);
        account.execute(_one(address(callee), 0, abi.encodeCall(callee.note, (1))));
    }

    function test_theCodesOwnAddressDoesNothing() public {
        vm.expectRevert(abi.encodeWithSelector(ISelfBatch.NotSelf.selector, host));
        vm.prank(host);
        code.execute(new Call[](0));
        vm.prank(host);
        (bool sent, bytes memory reason) = address(code).call{value: 1}("");
        assertFalse(sent);
        assertEq(reason, abi.encodeWithSelector(ISelfBatch.NotDelegated.selector));
    }

    function test_refusesValueAndUnknownCalls() public {
        vm.prank(host);
        (bool done,) = host.call{value: 1}(abi.encodeCall(account.execute, (new Call[](0))));
        assertFalse(done);
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (done,) = host.call{value: 1}(hex"12345678");
        assertFalse(done);
    }

    function test_acceptsAnEmptyBatch() public {
        vm.expectEmit(host);
        emit ISelfBatch.BatchExecuted(0, 0);
        _execute(new Call[](0));
    }

    function test_callsComeFromTheAccountInOrder() public {
        Call[] memory calls = new Call[](3);
        for (uint256 i = 0; i < 3; ++i) {
            calls[i] = Call(address(callee), i, abi.encodeCall(callee.note, (i + 1)));
        }
        vm.expectEmit(host);
        emit ISelfBatch.BatchExecuted(3, 0);
        _execute(calls);
        assertEq(callee.lastCaller(), host);
        assertEq(callee.noteCount(), 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(callee.notes(i), i + 1);
        }
        assertEq(address(callee).balance, 3);
    }

    function test_aCallFailsAloneAndSaysWhy() public {
        Call[] memory calls = new Call[](4);
        calls[0] = Call(address(callee), 0, abi.encodeCall(callee.note, (1)));
        calls[1] = Call(address(callee), 1 ether, abi.encodeCall(callee.refuse, (7)));
        // More than there is.
        calls[2] = Call(address(callee), 11 ether, "");
        calls[3] = Call(address(callee), 2 ether, abi.encodeCall(callee.note, (2)));
        vm.expectEmit(host);
        emit ISelfBatch.CallFailed(1, abi.encodeWithSelector(Callee.Refused.selector, 7));
        vm.expectEmit(host);
        emit ISelfBatch.CallFailed(2, "");
        vm.expectEmit(host);
        emit ISelfBatch.BatchExecuted(4, 2);
        _execute(calls);
        assertEq(callee.noteCount(), 2);
        assertEq(host.balance, 8 ether);
        assertEq(address(callee).balance, 2 ether);
    }

    function test_aBatchHoldsNoBatch() public {
        Call[] memory inner = _one(address(callee), 0, abi.encodeCall(callee.note, (1)));
        vm.expectEmit(host);
        emit ISelfBatch.CallFailed(0, abi.encodeWithSelector(ISelfBatch.CallToSelf.selector));
        vm.expectEmit(host);
        emit ISelfBatch.BatchExecuted(1, 1);
        _execute(_one(host, 0, abi.encodeCall(account.execute, (inner))));
        assertEq(callee.noteCount(), 0);
    }

    /// Who is called can call back and pay, and cannot start a batch.
    function test_whoIsCalledCannotEnter() public {
        ContractRenter guest = new ContractRenter();
        Call[] memory theft = _one(address(guest), 5 ether, "");
        guest.setHook(host, abi.encodeCall(account.execute, (theft)));
        _execute(_one(address(guest), 1 ether, ""));
        assertFalse(guest.hookSucceeded());
        assertEq(host.balance, 9 ether);
        assertEq(address(guest).balance, 1 ether);
        guest.setHook(host, "");
        _execute(_one(address(guest), 1 ether, ""));
        assertTrue(guest.hookSucceeded());
    }

    function test_aReasonIsCut(uint256 size) public {
        size = bound(size, 0, 2000);
        bytes memory reason = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            reason[i] = bytes1(uint8(i + 1));
        }
        bytes memory cut = new bytes(size < 256 ? size : 256);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = reason[i];
        }
        vm.expectEmit(host);
        emit ISelfBatch.CallFailed(0, cut);
        _execute(_one(address(callee), 0, abi.encodeCall(callee.revertWith, (reason))));
    }

    /// A megabyte of answer or of reason costs who makes it and not the batch: 2.2 million gas each, for its memory.
    function test_aLongAnswerCostsNothingHere() public {
        ContractRenter bomb = new ContractRenter();
        bomb.setMode(ContractRenter.Mode.RevertBomb);
        Call[] memory calls = new Call[](3);
        calls[0] = Call(address(bomb), 0, "");
        calls[1] = Call(address(callee), 0, abi.encodeCall(callee.answerWithZeros, (1_000_000)));
        calls[2] = Call(address(callee), 0, abi.encodeCall(callee.note, (1)));
        vm.prank(host);
        account.execute{gas: 6_000_000}(calls);
        assertLt(vm.lastCallGas().gasTotalUsed, 2 * 2_210_000 + 100_000);
        assertEq(callee.noteCount(), 1);
    }

    /// Whatever the gas, no call that enough gas would have let through is reported as failed.
    function test_tooLittleGasUndoesEverything(uint256 gas, uint256 depth, uint256 amount) public {
        gas = bound(gas, 60_000, 1_000_000);
        depth = bound(depth, 0, 7);
        amount = bound(amount, 0, 300_000);
        Call[] memory calls = new Call[](3);
        calls[0] = Call(address(callee), 0, abi.encodeCall(callee.note, (1)));
        calls[1] = Call(address(callee), 0, abi.encodeCall(callee.burn, (amount, depth)));
        calls[2] = Call(address(callee), 0, abi.encodeCall(callee.burn, (amount / 2, 7 - depth)));
        vm.recordLogs();
        vm.prank(host);
        (bool done,) = host.call{gas: gas}(abi.encodeCall(account.execute, (calls)));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(callee.noteCount(), done ? 3 : 0);
        assertEq(logs.length, done ? 1 : 0);
    }

    function test_namesTheCallThatRanOutOfGas() public {
        Call[] memory calls = new Call[](2);
        calls[0] = Call(address(callee), 0, abi.encodeCall(callee.note, (1)));
        calls[1] = Call(address(callee), 0, abi.encodeCall(callee.burn, (400_000, 0)));
        vm.expectRevert(abi.encodeWithSelector(ISelfBatch.TooLittleGas.selector, 1));
        vm.prank(host);
        account.execute{gas: 300_000}(calls);
    }

    /// It cannot be told from a call that got too little.
    function test_aCallThatBurnsEverythingTakesTheBatchWithIt() public {
        ContractRenter burner = new ContractRenter();
        burner.setMode(ContractRenter.Mode.BurnsGas);
        vm.expectRevert(abi.encodeWithSelector(ISelfBatch.TooLittleGas.selector, 0));
        vm.prank(host);
        account.execute{gas: 3_000_000}(_one(address(burner), 0, ""));
    }

    /// What leaves the account is what the calls that succeed send, and the events say which those are.
    function test_valueIsAccountedFor(uint256 seed) public {
        uint256 count = 12;
        Call[] memory calls = new Call[](count);
        uint256 left = 10 ether;
        uint256 failures = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 value = word % 3 ether;
            bool refused = word & 1 << 200 != 0;
            bytes memory data = refused ? abi.encodeCall(callee.refuse, (i)) : abi.encodeCall(callee.note, (i));
            calls[i] = Call(address(callee), value, data);
            if (refused || value > left) ++failures;
            else left -= value;
        }
        vm.expectEmit(host);
        emit ISelfBatch.BatchExecuted(count, failures);
        _execute(calls);
        assertEq(host.balance, left);
        assertEq(address(callee).balance, 10 ether - left);
        assertEq(callee.noteCount(), count - failures);
    }

    function test_writesNoStorageOfTheAccount() public {
        Call[] memory calls = new Call[](2);
        calls[0] = Call(address(callee), 0, abi.encodeCall(callee.note, (1)));
        calls[1] = Call(address(callee), 0, abi.encodeCall(callee.refuse, (1)));
        vm.record();
        _execute(calls);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(host);
        assertEq(reads.length, 0);
        assertEq(writes.length, 0);
        (, writes) = vm.accesses(address(callee));
        assertGt(writes.length, 0);
    }

    function test_takesCoinsWithTheLeastGas() public {
        ContractRenter payer = new ContractRenter();
        vm.deal(address(payer), 1 ether);
        // What `transfer` gives, and what a block reward or a transaction is.
        vm.prank(address(payer));
        payable(host).transfer(0.5 ether);
        payer.execute(host, 0.5 ether, "");
        assertEq(host.balance, 11 ether);
    }

    /// The ledger pushes a refund with bounded gas: to a delegated renter it arrives, and is no credit.
    function test_aDelegatedRenterIsRefunded() public {
        _delegate(address(code), renterSecret);
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        uint256 before = renter.balance;
        vm.prank(host);
        market.completeSessionJob(_completion(terms, DEPOSIT / 4));
        assertEq(renter.balance, before + DEPOSIT - DEPOSIT / 4);
        assertEq(market.balanceOf(renter, NATIVE), 0);
    }

    /// Settlements and the withdrawal of what they brought, by the host that the terms name.
    function test_aDelegatedHostSettlesAndIsPaid() public {
        Call[] memory calls = new Call[](4);
        for (uint256 i = 0; i < 2; ++i) {
            SessionTerms memory terms = _nativeTerms();
            terms.salt = bytes32(i);
            _open(terms);
            calls[i] =
                Call(address(market), 0, abi.encodeCall(market.completeSessionJob, (_completion(terms, DEPOSIT))));
        }
        calls[2] = calls[1];
        calls[3] = Call(address(market), 0, abi.encodeCall(market.withdraw, (NATIVE, host)));
        SessionTerms memory last = _nativeTerms();
        last.salt = bytes32(uint256(1));
        vm.expectEmit(host);
        emit ISelfBatch.CallFailed(2, abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(last)));
        _execute(calls);
        _assertStatus(last, SessionStatus.Closed);
        assertEq(host.balance, 10 ether + 2 * uint256(DEPOSIT - _feeOf(DEPOSIT)));
    }

    /// Session by permit, with a token that asks an account with code by ERC-1271.
    function test_theAccountsKeyStillSignsForIt(bytes32 digest, uint256 other) public view {
        other = bound(other, 1, type(uint128).max);
        vm.assume(other != hostSecret);
        IERC1271 signed = IERC1271(host);
        assertEq(signed.isValidSignature(digest, _sign(hostSecret, digest)), IERC1271.isValidSignature.selector);
        assertEq(signed.isValidSignature(digest, _sign(other, digest)), bytes4(0xffffffff));
        assertEq(signed.isValidSignature(~digest, _sign(hostSecret, digest)), bytes4(0xffffffff));
        assertEq(signed.isValidSignature(digest, ""), bytes4(0xffffffff));
    }

    function test_version() public view {
        assertEq(SelfBatch(payable(host)).interfaceVersion(), keccak256("capstan.SelfBatch.v1"));
    }

    function _execute(Call[] memory calls) private {
        vm.prank(host);
        account.execute(calls);
    }

    function _one(address to, uint256 value, bytes memory data) private pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = Call(to, value, data);
    }
}
