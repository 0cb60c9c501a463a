// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {HostSlashingFixture} from "./HostSlashingFixture.sol";
import {Evidence, IHostSlashing, Receipt as HostReceipt, SlashStatus} from "../src/interfaces/IHostSlashing.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {HostSlashing} from "../src/HostSlashing.sol";
import {ContractKey} from "./mocks/ContractKey.sol";

/// @title Two receipts for one place: who is believed, and what it costs the host.
contract HostSlashingEquivocationTest is HostSlashingFixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    SessionTerms private _session;

    function setUp() public override {
        super.setUp();
        _session = _nativeTerms();
        _open(_session);
    }

    // --- the digest

    function test_digestFollowsTheEip(HostReceipt calldata receipt) public view {
        assertEq(slashing.receiptDigest(receipt), _receiptDigest(receipt, block.chainid, address(market)));
    }

    /// The same receipt has the same digest in crates/base/tests/it/vectors.rs.
    function test_digestOfTheSharedVector() public {
        vm.chainId(84532);
        address verifier = address(bytes20(hex"2222222222222222222222222222222222222222"));
        deployCodeTo("HostSlashing.sol:HostSlashing", abi.encode(nodes, verifier, owner), slasher);
        HostReceipt memory receipt = HostReceipt({
            sessionId: hex"1111111111111111111111111111111111111111111111111111111111111111",
            amount: 123456789,
            tokens: 4321,
            transcriptRoot: hex"3333333333333333333333333333333333333333333333333333333333333333",
            last: true
        });
        bytes32 digest = hex"ac67b7ec9a2570e5a5d23bbbe4d3a4c71edcbeef56c49c06037ceb34b80b4bc4";
        assertEq(HostSlashing(slasher).receiptDigest(receipt), digest);
        receipt.last = false;
        digest = hex"4e51bcceaaadc1dcd9b4cb54c0a4a434cb1fe9ef22ba70c9f3111659b9cb774a";
        assertEq(HostSlashing(slasher).receiptDigest(receipt), digest);
    }

    // --- refusals

    function test_refusesASessionThatNeverWas() public {
        SessionTerms memory terms = _session;
        terms.salt = "another";
        (HostReceipt memory first, HostReceipt memory second) = _pair(terms);
        _refused(abi.encodeWithSelector(IHostSlashing.UnknownSession.selector, _idOf(terms)), terms, first, second);
    }

    function test_refusesReceiptsThatAgree(uint64 tokens, bool last) public {
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NoContradiction.selector);
        HostReceipt memory first = _receipt(_session, 1, last);
        HostReceipt memory second = _receipt(_session, 1, last);
        _refused(reason, _session, first, second);
        second.last = !last;
        _refused(reason, _session, first, second);
        // Another place of the transcript: everything may differ.
        vm.assume(tokens != first.tokens);
        second = HostReceipt(_idOf(_session), 7, tokens, "root", last);
        _refused(reason, _session, first, second);
    }

    function test_refusesReceiptsOfAnotherSession() public {
        SessionTerms memory other = _session;
        other.salt = "another";
        _open(other);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.WrongSession.selector, _idOf(_session), _idOf(other));
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        second.sessionId = _idOf(other);
        _refused(reason, _session, first, second);
        _refused(reason, _session, second, first);
    }

    function test_refusesOtherSigners() public {
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        bytes memory stolen = _sign(voucherSecret, _receiptDigest(first, block.chainid, address(market)));
        _refusedSignature(first, stolen, second, _byHost(second));
        _refusedSignature(second, _byHost(second), first, stolen);
        // Each under the other's signature.
        _refusedSignature(first, _byHost(second), second, _byHost(first));
    }

    function test_refusesOtherDomains() public {
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        bytes memory good = _byHost(first);
        bytes32 digest = _receiptDigest(second, block.chainid + 1, address(market));
        _refusedSignature(first, good, second, _sign(hostSecret, digest));
        digest = _receiptDigest(second, block.chainid, address(slashing));
        _refusedSignature(first, good, second, _sign(hostSecret, digest));
        // A receipt of before a fork is worth nothing on the branch with another id.
        bytes memory other = _byHost(second);
        vm.chainId(block.chainid + 1);
        _refusedSignature(first, good, second, other);
    }

    function test_refusesOtherFormsOfASignature() public {
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(hostSecret, _receiptDigest(second, block.chainid, address(market)));
        bytes32 highS = bytes32(ORDER - uint256(s));
        bytes memory good = _byHost(first);
        _refusedSignature(first, good, second, abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)));
        _refusedSignature(first, good, second, abi.encodePacked(r, s));
        _refusedSignature(first, good, second, "");
    }

    /// A contract's word can change, so it is no evidence.
    function test_refusesAContractsSignature() public {
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        vm.etch(host, address(new ContractKey()).code);
        ContractKey(host).accept(slashing.receiptDigest(second), "open sesame");
        _refusedSignature(first, _byHost(first), second, "open sesame");
    }

    function test_refusesOldEvidence() public {
        uint40 acceptedUntil = _session.expiry + 32 days;
        vm.warp(acceptedUntil + 1);
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.EvidenceTooOld.selector, acceptedUntil);
        _refused(reason, _session, first, second);
        vm.warp(acceptedUntil);
        _reportEquivocation(_session);
    }

    function test_refusesASecondReportWhateverBecameOfTheFirst() public {
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        second.transcriptRoot = "yet another";
        bytes memory reason =
            abi.encodeWithSelector(IHostSlashing.AlreadyReported.selector, _idOf(_session), Evidence.Equivocation);
        _reportEquivocation(_session);
        _refused(reason, _session, first, second);
        uint256 snapshot = vm.snapshotState();
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        _refused(reason, _session, first, second);
        vm.revertToState(snapshot);
        vm.warp(START + 14 days);
        slashing.executeSlash(_session, Evidence.Equivocation);
        _refused(reason, _session, first, second);
    }

    function test_refusesWhenTheStakeHasLeft() public {
        _leave(host);
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NothingAtStake.selector, host);
        _refused(reason, _session, first, second);
    }

    /// Half of one unit is none.
    function test_refusesWhenNothingWouldBeTaken() public {
        vm.prank(slasher);
        nodes.slash(host, STAKE - 1, stranger);
        (HostReceipt memory first, HostReceipt memory second) = _pair(_session);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NothingAtStake.selector, host);
        _refused(reason, _session, first, second);
    }

    // --- reports

    function test_holdsHalfOfTheStake(uint96 more, uint96 amount, bytes32 root, address reporter) public {
        vm.assume(reporter != address(0));
        more = uint96(bound(more, 0, fab.balanceOf(owner)));
        vm.prank(owner);
        fab.transfer(host, more);
        vm.prank(host);
        nodes.addStake(more);
        HostReceipt memory first = _receipt(_session, 1, false);
        HostReceipt memory second = _receipt(_session, amount, true);
        second.transcriptRoot = root;
        vm.assume(amount != first.amount || root != first.transcriptRoot);
        uint96 stake = STAKE + more;
        vm.warp(START + 1 hours);
        bytes memory firstSignature = _byHost(first);
        bytes memory secondSignature = _byHost(second);
        vm.expectEmit(address(slashing));
        emit IHostSlashing.SlashReported(
            _idOf(_session), host, Evidence.Equivocation, reporter, stake / 2, uint40(START + 1 hours + 14 days)
        );
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeSlashed(host, stake / 2, stake - stake / 2, address(slashing));
        vm.prank(reporter);
        slashing.reportEquivocation(_session, first, firstSignature, second, secondSignature);

        _assertSlash(_session, Evidence.Equivocation, SlashStatus.Pending, START + 1 hours + 14 days, stake / 2);
        _assertSlash(_session, Evidence.Overclaim, SlashStatus.None, 0, 0);
        assertEq(nodes.getNode(host).stake, stake - stake / 2);
        assertEq(fab.balanceOf(address(slashing)), stake / 2);
        assertEq(fab.balanceOf(address(nodes)), stake - stake / 2);
    }

    function test_eitherDifferenceIsEnough() public {
        uint256 snapshot = vm.snapshotState();
        HostReceipt memory first = _receipt(_session, 1, false);
        HostReceipt memory second = _receipt(_session, 2, false);
        slashing.reportEquivocation(_session, first, _byHost(first), second, _byHost(second));
        vm.revertToState(snapshot);
        second = _receipt(_session, 1, false);
        second.transcriptRoot = "other";
        slashing.reportEquivocation(_session, first, _byHost(first), second, _byHost(second));
    }

    function test_takesTheLastUnitThatCanBeHalved() public {
        vm.prank(slasher);
        nodes.slash(host, STAKE - 2, stranger);
        _reportEquivocation(_session);
        assertEq(nodes.getNode(host).stake, 1);
    }

    function test_stopsTheHostFromServingUntilItAddsToItsStake() public {
        _reportEquivocation(_session);
        assertFalse(nodes.isServing(host, MODEL, NATIVE));
        vm.prank(owner);
        fab.transfer(host, STAKE / 2);
        vm.prank(host);
        nodes.addStake(STAKE / 2);
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
    }

    /// EIP-7702: code on the host's account takes nothing from the word of its key.
    function test_takesTheKeyOfAnAccountWithCode() public {
        vm.etch(host, hex"ef0100ffffffffffffffffffffffffffffffffffffffff");
        _reportEquivocation(_session);
    }

    function test_takesEvidenceOfAClosedSession() public {
        _completeBy(_session, 1);
        _reportEquivocation(_session);
    }

    /// Each finds less than the one before: together they never reach the stake.
    function test_reportsOfManySessionsNeverReachTheStake() public {
        for (uint256 i = 0; i < 20; ++i) {
            _session.salt = bytes32(i);
            _open(_session);
        }
        uint256 left = STAKE;
        for (uint256 i = 0; i < 20; ++i) {
            _session.salt = bytes32(i);
            _reportEquivocation(_session);
            left -= left / 2;
            assertEq(nodes.getNode(host).stake, left);
            assertEq(fab.balanceOf(address(slashing)), STAKE - left);
            assertEq(fab.balanceOf(address(nodes)), left);
        }
    }

    // --- inner

    function _pair(SessionTerms memory terms)
        private
        pure
        returns (HostReceipt memory first, HostReceipt memory second)
    {
        first = _receipt(terms, 1, false);
        second = _receipt(terms, 2, false);
    }

    function _refused(
        bytes memory reason,
        SessionTerms memory terms,
        HostReceipt memory first,
        HostReceipt memory second
    ) private {
        bytes memory firstSignature = _byHost(first);
        bytes memory secondSignature = _byHost(second);
        vm.expectRevert(reason);
        slashing.reportEquivocation(terms, first, firstSignature, second, secondSignature);
    }

    function _refusedSignature(
        HostReceipt memory first,
        bytes memory firstSignature,
        HostReceipt memory second,
        bytes memory secondSignature
    ) private {
        vm.expectRevert(IHostSlashing.BadSignature.selector);
        slashing.reportEquivocation(_session, first, firstSignature, second, secondSignature);
    }
}
