// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EntryPoint} from "@account-abstraction/contracts/core/EntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {SessionAccount} from "../src/SessionAccount.sol";
import {Call} from "../src/interfaces/ISelfBatch.sol";
import {ISessionAccount, KeyStatus, Scope} from "../src/interfaces/ISessionAccount.sol";
import {Callee} from "./mocks/Callee.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {AccountFixture} from "./AccountFixture.sol";

contract SessionAccountTest is AccountFixture {
    Callee private callee;

    function setUp() public override {
        super.setUp();
        callee = new Callee();
    }

    // --- who may call

    function test_refusesZeroAddresses() public {
        vm.expectRevert(SessionAccount.ZeroAddress.selector);
        this.make(address(0), address(market));
        vm.expectRevert(SessionAccount.ZeroAddress.selector);
        this.make(address(entryPoint), address(0));
        this.make(address(entryPoint), address(market));
    }

    function test_onlyTheOwnerExecutesAndGrants(address caller) public {
        vm.assume(caller != accountOwner && caller != address(entryPoint) && caller != address(account));
        bytes memory refusal = abi.encodeWithSelector(ISessionAccount.NotOwner.selector, caller);
        vm.startPrank(caller);
        vm.expectRevert(refusal);
        account.execute(new Call[](0));
        vm.expectRevert(refusal);
        account.grantSessionKey(sessionKey, _scope());
        vm.expectRevert(refusal);
        account.revokeSessionKey(sessionKey);
    }

    function test_onlyTheEntryPointAsksForValidation() public {
        PackedUserOperation memory op = _ownerOp(new Call[](0), "");
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.NotEntryPoint.selector, accountOwner));
        vm.prank(accountOwner);
        account.validateUserOp(op, bytes32(0), 0);
    }

    function test_theImplementationBelongsToNobody() public {
        assertEq(accountCode.owner(), address(0));
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.NotOwner.selector, stranger));
        vm.prank(stranger);
        accountCode.execute(new Call[](0));
        vm.deal(stranger, 1);
        vm.prank(stranger);
        (bool sent, bytes memory reason) = address(accountCode).call{value: 1}("");
        assertFalse(sent);
        assertEq(reason, abi.encodeWithSelector(ISessionAccount.NotAnAccount.selector));
        // A signature that recovers to nobody is no signature of nobody's.
        PackedUserOperation memory op = _op(_execute(new Call[](0)), "");
        op.signature = new bytes(65);
        vm.prank(address(entryPoint));
        assertEq(accountCode.validateUserOp(op, bytes32(uint256(1)), 0), 1);
        assertEq(accountCode.isValidSignature(bytes32(uint256(1)), op.signature), bytes4(0xffffffff));
    }

    function test_takesCoinsAsARefundIsPushed() public {
        ContractRenter payer = new ContractRenter();
        vm.deal(address(payer), 1 ether);
        payer.execute(address(account), 1 ether, "");
        assertEq(address(account).balance, DEPOSIT + 1 ether);
        vm.prank(address(payer));
        (bool sent,) = address(account).call{value: 0, gas: 30_000}("");
        assertTrue(sent);
    }

    // --- calls

    function test_callsComeFromTheAccountInOrder() public {
        Call[] memory calls = new Call[](3);
        for (uint256 i = 0; i < 3; ++i) {
            calls[i] = Call(address(callee), i, abi.encodeCall(callee.note, (i + 1)));
        }
        vm.prank(accountOwner);
        account.execute(calls);
        assertEq(callee.lastCaller(), address(account));
        assertEq(callee.noteCount(), 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(callee.notes(i), i + 1);
        }
        assertEq(address(callee).balance, 3);
    }

    function test_allCallsOrNone() public {
        Call[] memory calls = _two(
            Call(address(callee), 0, abi.encodeCall(callee.note, (1))),
            Call(address(callee), 0, abi.encodeCall(callee.refuse, (7)))
        );
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionAccount.CallReverted.selector, 1, abi.encodeWithSelector(Callee.Refused.selector, 7)
            )
        );
        vm.prank(accountOwner);
        account.execute(calls);
        assertEq(callee.noteCount(), 0);
    }

    /// By a call of the account to itself within a batch, and by an operation of its own.
    function test_theOwnerGrantsAndRevokesByOperation() public {
        bytes memory grant = abi.encodeCall(account.grantSessionKey, (sessionKey, _scope()));
        vm.deal(address(account), 1 ether);
        _handle(_ownerOp(_one(address(account), 0, grant), ""));
        assertTrue(account.sessionKeyOf(sessionKey).status == KeyStatus.Active);
        bytes memory revoke = abi.encodeCall(account.revokeSessionKey, (sessionKey));
        _handle(_signedBy(accountOwnerSecret, _op(revoke, "")));
        assertTrue(account.sessionKeyOf(sessionKey).status == KeyStatus.Revoked);
    }

    // --- validation

    function test_anotherSignatureIsAnsweredAndNotReverted(uint256 secret, bytes32 hash) public {
        secret = bound(secret, 1, type(uint128).max);
        vm.assume(secret != accountOwnerSecret);
        PackedUserOperation memory op = _op(_execute(new Call[](0)), "");
        op.signature = _sign(accountOwnerSecret, hash);
        assertEq(_validate(op, hash, 0), 0);
        assertEq(_validate(op, ~hash, 0), 1);
        op.signature = _sign(secret, hash);
        assertEq(_validate(op, hash, 0), 1);
        op.signature = "";
        assertEq(_validate(op, hash, 0), 1);
        op = _signedBy(secret, _op(_execute(_opening(_accountTerms(NATIVE, 1))), _free()));
        _expectRefusal("AA24 signature error");
        _handle(op);
    }

    /// Whatever is called but `executeWithKey` needs the owner; and that needs the key, not the owner.
    function test_aSessionKeySignsForNothingElse() public {
        _grant(_scope());
        bytes32 hash = keccak256("operation");
        bytes[4] memory callDatas = [
            _execute(new Call[](0)),
            abi.encodeCall(account.grantSessionKey, (stranger, _scope())),
            abi.encodeCall(account.revokeSessionKey, (sessionKey)),
            bytes("")
        ];
        for (uint256 i = 0; i < callDatas.length; ++i) {
            PackedUserOperation memory op = _op(callDatas[i], _free());
            op.signature = _sign(sessionKeySecret, hash);
            assertEq(_validate(op, hash, 0), 1);
            op.signature = _sign(accountOwnerSecret, hash);
            assertEq(_validate(op, hash, 0), 0);
        }
        PackedUserOperation memory withKey = _op(_executeWithKey(new Call[](0)), _free());
        withKey.signature = _sign(accountOwnerSecret, hash);
        assertEq(_validate(withKey, hash, 0), _period() | 1);
        withKey.signature = _sign(sessionKeySecret, hash);
        assertEq(_validate(withKey, hash, 0), _period());
        assertEq(_validate(withKey, ~hash, 0), _period() | 1);
        withKey.signature = "";
        assertEq(_validate(withKey, hash, 0), _period() | 1);
        withKey = _signedBy(accountOwnerSecret, _op(_executeWithKey(_opening(_keyTerms(NATIVE, 1))), _free()));
        _expectRefusal("AA24 signature error");
        _handle(withKey);
    }

    /// By the ERC: what is signed later is estimated with a signature that means nothing, and must find all the gas.
    function test_withABadSignatureEverythingElseIsDone() public {
        Scope memory scope = _scope();
        scope.caps[0].amount = type(uint128).max;
        _grant(scope);
        PackedUserOperation memory op = _op(_executeWithKey(new Call[](0)), "");
        op.signature = _sign(accountOwnerSecret, "estimate");
        assertEq(_validate(op, "estimate", 0), _period() | 1);
        (, uint128 spent) = account.capOf(sessionKey, NATIVE);
        assertEq(spent, (VERIFICATION_GAS + CALL_GAS + PRE_VERIFICATION_GAS) * MAX_FEE);
    }

    function test_onlyAnActiveKeyIsValid() public {
        bytes32 hash = keccak256("operation");
        PackedUserOperation memory op = _op(_executeWithKey(new Call[](0)), _free());
        op.signature = _sign(sessionKeySecret, hash);
        assertEq(_validate(op, hash, 0), 1);
        _grant(_scope());
        assertEq(_validate(op, hash, 0), _period());
        vm.prank(accountOwner);
        account.revokeSessionKey(sessionKey);
        assertEq(_validate(op, hash, 0), 1);
    }

    function test_aCallThatNamesNoKeyIsInvalid() public {
        _grant(_scope());
        bytes32 hash = keccak256("operation");
        bytes memory callData = abi.encodeWithSelector(ISessionAccount.executeWithKey.selector, sessionKey);
        PackedUserOperation memory op = _op(callData, _free());
        op.signature = _sign(sessionKeySecret, hash);
        assertEq(_validate(op, hash, 0), _period());
        assembly {
            mstore(callData, 35)
        }
        op.callData = callData;
        assertEq(_validate(op, hash, 0), 1);
    }

    function test_paysWhatTheEntryPointMisses() public {
        PackedUserOperation memory op = _op("", "");
        uint256 before = address(entryPoint).balance;
        _validate(op, 0, 1 gwei);
        assertEq(address(entryPoint).balance, before + 1 gwei);
        assertEq(address(account).balance, DEPOSIT - 1 gwei);
        vm.expectRevert(ISessionAccount.PrefundFailed.selector);
        _validate(op, 0, DEPOSIT);
    }

    function test_anOperationCountsOnce() public {
        PackedUserOperation memory op = _ownerOp(_opening(_accountTerms(NATIVE, DEPOSIT)), _free());
        _handle(op);
        _expectRefusal("AA25 invalid account nonce");
        _handle(op);
    }

    function test_anOperationOfAnotherChainOrEntryPointIsNone() public {
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, DEPOSIT))), _free());
        vm.chainId(31338);
        op = _signedBy(accountOwnerSecret, op);
        vm.chainId(31337);
        _expectRefusal("AA24 signature error");
        _handle(op);
        EntryPoint other = new EntryPoint();
        op.signature = _sign(accountOwnerSecret, other.getUserOpHash(op));
        _expectRefusal("AA24 signature error");
        _handle(op);
        _handle(_signedBy(accountOwnerSecret, op));
    }

    // --- messages

    function test_theDigestIsThatOfTheEip(bytes32 digest) public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan SessionAccount"),
                keccak256("1"),
                block.chainid,
                address(account)
            )
        );
        bytes32 message = keccak256(abi.encode(keccak256("AccountMessage(bytes32 digest)"), digest));
        assertEq(account.accountDigest(digest), keccak256(abi.encodePacked(hex"1901", domain, message)));
    }

    function test_theOwnerSignsForOneAccountOnly(bytes32 digest) public {
        IERC1271 other = IERC1271(factory.createAccount(accountOwner, bytes32(uint256(1))));
        _grant(_scope());
        bytes4 yes = IERC1271.isValidSignature.selector;
        bytes32 wrapped = account.accountDigest(digest);
        assertEq(account.isValidSignature(digest, _sign(accountOwnerSecret, wrapped)), yes);
        assertEq(other.isValidSignature(digest, _sign(accountOwnerSecret, wrapped)), bytes4(0xffffffff));
        assertEq(account.isValidSignature(digest, _sign(accountOwnerSecret, digest)), bytes4(0xffffffff));
        assertEq(account.isValidSignature(digest, _sign(sessionKeySecret, wrapped)), bytes4(0xffffffff));
        assertEq(account.isValidSignature(digest, ""), bytes4(0xffffffff));
    }

    function test_aDelegatedAccountSignsAsItAlwaysDid(bytes32 digest) public {
        _delegate(address(accountCode), renterSecret);
        IERC1271 signer = IERC1271(renter);
        assertEq(signer.isValidSignature(digest, _sign(renterSecret, digest)), IERC1271.isValidSignature.selector);
        assertEq(signer.isValidSignature(digest, _sign(accountOwnerSecret, digest)), bytes4(0xffffffff));
        assertEq(signer.isValidSignature(~digest, _sign(renterSecret, digest)), bytes4(0xffffffff));
        vm.prank(renter);
        ISessionAccount(renter).execute(_one(address(callee), 1, abi.encodeCall(callee.note, (1))));
        assertEq(callee.lastCaller(), renter);
        vm.expectRevert(abi.encodeWithSelector(ISessionAccount.NotOwner.selector, stranger));
        vm.prank(stranger);
        ISessionAccount(renter).execute(new Call[](0));
    }

    function test_views() public view {
        assertEq(account.ENTRY_POINT(), address(entryPoint));
        assertEq(account.MARKETPLACE(), address(market));
        assertEq(account.interfaceVersion(), keccak256("capstan.SessionAccount.v1"));
    }

    function make(address entryPoint_, address market_) external returns (SessionAccount) {
        return new SessionAccount(entryPoint_, market_);
    }

    function _validate(PackedUserOperation memory op, bytes32 hash, uint256 missing) private returns (uint256) {
        vm.prank(address(entryPoint));
        return account.validateUserOp(op, hash, missing);
    }

    function _period() private pure returns (uint256) {
        return (START - 1 hours) << 208 | (START + 1 hours) << 160;
    }
}
