// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EntryPoint} from "@account-abstraction/contracts/core/EntryPoint.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Vm, VmSafe} from "forge-std/Vm.sol";
import {BaseAccountIntegration} from "../src/BaseAccountIntegration.sol";
import {SessionAccount} from "../src/SessionAccount.sol";
import {SessionAccountFactory} from "../src/SessionAccountFactory.sol";
import {IBaseAccountIntegration, Policy} from "../src/interfaces/IBaseAccountIntegration.sol";
import {Call} from "../src/interfaces/ISelfBatch.sol";
import {ISessionAccount, Scope, TokenCap} from "../src/interfaces/ISessionAccount.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {Delegating} from "./mocks/Delegating.sol";
import {Fixture} from "./Fixture.sol";

/// @title The protocol, the real EntryPoint, two sponsors, and a smart account that exists and holds no coin for gas.
abstract contract AccountFixture is Fixture, Delegating {
    uint8 internal constant OPEN = 1;
    uint8 internal constant TOP_UP = 2;
    uint8 internal constant CLOSE = 4;
    uint8 internal constant ALL = 7;
    bytes32 internal constant SALT = bytes32(0);
    uint32 internal constant TODAY = uint32(START / 1 days);

    uint256 internal constant PRIORITY_FEE = 0.5 gwei;
    uint256 internal constant MAX_FEE = 2 gwei;
    /// Transactions of an isolated test have a base fee of zero.
    uint256 internal constant GAS_PRICE = PRIORITY_FEE;
    uint256 internal constant VERIFICATION_GAS = 300_000;
    uint256 internal constant CALL_GAS = 300_000;
    uint256 internal constant PRE_VERIFICATION_GAS = 50_000;
    uint256 internal constant PAYMASTER_GAS = 200_000;
    uint256 internal constant POST_OP_GAS = 45_000;
    /// What the EntryPoint sets aside for an operation with a paymaster.
    uint256 internal constant MAX_COST =
        (VERIFICATION_GAS + CALL_GAS + PRE_VERIFICATION_GAS + PAYMASTER_GAS + POST_OP_GAS) * MAX_FEE;

    /// 3,000 dollars for 10^18 wei, and 10 percent.
    uint96 internal constant PRICE = 3300e6;
    uint96 internal constant DAILY_PER_USER = 0.01 ether;
    uint96 internal constant DAILY_TOTAL = 0.05 ether;
    uint96 internal constant FUNDED = 1 ether;

    EntryPoint internal entryPoint;
    SessionAccount internal accountCode;
    SessionAccountFactory internal factory;
    BaseAccountIntegration internal paymaster;
    address internal bundler = makeAddr("bundler");
    address payable internal beneficiary = payable(makeAddr("beneficiary"));
    /// Asks for nothing, and for dollars.
    address internal sponsor = makeAddr("sponsor");
    address internal seller = makeAddr("seller");
    address internal accountOwner;
    uint256 internal accountOwnerSecret;
    address internal sessionKey;
    uint256 internal sessionKeySecret;
    SessionAccount internal account;

    function setUp() public virtual override {
        super.setUp();
        (accountOwner, accountOwnerSecret) = makeAddrAndKey("account owner");
        (sessionKey, sessionKeySecret) = makeAddrAndKey("session key");
        entryPoint = new EntryPoint();
        accountCode = new SessionAccount(address(entryPoint), address(market));
        factory = new SessionAccountFactory(address(accountCode));
        paymaster = new BaseAccountIntegration(address(entryPoint), address(market), factory, owner);
        account = SessionAccount(payable(factory.createAccount(accountOwner, SALT)));
        _sponsor(sponsor, _policy());
        _sponsor(seller, _pricedPolicy());
        vm.deal(address(account), DEPOSIT);
        usdc.mint(address(account), 1000e6);
    }

    function _sponsor(address who, Policy memory policy) internal {
        vm.deal(address(this), FUNDED);
        paymaster.fund{value: FUNDED}(who);
        vm.prank(who);
        paymaster.setPolicy(policy);
    }

    function _policy() internal pure returns (Policy memory) {
        return Policy({
            dailyPerUser: DAILY_PER_USER,
            dailyTotal: DAILY_TOTAL,
            maxFeePerGas: uint64(MAX_FEE),
            calls: ALL,
            token: address(0),
            price: 0
        });
    }

    function _pricedPolicy() internal view returns (Policy memory policy) {
        policy = _policy();
        (policy.token, policy.price) = (address(usdc), PRICE);
    }

    function _charge(uint256 cost) internal pure returns (uint256) {
        return (cost * PRICE + 1e18 - 1) / 1e18;
    }

    // --- calls

    function _accountTerms(address token, uint96 deposit) internal view returns (SessionTerms memory terms) {
        terms = _terms(token, deposit);
        terms.renter = address(account);
    }

    function _keyTerms(address token, uint96 deposit) internal view returns (SessionTerms memory terms) {
        terms = _accountTerms(token, deposit);
        terms.voucherKey = sessionKey;
    }

    function _one(address to, uint256 value, bytes memory data) internal pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = Call(to, value, data);
    }

    function _two(Call memory first, Call memory second) internal pure returns (Call[] memory calls) {
        calls = new Call[](2);
        (calls[0], calls[1]) = (first, second);
    }

    function _approval(address token, address spender, uint256 amount) internal pure returns (Call memory) {
        return Call(token, 0, abi.encodeWithSignature("approve(address,uint256)", spender, amount));
    }

    function _opening(SessionTerms memory terms) internal view returns (Call[] memory) {
        bytes memory data = abi.encodeCall(market.createSessionJob, (terms));
        if (terms.token == NATIVE) return _one(address(market), terms.deposit, data);
        return _two(_approval(terms.token, address(market), terms.deposit), Call(address(market), 0, data));
    }

    function _closing(SessionTerms memory terms, uint96 acknowledged) internal view returns (Call[] memory) {
        return _one(address(market), 0, abi.encodeCall(market.requestSessionClose, (terms, acknowledged)));
    }

    function _execute(Call[] memory calls) internal pure returns (bytes memory) {
        return abi.encodeCall(ISessionAccount.execute, (calls));
    }

    function _executeWithKey(Call[] memory calls) internal view returns (bytes memory) {
        return abi.encodeCall(ISessionAccount.executeWithKey, (sessionKey, calls));
    }

    function _scope() internal view returns (Scope memory scope) {
        scope.calls = ALL;
        scope.validAfter = uint40(START - 1 hours);
        scope.validUntil = uint40(START + 1 hours);
        scope.paymaster = address(paymaster);
        scope.caps = new TokenCap[](2);
        scope.caps[0] = TokenCap(NATIVE, DEPOSIT);
        scope.caps[1] = TokenCap(address(usdc), 2 * uint128(USDC_DEPOSIT));
    }

    function _grant(Scope memory scope) internal {
        vm.prank(accountOwner);
        account.grantSessionKey(sessionKey, scope);
    }

    // --- operations

    function _free() internal view returns (bytes memory) {
        return _paymasterData(abi.encodePacked(sponsor, TODAY));
    }

    function _paid(uint128 maxCharge) internal view returns (bytes memory) {
        return _paymasterData(abi.encodePacked(seller, TODAY, address(usdc), maxCharge));
    }

    function _paymasterData(bytes memory data) internal view returns (bytes memory) {
        return abi.encodePacked(address(paymaster), uint128(PAYMASTER_GAS), uint128(POST_OP_GAS), data);
    }

    function _gasFees(uint256 maxFee) internal pure returns (bytes32) {
        return bytes32(PRIORITY_FEE << 128 | maxFee);
    }

    function _op(bytes memory callData, bytes memory paymasterAndData)
        internal
        view
        returns (PackedUserOperation memory op)
    {
        op.sender = address(account);
        op.nonce = entryPoint.getNonce(op.sender, 0);
        op.callData = callData;
        op.accountGasLimits = bytes32(VERIFICATION_GAS << 128 | CALL_GAS);
        op.preVerificationGas = PRE_VERIFICATION_GAS;
        op.gasFees = _gasFees(MAX_FEE);
        op.paymasterAndData = paymasterAndData;
    }

    function _signedBy(uint256 secret, PackedUserOperation memory op)
        internal
        view
        returns (PackedUserOperation memory)
    {
        op.signature = _sign(secret, entryPoint.getUserOpHash(op));
        return op;
    }

    function _ownerOp(Call[] memory calls, bytes memory paymasterAndData)
        internal
        view
        returns (PackedUserOperation memory)
    {
        return _signedBy(accountOwnerSecret, _op(_execute(calls), paymasterAndData));
    }

    function _keyOp(Call[] memory calls, bytes memory paymasterAndData)
        internal
        view
        returns (PackedUserOperation memory)
    {
        return _signedBy(sessionKeySecret, _op(_executeWithKey(calls), paymasterAndData));
    }

    function _handle(PackedUserOperation memory op) internal {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        _handle(ops);
    }

    function _handle(PackedUserOperation[] memory ops) internal {
        vm.prank(bundler, bundler);
        entryPoint.handleOps(ops, beneficiary);
    }

    struct Outcome {
        bool success;
        /// What the EntryPoint took.
        uint256 taken;
        /// What the sponsor's balance was charged, and the account.
        uint256 cost;
        uint256 charge;
        bool settled;
    }

    /// @dev What became of the only operation of a bundle.
    function _outcome(PackedUserOperation memory op) internal returns (Outcome memory outcome) {
        vm.recordLogs();
        _handle(op);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IEntryPoint.UserOperationEvent.selector) {
                (, outcome.success, outcome.taken,) = abi.decode(logs[i].data, (uint256, bool, uint256, uint256));
            } else if (logs[i].topics[0] == IBaseAccountIntegration.OperationSponsored.selector) {
                outcome.settled = true;
                (outcome.cost,, outcome.charge) = abi.decode(logs[i].data, (uint256, address, uint256));
            }
        }
    }

    /// @dev Runs the only operation of a bundle, which has to fail in execution for the given reason.
    function _assertFails(PackedUserOperation memory op, bytes memory reason) internal {
        vm.expectEmit(address(entryPoint));
        emit IEntryPoint.UserOperationRevertReason(entryPoint.getUserOpHash(op), op.sender, op.nonce, reason);
        _handle(op);
    }

    /// @dev The only operation of a bundle is refused in validation.
    function _expectRefusal(string memory code) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, code));
    }

    function _expectRefusal(string memory code, bytes memory reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOpWithRevert.selector, 0, code, reason));
    }

    /// @dev An operation cost its sponsor what the EntryPoint took for it, and `dustGas` more at most. What settling
    /// costs is a constant of the deployed code, which instrumented code does not keep.
    function _assertCovered(uint256 cost, uint256 taken, uint256 dustGas) internal view {
        if (_instrumented()) return;
        assertGe(cost, taken, "the deposit pays");
        assertLe(cost, taken + dustGas * GAS_PRICE, "overcharged");
    }

    function _instrumented() internal view returns (bool) {
        return vm.isContext(VmSafe.ForgeContext.Coverage);
    }
}
