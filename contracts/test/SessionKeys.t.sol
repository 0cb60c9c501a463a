// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Call} from "../src/interfaces/ISelfBatch.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {ISessionAccount, KeyStatus, Scope, SessionKey, TokenCap} from "../src/interfaces/ISessionAccount.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {PaymasterData} from "../src/libraries/PaymasterData.sol";
import {AccountFixture} from "./AccountFixture.sol";

/// @title What a session key can do, and above all what it cannot.
contract SessionKeysTest is AccountFixture {
    // --- granting

    function test_refusesNobodyForAKey() public {
        vm.expectRevert(ISessionAccount.ZeroKey.selector);
        vm.prank(accountOwner);
        account.grantSessionKey(address(0), _scope());
    }

    function test_aKeyIsGrantedOnceInItsLife() public {
        _grant(_scope());
        bytes memory refusal = abi.encodeWithSelector(ISessionAccount.KeyAlreadyGranted.selector, sessionKey);
        vm.expectRevert(refusal);
        _grant(_scope());
        vm.prank(accountOwner);
        account.revokeSessionKey(sessionKey);
        vm.expectRevert(refusal);
        _grant(_scope());
    }

    function test_refusesNoCallsAndUnknownCalls() public {
        Scope memory scope = _scope();
        scope.calls = 0;
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidCalls.selector, 0));
        _grant(scope);
        scope.calls = 8;
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidCalls.selector, 8));
        _grant(scope);
    }

    function test_refusesPeriodsThatAreOverOrEmpty() public {
        Scope memory scope = _scope();
        (scope.validAfter, scope.validUntil) = (0, uint40(START - 1));
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidPeriod.selector, 0, START - 1));
        _grant(scope);
        (scope.validAfter, scope.validUntil) = (uint40(START + 5), uint40(START + 5));
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidPeriod.selector, START + 5, START + 5));
        _grant(scope);
        (scope.validAfter, scope.validUntil) = (uint40(START - 1), uint40(START));
        _grant(scope);
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, new Call[](0));
    }

    function test_refusesMoreThanEightCaps() public {
        Scope memory scope = _scope();
        scope.caps = new TokenCap[](9);
        for (uint256 i = 0; i < 9; ++i) {
            scope.caps[i] = TokenCap(address(uint160(1000 + i)), uint128(1 + i));
        }
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.TooManyCaps.selector, 9, 8));
        _grant(scope);
        TokenCap[] memory caps = scope.caps;
        assembly {
            mstore(caps, 8)
        }
        _grant(scope);
        for (uint256 i = 0; i < 8; ++i) {
            (uint128 amount,) = account.capOf(sessionKey, address(uint160(1000 + i)));
            assertEq(amount, 1 + i);
        }
        assertEq(account.MAX_CAPS(), 8);
    }

    function test_refusesCapsThatAreNoTokens() public {
        address[3] memory targets = [address(account), address(entryPoint), address(market)];
        for (uint256 i = 0; i < targets.length; ++i) {
            Scope memory scope = _scope();
            scope.caps[1] = TokenCap(targets[i], 1);
            vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidCap.selector, targets[i], 1));
            _grant(scope);
        }
        Scope memory zero = _scope();
        zero.caps[1].amount = 0;
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidCap.selector, address(usdc), 0));
        _grant(zero);
        zero.caps[1] = TokenCap(NATIVE, 7);
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.InvalidCap.selector, NATIVE, 7));
        _grant(zero);
    }

    function test_grantsAndRevokes() public {
        Scope memory scope = _scope();
        scope.calls = OPEN | CLOSE;
        vm.expectEmit(address(account));
        emit ISessionAccount.SessionKeyGranted(sessionKey, scope);
        _grant(scope);
        _assertKey(KeyStatus.Active);
        (uint128 amount, uint128 spent) = account.capOf(sessionKey, NATIVE);
        assertEq(amount, DEPOSIT);
        assertEq(spent, 0);

        vm.startPrank(accountOwner);
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.KeyNotActive.selector, stranger));
        account.revokeSessionKey(stranger);
        vm.expectEmit(address(account));
        emit ISessionAccount.SessionKeyRevoked(sessionKey);
        account.revokeSessionKey(sessionKey);
        _assertKey(KeyStatus.Revoked);
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.KeyNotActive.selector, sessionKey));
        account.revokeSessionKey(sessionKey);
    }

    /// By the ERC, so that other code the account delegated to cannot have written there by accident.
    function test_stateLiesUnderItsName() public {
        bytes32 root = keccak256(abi.encode(uint256(keccak256("capstan.SessionAccount")) - 1)) & ~bytes32(uint256(0xff));
        bytes32 slot = keccak256(abi.encode(sessionKey, root));
        assertEq(vm.load(address(account), slot), 0);
        _grant(_scope());
        assertEq(address(uint160(uint256(vm.load(address(account), slot)))), address(paymaster));
        bytes32 caps = keccak256(abi.encode(sessionKey, uint256(root) + 1));
        assertEq(uint256(vm.load(address(account), keccak256(abi.encode(NATIVE, caps)))), DEPOSIT);
    }

    // --- when

    function test_onlyTheKeyItselfAndTheEntryPoint() public {
        _grant(_scope());
        address[3] memory callers = [stranger, accountOwner, address(account)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISessionAccount.NotSessionKey.selector, callers[i]));
            vm.prank(callers[i]);
            account.executeWithKey(sessionKey, new Call[](0));
        }
    }

    function test_aKeyWorksInItsPeriodOnly() public {
        _grant(_scope());
        bytes memory outside =
            abi.encodeWithSelector(ISessionAccount.KeyOutOfPeriod.selector, START - 1 hours, START + 1 hours);
        vm.startPrank(sessionKey);
        vm.warp(START - 1 hours);
        vm.expectRevert(outside);
        account.executeWithKey(sessionKey, new Call[](0));
        vm.warp(START - 1 hours + 1);
        account.executeWithKey(sessionKey, new Call[](0));
        vm.warp(START + 1 hours);
        account.executeWithKey(sessionKey, new Call[](0));
        vm.warp(START + 1 hours + 1);
        vm.expectRevert(outside);
        account.executeWithKey(sessionKey, new Call[](0));
    }

    function test_aKeyThatIsNotActiveDoesNothing() public {
        bytes memory refusal = abi.encodeWithSelector(ISessionAccount.KeyNotActive.selector, sessionKey);
        vm.expectRevert(refusal);
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, new Call[](0));
        _grant(_scope());
        vm.prank(accountOwner);
        account.revokeSessionKey(sessionKey);
        vm.expectRevert(refusal);
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, new Call[](0));
    }

    /// Both are validated first, then the owner's is executed, then the key's.
    function test_aKeyRevokedBetweenValidationAndExecutionDoesNothing() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, DEPOSIT);
        vm.deal(accountOwner, 1 ether);
        entryPoint.depositTo{value: 0}(address(account));
        vm.prank(accountOwner);
        entryPoint.depositTo{value: 1 ether}(address(account));
        PackedUserOperation[] memory ops = new PackedUserOperation[](2);
        ops[0] = _signedBy(accountOwnerSecret, _op(abi.encodeCall(account.revokeSessionKey, (sessionKey)), ""));
        ops[1] = _op(_executeWithKey(_opening(terms)), _free());
        ops[1].nonce = entryPoint.getNonce(address(account), 1);
        ops[1] = _signedBy(sessionKeySecret, ops[1]);
        vm.expectEmit(address(entryPoint));
        emit IEntryPoint.UserOperationRevertReason(
            entryPoint.getUserOpHash(ops[1]),
            address(account),
            ops[1].nonce,
            abi.encodeWithSelector(ISessionAccount.KeyNotActive.selector, sessionKey)
        );
        _handle(ops);
        _assertStatus(terms, SessionStatus.None);
    }

    // --- what

    function test_refusesEveryOtherCall() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, 1);
        _refused(Call(address(account), 0, abi.encodeCall(account.revokeSessionKey, (sessionKey))));
        _refused(Call(address(account), 0, abi.encodeCall(account.execute, (new Call[](0)))));
        _refused(Call(address(entryPoint), 0, abi.encodeCall(entryPoint.withdrawTo, (payable(stranger), 1))));
        _refused(Call(address(entryPoint), 0, _approval(address(0), address(market), 0).data));
        _refused(Call(address(usdc), 0, abi.encodeCall(usdc.transfer, (stranger, 1))));
        _refused(_approval(address(usdc), stranger, 1));
        _refused(_approval(NATIVE, address(market), 0));
        _refused(_approval(address(fab), address(market), 0));
        _refused(Call(address(market), 0, abi.encodeCall(market.withdraw, (NATIVE, stranger))));
        _refused(Call(address(market), 0, abi.encodeCall(market.createSessionJobWithPermit, (terms, 0, 0, 0, 0))));
        _refused(Call(stranger, 1, ""));
        _refused(Call(address(market), 1, ""));
        _refused(Call(address(usdc), 0, ""));
    }

    function test_refusesKindsOutsideTheScope() public {
        SessionTerms memory terms = _keyTerms(NATIVE, 1);
        Call[5] memory calls = [
            Call(address(market), 1, abi.encodeCall(market.createSessionJob, (terms))),
            Call(address(market), 1, abi.encodeCall(market.topUp, (terms, 1))),
            Call(address(market), 0, abi.encodeCall(market.requestSessionClose, (terms, 0))),
            Call(address(market), 0, abi.encodeCall(market.finalizeSession, (terms))),
            Call(address(market), 0, abi.encodeCall(market.triggerSessionTimeout, (terms)))
        ];
        uint8[5] memory kinds = [OPEN, TOP_UP, CLOSE, CLOSE, CLOSE];
        for (uint256 i = 0; i < calls.length; ++i) {
            (sessionKey, sessionKeySecret) = makeAddrAndKey(string(abi.encode("key", i)));
            Scope memory scope = _scope();
            scope.calls = ALL - kinds[i];
            _grant(scope);
            _refused(calls[i]);
        }
    }

    function test_aSessionBelongsToTheAccount() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, 1);
        terms.renter = stranger;
        bytes memory refusal = abi.encodeWithSelector(ISessionAccount.NotOwnSession.selector, stranger);
        _refused(Call(address(market), 1, abi.encodeCall(market.createSessionJob, (terms))), refusal);
        _refused(Call(address(market), 1, abi.encodeCall(market.topUp, (terms, 1))), refusal);
    }

    function test_valueIsWhatIsCounted() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, 2);
        bytes memory open = abi.encodeCall(market.createSessionJob, (terms));
        bytes memory refusal = abi.encodeWithSelector(ISessionAccount.ValueNotAllowed.selector, 3, 2);
        _refused(Call(address(market), 3, open), refusal);
        bytes memory topUp = abi.encodeCall(market.topUp, (terms, 2));
        _refused(Call(address(market), 3, topUp), refusal);
        terms.token = address(usdc);
        refusal = abi.encodeWithSelector(ISessionAccount.ValueNotAllowed.selector, 2, 0);
        _refused(Call(address(market), 2, abi.encodeCall(market.createSessionJob, (terms))), refusal);
        _refused(Call(address(market), 2, abi.encodeCall(market.topUp, (terms, 2))), refusal);
        _refused(Call(address(market), 2, abi.encodeCall(market.requestSessionClose, (terms, 0))), refusal);
        _refused(Call(address(market), 2, abi.encodeCall(market.finalizeSession, (terms))), refusal);
        _refused(Call(address(market), 2, abi.encodeCall(market.triggerSessionTimeout, (terms))), refusal);
        Call memory approval = _approval(address(usdc), address(market), 1);
        approval.value = 2;
        _refused(approval, refusal);
    }

    /// Of an owner's session it could otherwise give the whole deposit to the host.
    function test_closesOnlySessionsWhoseVoucherKeyItIs() public {
        _grant(_scope());
        SessionTerms memory terms = _accountTerms(NATIVE, DEPOSIT);
        vm.prank(accountOwner);
        account.execute(_opening(terms));
        _refused(
            _closing(terms, DEPOSIT)[0], abi.encodeWithSelector(ISessionAccount.NotVoucherKey.selector, voucherKey)
        );
        _assertStatus(terms, SessionStatus.Active);
    }

    /// To the last base unit, over openings and top-ups, whatever comes back in between.
    function test_capsAreSpentOnce() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, DEPOSIT - 10);
        vm.startPrank(sessionKey);
        account.executeWithKey(sessionKey, _opening(terms));
        account.executeWithKey(sessionKey, _closing(terms, 0));
        vm.warp(START + 1 hours);
        account.executeWithKey(sessionKey, _one(address(market), 0, abi.encodeCall(market.finalizeSession, (terms))));
        assertEq(address(account).balance, DEPOSIT);
        terms.deposit = 6;
        account.executeWithKey(sessionKey, _opening(terms));
        vm.stopPrank();
        bytes memory topUp = abi.encodeCall(market.topUp, (terms, 5));
        _refused(
            Call(address(market), 5, topUp), abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, NATIVE, 5, 4)
        );
        topUp = abi.encodeCall(market.topUp, (terms, 4));
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, _one(address(market), 4, topUp));
        (uint128 amount, uint128 spent) = account.capOf(sessionKey, NATIVE);
        assertEq(spent, amount);
        _refused(
            _opening(_keyTerms(NATIVE, 1))[0],
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, NATIVE, 1, 0)
        );
    }

    function test_aTokenWithoutACapIsNotCommitted() public {
        _serveToken(address(fab));
        _grant(_scope());
        _refused(
            _opening(_keyTerms(address(fab), 5))[1],
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, address(fab), 5, 0)
        );
    }

    function test_approvesNoMoreThanIsLeft() public {
        _grant(_scope());
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, _opening(_keyTerms(address(usdc), USDC_DEPOSIT)));
        _refused(
            _approval(address(usdc), address(market), USDC_DEPOSIT + 1),
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, address(usdc), USDC_DEPOSIT + 1, USDC_DEPOSIT)
        );
        Call[] memory approval = new Call[](1);
        approval[0] = _approval(address(usdc), address(market), USDC_DEPOSIT);
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, approval);
        assertEq(usdc.allowance(address(account), address(market)), USDC_DEPOSIT);
    }

    /// What failed was not committed.
    function test_aFailedCallCommitsNothing() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, 5);
        terms.expiry = 1;
        bytes memory reason = abi.encodeWithSelector(
            IJobMarketplace.ExpiryOutOfRange.selector, 1, START + 1, START + market.MAX_SESSION()
        );
        _refused(_opening(terms)[0], abi.encodeWithSelector(ISessionAccount.CallReverted.selector, 0, reason));
        (, uint128 spent) = account.capOf(sessionKey, NATIVE);
        assertEq(spent, 0);
    }

    function test_anOperationOutsideTheScopeFailsInExecution() public {
        _grant(_scope());
        SessionTerms memory terms = _keyTerms(NATIVE, DEPOSIT + 1);
        vm.deal(address(account), 1 ether);
        _assertFails(
            _keyOp(_opening(terms), _free()),
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, NATIVE, DEPOSIT + 1, DEPOSIT)
        );
        _assertStatus(terms, SessionStatus.None);
    }

    // --- gas that the account pays

    /// A key that shared its gas price with a bundler could otherwise burn the whole account.
    function test_gasCountsAgainstTheNativeCap() public {
        Scope memory scope = _scope();
        uint256 prefund = (VERIFICATION_GAS + CALL_GAS + PRE_VERIFICATION_GAS) * MAX_FEE;
        scope.caps[0].amount = uint128(prefund + 100);
        _grant(scope);
        vm.deal(address(account), 10 ether);
        _handle(_keyOp(_opening(_keyTerms(NATIVE, 1)), ""));
        (, uint128 spent) = account.capOf(sessionKey, NATIVE);
        assertEq(spent, prefund + 1);
        _refusedInValidation(
            _keyOp(_opening(_keyTerms(NATIVE, 1)), ""),
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, NATIVE, prefund, 99)
        );
    }

    function test_theLargestChargeCountsAgainstItsToken() public {
        vm.prank(accountOwner);
        account.execute(_one(address(usdc), 0, abi.encodeCall(usdc.approve, (address(paymaster), 100e6))));
        _grant(_scope());
        _handle(_keyOp(_opening(_keyTerms(NATIVE, 1)), _paid(2 * USDC_DEPOSIT - 7)));
        (, uint128 spent) = account.capOf(sessionKey, address(usdc));
        assertEq(spent, 2 * USDC_DEPOSIT - 7);
        (, spent) = account.capOf(sessionKey, NATIVE);
        assertEq(spent, 1);
        _refusedInValidation(
            _keyOp(_closing(_keyTerms(NATIVE, 1), 0), _paid(8)),
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, address(usdc), 8, 7)
        );
    }

    /// And neither is a charge in a token that the key has no cap for.
    function test_aTokenWithoutACapPaysForNothing() public {
        Scope memory scope = _scope();
        scope.caps = new TokenCap[](0);
        _grant(scope);
        _refusedInValidation(
            _keyOp(_closing(_keyTerms(NATIVE, 1), 0), _paid(1)),
            abi.encodeWithSelector(ISessionAccount.CapExceeded.selector, address(usdc), 1, 0)
        );
    }

    function test_anotherPaymasterIsRefused() public {
        Scope memory scope = _scope();
        scope.paymaster = stranger;
        _grant(scope);
        _refusedInValidation(
            _keyOp(new Call[](0), _free()),
            abi.encodeWithSelector(ISessionAccount.PaymasterNotAllowed.selector, address(paymaster))
        );
    }

    function test_dataThatMeansNothingIsRefused() public {
        _grant(_scope());
        _refusedInValidation(
            _keyOp(new Call[](0), _paymasterData("")),
            abi.encodeWithSelector(PaymasterData.WrongPaymasterData.selector, 52)
        );
    }

    function _refusedInValidation(PackedUserOperation memory op, bytes memory reason) private {
        _expectRefusal("AA23 reverted", reason);
        _handle(op);
    }

    function _refused(Call memory item) private {
        _refused(item, abi.encodeWithSelector(ISessionAccount.CallNotAllowed.selector, item.to, bytes4(item.data)));
    }

    function _refused(Call memory item, bytes memory reason) private {
        Call[] memory calls = new Call[](1);
        calls[0] = item;
        vm.expectRevert(reason);
        vm.prank(sessionKey);
        account.executeWithKey(sessionKey, calls);
    }

    function _assertKey(KeyStatus status) private view {
        SessionKey memory stored = account.sessionKeyOf(sessionKey);
        assertEq(stored.paymaster, address(paymaster));
        assertEq(stored.validAfter, START - 1 hours);
        assertEq(stored.validUntil, START + 1 hours);
        assertEq(stored.calls, OPEN | CLOSE);
        assertTrue(stored.status == status);
    }
}
