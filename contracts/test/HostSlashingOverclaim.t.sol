// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {HostSlashingFixture} from "./HostSlashingFixture.sol";
import {Evidence, IHostSlashing, Receipt as HostReceipt, SlashStatus} from "../src/interfaces/IHostSlashing.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Completion, SessionTerms, Voucher} from "../src/interfaces/SessionTypes.sol";

/// @title A host that claims more than its last receipt says.
contract HostSlashingOverclaimTest is HostSlashingFixture {
    uint96 private constant SAID = DEPOSIT / 4;
    SessionTerms private _session;

    function setUp() public override {
        super.setUp();
        _session = _nativeTerms();
        _open(_session);
    }

    // --- refusals

    function test_refusesASessionThatNeverWas() public {
        SessionTerms memory terms = _session;
        terms.salt = "another";
        _refused(abi.encodeWithSelector(IHostSlashing.UnknownSession.selector, _idOf(terms)), terms, _said(terms));
    }

    function test_refusesAReceiptThatIsNotTheLast() public {
        _completeBy(_session, SAID + 1);
        HostReceipt memory receipt = _receipt(_session, SAID, false);
        _refused(abi.encodeWithSelector(IHostSlashing.NotLast.selector), _session, receipt);
    }

    function test_refusesWhileTheSessionIsOpen() public {
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.SessionNotClosed.selector, _idOf(_session));
        _refused(reason, _session, _said(_session));
        _close(_session, SAID + 1);
        _refused(reason, _session, _said(_session));
    }

    /// A renter acknowledges more than the host asked for, to have it slashed.
    function test_refusesWhatTheRenterAcknowledged() public {
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.RenterAskedToClose.selector, _idOf(_session));
        _close(_session, SAID + 1);
        uint256 snapshot = vm.snapshotState();
        vm.warp(START + 1 hours);
        market.finalizeSession(_session);
        _refused(reason, _session, _said(_session));

        vm.revertToState(snapshot);
        vm.prank(host);
        market.completeSessionJob(_bareCompletion(_session, SAID + 1));
        _refused(reason, _session, _said(_session));

        vm.revertToState(snapshot);
        vm.warp(uint256(_session.expiry) + 1 hours);
        market.triggerSessionTimeout(_session);
        _refused(reason, _session, _said(_session));
    }

    /// The same by a voucher of its own.
    function test_refusesWhatTheRenterPresented() public {
        _close(_session, 0);
        Voucher memory voucher = _voucher(_session, SAID + 1);
        market.presentVoucher(_session, voucher, _signed(voucher));
        vm.warp(START + 1 hours);
        market.finalizeSession(_session);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.RenterAskedToClose.selector, _idOf(_session));
        _refused(reason, _session, _said(_session));
    }

    function test_refusesAClaimWithinTheReceipt(uint96 claim) public {
        claim = uint96(bound(claim, 0, SAID));
        _completeBy(_session, claim);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NotOverclaimed.selector, claim, SAID);
        _refused(reason, _session, _said(_session));
    }

    function test_refusesAClaimOfExactlyTheReceipt() public {
        _completeBy(_session, SAID);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NotOverclaimed.selector, SAID, SAID);
        _refused(reason, _session, _said(_session));
    }

    function test_refusesASessionThatTimedOut() public {
        vm.warp(uint256(_session.expiry) + 1 hours);
        market.triggerSessionTimeout(_session);
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.NotOverclaimed.selector, 0, 0);
        _refused(reason, _session, _receipt(_session, 0, true));
    }

    function test_refusesAReceiptOfAnotherSession() public {
        _completeBy(_session, SAID + 1);
        SessionTerms memory other = _session;
        other.salt = "another";
        bytes memory reason = abi.encodeWithSelector(IHostSlashing.WrongSession.selector, _idOf(_session), _idOf(other));
        _refused(reason, _session, _said(other));
    }

    function test_refusesOtherSigners() public {
        _completeBy(_session, SAID + 1);
        HostReceipt memory receipt = _said(_session);
        bytes memory signature = _sign(voucherSecret, _receiptDigest(receipt, block.chainid, address(market)));
        vm.expectRevert(IHostSlashing.BadSignature.selector);
        slashing.reportOverclaim(_session, receipt, signature);
        // Signed for another amount.
        signature = _byHost(_receipt(_session, SAID - 1, true));
        vm.expectRevert(IHostSlashing.BadSignature.selector);
        slashing.reportOverclaim(_session, receipt, signature);
        // Signed, but not as the last.
        signature = _byHost(_receipt(_session, SAID, false));
        vm.expectRevert(IHostSlashing.BadSignature.selector);
        slashing.reportOverclaim(_session, receipt, signature);
    }

    function test_refusesOldEvidence() public {
        _completeBy(_session, SAID + 1);
        uint40 acceptedUntil = _session.expiry + 32 days;
        vm.warp(acceptedUntil + 1);
        _refused(
            abi.encodeWithSelector(IHostSlashing.EvidenceTooOld.selector, acceptedUntil), _session, _said(_session)
        );
    }

    function test_refusesASecondReport() public {
        _completeBy(_session, SAID + 1);
        _reportOverclaim(_session, SAID);
        bytes memory reason =
            abi.encodeWithSelector(IHostSlashing.AlreadyReported.selector, _idOf(_session), Evidence.Overclaim);
        _refused(reason, _session, _receipt(_session, SAID - 1, true));
    }

    // --- reports

    function test_holdsAFifthOfTheStake(uint96 said, uint96 claim) public {
        said = uint96(bound(said, 0, DEPOSIT - 1));
        claim = uint96(bound(claim, uint256(said) + 1, DEPOSIT));
        _completeBy(_session, claim);
        HostReceipt memory receipt = _receipt(_session, said, true);
        bytes memory signature = _byHost(receipt);
        vm.warp(START + 5);
        vm.expectEmit(address(slashing));
        emit IHostSlashing.SlashReported(
            _idOf(_session), host, Evidence.Overclaim, stranger, STAKE / 5, uint40(START + 5 + 14 days)
        );
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeSlashed(host, STAKE / 5, STAKE - STAKE / 5, address(slashing));
        vm.prank(stranger);
        slashing.reportOverclaim(_session, receipt, signature);
        _assertSlash(_session, Evidence.Overclaim, SlashStatus.Pending, START + 5 + 14 days, STAKE / 5);
        _assertSlash(_session, Evidence.Equivocation, SlashStatus.None, 0, 0);
        assertEq(nodes.getNode(host).stake, STAKE - STAKE / 5);
        assertEq(fab.balanceOf(address(slashing)), STAKE / 5);
    }

    function test_takesAnItemOfABatch() public {
        Completion[] memory completions = new Completion[](1);
        completions[0] = _completion(_session, SAID + 1);
        vm.prank(host);
        market.completeSessionJobs(_packed(completions));
        _reportOverclaim(_session, SAID);
    }

    /// One session, two lies: neither covers for the other.
    function test_bothKindsCount() public {
        _completeBy(_session, SAID + 1);
        _reportOverclaim(_session, SAID);
        _reportEquivocation(_session);
        _assertSlash(_session, Evidence.Overclaim, SlashStatus.Pending, START + 14 days, STAKE / 5);
        _assertSlash(_session, Evidence.Equivocation, SlashStatus.Pending, START + 14 days, STAKE * 2 / 5);
        assertEq(nodes.getNode(host).stake, STAKE * 2 / 5);
    }

    // --- inner

    function _said(SessionTerms memory terms) private pure returns (HostReceipt memory) {
        return _receipt(terms, SAID, true);
    }

    function _refused(bytes memory reason, SessionTerms memory terms, HostReceipt memory receipt) private {
        bytes memory signature = _byHost(receipt);
        vm.expectRevert(reason);
        slashing.reportOverclaim(terms, receipt, signature);
    }
}
