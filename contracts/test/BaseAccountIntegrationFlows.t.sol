// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IBaseAccountIntegration, Policy} from "../src/interfaces/IBaseAccountIntegration.sol";
import {ISessionAccount} from "../src/interfaces/ISessionAccount.sol";
import {ISessionAccountFactory} from "../src/interfaces/ISessionAccountFactory.sol";
import {SessionAccount} from "../src/SessionAccount.sol";
import {Call} from "../src/interfaces/ISelfBatch.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {SellingBundler} from "./mocks/SellingBundler.sol";
import {AccountFixture} from "./AccountFixture.sol";

/// @title Whole journeys through the real EntryPoint, with nobody but sponsors paying for gas.
contract BaseAccountIntegrationFlowsTest is AccountFixture {
    /// The bound on what settling is charged above its cost, gas.
    uint256 private constant DUST_GAS = 4_500;

    function test_ownerOpensTopsUpAndClosesNative() public {
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT / 2);
        _assertSponsored(_ownerOp(_opening(terms), _free()));
        _assertStatus(terms, SessionStatus.Active);
        assertEq(address(account).balance, DEPOSIT / 2);
        bytes memory topUp = abi.encodeCall(market.topUp, (terms, DEPOSIT / 4));
        _assertSponsored(_ownerOp(_one(address(market), DEPOSIT / 4, topUp), _free()));
        assertEq(market.sessions(_idOf(terms)).topUp, DEPOSIT / 4);
        _assertSponsored(_ownerOp(_closing(terms, DEPOSIT / 8), _free()));
        _assertStatus(terms, SessionStatus.Closing);
        vm.warp(START + 1 hours);
        bytes memory finalize = abi.encodeCall(market.finalizeSession, (terms));
        _assertSponsored(_ownerOp(_one(address(market), 0, finalize), _free()));
        _assertStatus(terms, SessionStatus.Closed);
        assertEq(address(account).balance, DEPOSIT - DEPOSIT / 8);
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT / 8 - _feeOf(DEPOSIT / 8));
    }

    function test_keyOpensTopsUpAndClosesUsdc() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(address(usdc), USDC_DEPOSIT);
        _assertSponsored(_keyOp(_opening(terms), _free()));
        _assertStatus(terms, SessionStatus.Active);
        assertEq(usdc.balanceOf(address(account)), 1000e6 - USDC_DEPOSIT);
        Call memory topUp = Call(address(market), 0, abi.encodeCall(market.topUp, (terms, 5e6)));
        _assertSponsored(_keyOp(_two(_approval(address(usdc), address(market), 5e6), topUp), _free()));
        assertEq(market.sessions(_idOf(terms)).topUp, 5e6);
        (uint128 cap, uint128 spent) = account.capOf(sessionKey, address(usdc));
        assertEq(cap, 2 * USDC_DEPOSIT);
        assertEq(spent, USDC_DEPOSIT + 5e6);
        _assertSponsored(_keyOp(_closing(terms, 1e6), _free()));
        vm.warp(START + 1 hours);
        bytes memory finalize = abi.encodeCall(market.finalizeSession, (terms));
        _assertSponsored(_keyOp(_one(address(market), 0, finalize), _free()));
        _assertStatus(terms, SessionStatus.Closed);
        assertEq(usdc.balanceOf(address(account)), 1000e6 - 1e6);
    }

    function test_keyOpensNativeAndTimesOut() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, DEPOSIT);
        terms.expiry = uint40(START + 1);
        _assertSponsored(_keyOp(_opening(terms), _free()));
        vm.warp(START + 1 + 1 hours);
        // The key's period is over, and anyone may do it.
        bytes memory timeOut = abi.encodeCall(market.triggerSessionTimeout, (terms));
        PackedUserOperation memory op = _keyOp(_one(address(market), 0, timeOut), _free());
        _expectRefusal("AA22 expired or not due");
        _handle(op);
        _assertSponsored(_ownerOp(_one(address(market), 0, timeOut), _free()));
        assertEq(address(account).balance, DEPOSIT);
    }

    function test_theFirstOperationCreatesTheAccount() public {
        bytes32 salt = bytes32(uint256(1));
        account = SessionAccount(payable(factory.accountOf(accountOwner, salt)));
        vm.deal(address(account), DEPOSIT);
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT);
        PackedUserOperation memory op = _op(_execute(_opening(terms)), _free());
        op.initCode = abi.encodePacked(factory, abi.encodeCall(factory.createAccount, (accountOwner, salt)));
        assertEq(address(account).code.length, 0);
        vm.expectEmit(address(factory));
        emit ISessionAccountFactory.AccountCreated(address(account), accountOwner, salt);
        _assertSponsored(_signedBy(accountOwnerSecret, op));
        assertEq(account.owner(), accountOwner);
        _assertStatus(terms, SessionStatus.Active);
    }

    /// An EOA that delegates, with the EntryPoint's marker for it, by its own key and by a session key.
    function test_aDelegatedAccountIsSponsored() public {
        _delegate(address(accountCode), renterSecret);
        account = SessionAccount(payable(renter));
        accountOwnerSecret = renterSecret;
        assertEq(account.owner(), renter);
        SessionTerms memory terms = _keyTerms(NATIVE, DEPOSIT);
        uint256 before = renter.balance;
        PackedUserOperation memory op = _op(_execute(_opening(terms)), _free());
        op.initCode = hex"7702";
        _assertSponsored(_signedBy(renterSecret, op));
        _assertStatus(terms, SessionStatus.Active);
        assertEq(renter.balance, before - DEPOSIT);

        vm.prank(renter);
        account.grantSessionKey(sessionKey, _scope());
        _assertSponsored(_keyOp(_closing(terms, 0), _free()));
        _assertStatus(terms, SessionStatus.Closing);
    }

    function test_anAccountMayPayForItself() public {
        uint256 prefund = (VERIFICATION_GAS + CALL_GAS + PRE_VERIFICATION_GAS) * MAX_FEE;
        vm.deal(address(account), DEPOSIT + prefund);
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT);
        Outcome memory outcome = _outcome(_ownerOp(_opening(terms), ""));
        assertTrue(outcome.success);
        assertFalse(outcome.settled);
        assertEq(address(account).balance, 0);
        assertEq(entryPoint.balanceOf(address(account)), prefund - outcome.taken);
        assertEq(beneficiary.balance, outcome.taken);
    }

    /// Paid by allowance at first, and from the credit of what was not used after that.
    function test_gasIsPaidInDollars() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        uint256 held = usdc.balanceOf(address(account));
        uint256 largest = _charge(MAX_COST);
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT);
        Outcome memory opened = _assertSponsored(_ownerOp(_opening(terms), _paid(uint128(largest))));
        assertEq(opened.charge, _charge(opened.cost));
        assertEq(usdc.balanceOf(address(account)), held - largest);
        assertEq(usdc.balanceOf(address(paymaster)), largest);
        assertEq(paymaster.creditOf(address(account), address(usdc)), largest - opened.charge);
        assertEq(paymaster.earningsOf(seller, address(usdc)), opened.charge);
        assertEq(usdc.allowance(address(account), address(paymaster)), 10e6 - largest);

        Outcome memory closed = _assertSponsored(_ownerOp(_closing(terms, 0), _paid(uint128(largest))));
        // All of the credit but one base unit was used, and the rest taken by allowance.
        uint256 pulled = largest - (largest - opened.charge - 1);
        assertEq(usdc.balanceOf(address(paymaster)), largest + pulled);
        assertEq(paymaster.earningsOf(seller, address(usdc)), opened.charge + closed.charge);
        assertEq(paymaster.creditOf(address(account), address(usdc)), largest + pulled - opened.charge - closed.charge);

        vm.prank(seller);
        assertEq(paymaster.withdrawEarnings(address(usdc), seller), opened.charge + closed.charge);
        assertEq(usdc.balanceOf(seller), opened.charge + closed.charge);
        uint256 credit = paymaster.creditOf(address(account), address(usdc));
        vm.prank(address(account));
        assertEq(paymaster.withdrawCredit(address(usdc), stranger), credit);
        assertEq(usdc.balanceOf(stranger), credit);
        assertEq(usdc.balanceOf(address(paymaster)), 0);
    }

    /// The account cannot unapprove or spend in the operation what pays for it: it has paid before.
    function test_spendingEverythingInTheOperationChangesNothing() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        uint256 largest = _charge(MAX_COST);
        SessionTerms memory terms = _accountTerms(address(usdc), uint96(1000e6 - largest));
        Outcome memory outcome = _assertSponsored(_ownerOp(_opening(terms), _paid(uint128(largest))));
        assertEq(usdc.balanceOf(address(account)), 0);
        assertEq(paymaster.earningsOf(seller, address(usdc)), outcome.charge);
    }

    function test_aFailedOperationIsPaidForToo() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        // Of a session that was never opened.
        PackedUserOperation memory op =
            _ownerOp(_closing(_accountTerms(NATIVE, DEPOSIT), 0), _paid(uint128(_charge(MAX_COST))));
        Outcome memory outcome = _outcome(op);
        assertFalse(outcome.success);
        assertTrue(outcome.settled);
        assertEq(paymaster.earningsOf(seller, address(usdc)), _charge(outcome.cost));
    }

    /// An operation that burns its gas and fails with all the reason the EntryPoint logs is settled as any other.
    function test_nothingInAnOperationKeepsItFromBeingSettled() public {
        Call[] memory calls = new Call[](1);
        calls[0] = _approval(address(new HostileToken()), address(market), 1);
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        uint256 deposit = entryPoint.balanceOf(address(paymaster));
        Outcome memory outcome = _outcome(_ownerOp(calls, _paid(uint128(_charge(MAX_COST)))));
        assertFalse(outcome.success);
        assertTrue(outcome.settled);
        assertGt(outcome.taken, CALL_GAS * 9 / 10 * GAS_PRICE);
        assertEq(entryPoint.balanceOf(address(paymaster)), deposit - outcome.taken);
        assertEq(paymaster.balanceOf(seller), FUNDED - outcome.cost);
        _assertCovered(outcome.cost, outcome.taken, DUST_GAS);
    }

    /// The most calldata there may be, and a credit of one base unit: what settling costs most with.
    function test_theDearestSettlementIsCovered() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        usdc.mint(address(this), 1);
        usdc.approve(address(paymaster), 1);
        paymaster.creditFor(address(account), address(usdc), 1);
        Call[] memory calls = _opening(_accountTerms(NATIVE, DEPOSIT));
        uint256 length = 8192 - _execute(calls).length;
        calls[0].data = bytes.concat(calls[0].data, new bytes(length));
        assertGt(_execute(calls).length, 8192 - 32);
        assertLe(_execute(calls).length, 8192);
        Outcome memory outcome = _assertSponsored(_ownerOp(calls, _paid(10e6)));
        assertEq(paymaster.creditOf(address(account), address(usdc)), 1 + _charge(MAX_COST) - outcome.charge);
    }

    /// Whatever gas the bundler gives: where an operation burns its own and fails with the longest reason, there is
    /// enough left to settle it, or the bundle fails as a whole.
    function test_tooLittleGasUndoesTheBundle() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));
        Call[] memory calls = new Call[](1);
        calls[0] = _approval(address(new HostileToken()), address(market), 1);
        PackedUserOperation memory op = _op(_execute(calls), _paid(uint128(_charge(MAX_COST))));
        // Little is given for the calls, so that a 63rd of it, which the EntryPoint keeps, is little.
        op.accountGasLimits = bytes32(VERIFICATION_GAS << 128 | 60_000);
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = _signedBy(accountOwnerSecret, op);
        uint256 before = vm.snapshotState();
        uint256 settled = 0;
        for (uint256 gas = 250_000; gas < 400_000; gas += 500) {
            vm.revertToState(before);
            vm.prank(bundler, bundler);
            try entryPoint.handleOps{gas: gas}(ops, beneficiary) {
                assertGt(paymaster.creditOf(address(account), address(usdc)), 0, "not settled");
                ++settled;
            } catch {
                assertEq(settled, 0, "more gas, and not enough");
            }
        }
        assertGt(settled, 10);
        assertLt(settled, 290);
    }

    /// By a price for which rounding leaves nothing to credit.
    function test_aCoarsePriceCostsNoCredit() public {
        Policy memory policy = _pricedPolicy();
        policy.price = 1;
        vm.prank(seller);
        paymaster.setPolicy(policy);
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 1))));
        Outcome memory outcome = _assertSponsored(_ownerOp(_opening(_accountTerms(NATIVE, DEPOSIT)), _paid(1)));
        assertEq(outcome.charge, 1);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0);
    }

    /// And by one for which the gas of a credit is all there would be to credit: settling looks at both ways.
    function test_aCreditThatCostsItselfIsNotWritten() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 2))));
        Policy memory policy = _pricedPolicy();
        policy.price = 1;
        vm.prank(seller);
        paymaster.setPolicy(policy);
        // Costs more than half of what it may cost.
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, DEPOSIT))), _paid(2));
        op.preVerificationGas = 10 * PRE_VERIFICATION_GAS;
        op.gasFees = _gasFees(GAS_PRICE);
        op = _signedBy(accountOwnerSecret, op);
        uint256 before = vm.snapshotState();
        uint256 cost = _assertSponsored(op).cost;
        vm.revertToState(before);

        policy.price = uint96(1e18 / (cost + 10_000 * GAS_PRICE));
        vm.prank(seller);
        paymaster.setPolicy(policy);
        Outcome memory outcome = _assertSponsored(op);
        assertEq(outcome.charge, 2);
        assertEq((outcome.cost * policy.price + 1e18 - 1) / 1e18, 1);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0);
    }

    /// A sponsor could take its earnings and, in the same transaction, earn just as much again. Its books would be as
    /// they were when the transaction began, and a slot costs 2,800 gas more to write then. Charged by the price that
    /// this sponsor names for gas, to the other sponsors.
    function test_earningsTakenAreNotEarnedAgainInOneTransaction() public {
        SellingBundler who = new SellingBundler(paymaster);
        vm.deal(address(this), FUNDED);
        paymaster.fund{value: FUNDED}(address(who));
        Policy memory policy = _pricedPolicy();
        who.setPolicy(policy);
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 100e6))));
        bytes memory data = _paymasterData(abi.encodePacked(address(who), TODAY, address(usdc), uint128(10e6)));
        SessionTerms memory terms = _accountTerms(NATIVE, 1);
        _assertSponsored(_ownerOp(_opening(terms), data));
        // The next operation is charged what was earned so far.
        uint256 earned = paymaster.earningsOf(address(who), address(usdc));
        policy.price = uint96(earned * 1e18 / MAX_COST);
        who.setPolicy(policy);
        assertEq((MAX_COST * policy.price + 1e18 - 1) / 1e18, earned);

        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = _ownerOp(_closing(terms, 0), data);
        _expectRefusal(
            "AA33 reverted", abi.encodeWithSelector(IBaseAccountIntegration.EarningsTaken.selector, address(who))
        );
        who.takeEarningsAndHandle(address(usdc), ops);
        // In a transaction of its own, and after the one that took them.
        who.takeEarningsAndHandle(address(usdc), new PackedUserOperation[](0));
        _assertSponsored(ops[0]);
    }

    /// Several of one account and sponsor in a bundle.
    function test_aBundleIsSettledOperationByOperation() public {
        PackedUserOperation[] memory ops = new PackedUserOperation[](3);
        SessionTerms memory terms = _accountTerms(NATIVE, 1);
        for (uint256 i = 0; i < 3; ++i) {
            terms.salt = bytes32(i);
            ops[i] = _op(_execute(_opening(terms)), _free());
            ops[i].nonce = entryPoint.getNonce(address(account), uint192(i));
            ops[i] = _signedBy(accountOwnerSecret, ops[i]);
        }
        uint256 deposit = entryPoint.balanceOf(address(paymaster));
        _handle(ops);
        uint256 taken = deposit - entryPoint.balanceOf(address(paymaster));
        uint256 cost = FUNDED - paymaster.balanceOf(sponsor);
        _assertCovered(cost, taken, 3 * DUST_GAS);
        assertEq(paymaster.spentOf(sponsor, TODAY), cost);
        assertEq(paymaster.spentBy(sponsor, address(account), TODAY), cost);
        for (uint256 i = 0; i < 3; ++i) {
            terms.salt = bytes32(i);
            _assertStatus(terms, SessionStatus.Active);
        }
    }

    /// A sponsor that is an account itself, in the bundle in which its money is still at work.
    function test_earningsOfAnOperationInFlightStay() public {
        (address who, uint256 secret) = makeAddrAndKey("selling account");
        _delegate(address(accountCode), secret);
        _sponsor(who, _pricedPolicy());
        vm.deal(who, 1 ether);
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 10e6))));

        PackedUserOperation[] memory ops = new PackedUserOperation[](2);
        Call[] memory take =
            _one(address(paymaster), 0, abi.encodeCall(paymaster.withdrawEarnings, (address(usdc), who)));
        ops[0] = _op(_execute(take), "");
        ops[0].sender = who;
        ops[0].nonce = entryPoint.getNonce(who, 0);
        ops[0] = _signedBy(secret, ops[0]);
        bytes memory data = abi.encodePacked(who, TODAY, address(usdc), uint128(10e6));
        ops[1] = _ownerOp(_opening(_accountTerms(NATIVE, DEPOSIT)), _paymasterData(data));
        bytes memory inner = abi.encodeWithSelector(IBaseAccountIntegration.OperationInFlight.selector, who);
        vm.expectEmit(address(entryPoint));
        emit IEntryPoint.UserOperationRevertReason(
            entryPoint.getUserOpHash(ops[0]),
            who,
            ops[0].nonce,
            abi.encodeWithSelector(ISessionAccount.CallReverted.selector, 0, inner)
        );
        _handle(ops);
        uint256 earned = paymaster.earningsOf(who, address(usdc));
        assertEq(earned + paymaster.creditOf(address(account), address(usdc)), _charge(MAX_COST));
        assertGt(earned, 0);
        vm.prank(who);
        assertEq(paymaster.withdrawEarnings(address(usdc), who), earned);
    }

    /// On the day it names, from the first second to the last.
    function test_anOperationIsForItsDay() public {
        PackedUserOperation memory op = _ownerOp(_opening(_accountTerms(NATIVE, DEPOSIT)), _free());
        vm.warp(uint256(TODAY) * 1 days - 1);
        _expectRefusal("AA32 paymaster expired or not due");
        _handle(op);
        vm.warp(uint256(TODAY + 1) * 1 days);
        _expectRefusal("AA32 paymaster expired or not due");
        _handle(op);
        uint256 before = vm.snapshotState();
        vm.warp(uint256(TODAY) * 1 days);
        _handle(op);
        vm.revertToState(before);
        vm.warp(uint256(TODAY + 1) * 1 days - 1);
        _handle(op);
    }

    function _assertSponsored(PackedUserOperation memory op) private returns (Outcome memory outcome) {
        address payer = address(bytes20(_slice(op.paymasterAndData, 52)));
        uint256 balance = paymaster.balanceOf(payer);
        uint256 deposit = entryPoint.balanceOf(address(paymaster));
        uint256 collected = beneficiary.balance;
        outcome = _outcome(op);
        assertTrue(outcome.success, "failed");
        assertTrue(outcome.settled, "not settled");
        assertEq(paymaster.balanceOf(payer), balance - outcome.cost, "balance");
        assertEq(entryPoint.balanceOf(address(paymaster)), deposit - outcome.taken, "deposit");
        assertEq(beneficiary.balance, collected + outcome.taken, "collected");
        _assertCovered(outcome.cost, outcome.taken, DUST_GAS);
    }

    function _slice(bytes memory data, uint256 start) private pure returns (bytes20 result) {
        assembly ("memory-safe") {
            result := mload(add(add(data, 0x20), start))
        }
    }
}
