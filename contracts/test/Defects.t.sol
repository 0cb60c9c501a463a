// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {JobFixture} from "./JobFixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {INodeRegistry, Offer} from "../src/interfaces/INodeRegistry.sol";
import {JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {Completion, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {ProofDouble} from "./mocks/ProofDouble.sol";

/// @title Defects found in the public system this one replaces; none may come back.
/// @dev Its first, a proof that a stranger burnt, has kin in whatever a stranger can submit first: permits and
/// authorizations are tested with createSessionJobWithPermit and createSessionJobWithAuthorization.
contract DefectsTest is JobFixture {
    /// F1: a stranger that copied a host's proof from the mempool had it marked as used, and the host could not hand
    /// it in. Here a proof is handed in with the completion, which is its host's alone.
    function test_F1_aStrangerThatCopiesAProofCannotSpendIt() public {
        JobTerms memory terms = _provenJob();
        _toClaimed(terms);
        bytes memory proof = _proofOf(terms);
        address[2] memory thieves = [stranger, renter];
        for (uint256 i = 0; i < thieves.length; ++i) {
            vm.prank(thieves[i]);
            vm.expectRevert(abi.encodeWithSelector(IJobs.NotHost.selector, thieves[i]));
            _board().completeJob(terms, RESULT, proof);
        }
        // Nor does it fit a job of the thief's own.
        address rogue = makeAddr("rogue");
        _register(rogue, NATIVE, NATIVE);
        JobTerms memory other = _provenJob();
        other.salt = 0;
        _post(other);
        vm.startPrank(rogue);
        _board().claimJob(other, 0);
        vm.expectRevert(ProofDouble.Unproven.selector);
        _board().completeJob(other, RESULT, proof);
        vm.stopPrank();
        _deliver(terms);
        _assertJob(terms, JobStatus.Completed);
    }

    /// F2: a limit meant as tokens was used as seconds, and a stranger could end a one-day session in 301 seconds.
    function test_F2_aStrangerCannotEndASessionBeforeItsExpiry() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.warp(START + 301);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotExpired.selector, terms.expiry + 1 hours));
        market.triggerSessionTimeout(terms);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotRenter.selector, stranger));
        market.requestSessionClose(terms, 0);
        vm.warp(terms.expiry);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotExpired.selector, terms.expiry + 1 hours));
        market.triggerSessionTimeout(terms);
    }

    /// F2, in jobs: nobody ends one before its deadline but the party whose word it is.
    function test_F2_aStrangerCannotEndAJobBeforeItsDeadline() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.warp(START + 301);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobs.DeadlineRunning.selector, terms.deadline));
        _board().reclaimJob(terms);
        vm.warp(terms.deadline);
        vm.expectRevert(abi.encodeWithSelector(IJobs.DeadlineRunning.selector, terms.deadline));
        _board().reclaimJob(terms);
    }

    /// F3: the host took the whole deposit on its own signature.
    function test_F3_theHostCannotTakeWhatTheRenterDidNotSign() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        (, uint256 hostSecret) = makeAddrAndKey("host");
        Completion memory completion = _completion(terms, DEPOSIT);
        completion.signature = _sign(hostSecret, market.voucherDigest(completion.voucher));
        vm.startPrank(host);
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.completeSessionJob(completion);
        completion.signature = "";
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.completeSessionJob(completion);
        assertEq(market.balanceOf(host, NATIVE), 0);
    }

    /// F3, in jobs: a result hash alone takes nothing before the renter had its time to look at the result.
    function test_F3_theHostCannotPayItselfForAHash() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobs.WindowRunning.selector, START + 1 days));
        _board().settleJob(terms);
        vm.stopPrank();
        _dispute(terms);
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobs.NotArbiter.selector, host));
        _board().resolveJob(terms, 10_000);
        vm.expectRevert(abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms)));
        _board().settleJob(terms);
        assertEq(market.balanceOf(host, NATIVE), 0);
    }

    /// F4: a duplicate model in a registration let a host delist another and stay listed without stake.
    function test_F4_aDuplicateOfferCannotCorruptTheRegistry() public {
        address rogue = makeAddr("rogue");
        vm.prank(owner);
        fab.transfer(rogue, STAKE);
        Offer[] memory offers = new Offer[](2);
        offers[0] = _offer(MODEL, NATIVE);
        offers[1] = _offer(MODEL, NATIVE);
        vm.startPrank(rogue);
        fab.approve(address(nodes), STAKE);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DuplicateOffer.selector, MODEL, NATIVE));
        nodes.registerNode(STAKE, "https://rogue", "", 0, offers);
        offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        nodes.registerNode(STAKE, "https://rogue", "", 0, offers);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        nodes.withdrawStake();
        assertFalse(nodes.isServing(rogue, MODEL, NATIVE));
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
    }

    /// F5: a depositor that rejects coins locked the session for ever.
    function test_F5_aRenterThatRejectsItsRefundCannotLockTheHostsPay() public {
        ContractRenter stubborn = new ContractRenter();
        stubborn.setMode(ContractRenter.Mode.Rejects);
        vm.deal(address(stubborn), 2 * DEPOSIT);
        SessionTerms memory terms = _nativeTerms();
        terms.renter = address(stubborn);
        stubborn.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        vm.prank(host);
        assertEq(market.withdraw(NATIVE, host), 1000 - _feeOf(1000));

        terms.salt = 0;
        stubborn.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        vm.warp(terms.expiry + 1 hours);
        market.triggerSessionTimeout(terms);
        _assertStatus(terms, SessionStatus.Closed);
    }

    /// F5, in jobs.
    function test_F5_aRenterThatRejectsItsRefundCannotLockAJob() public {
        ContractRenter stubborn = new ContractRenter();
        stubborn.setMode(ContractRenter.Mode.Rejects);
        vm.deal(address(stubborn), MAX_PRICE);
        JobTerms memory terms = _nativeJob();
        terms.renter = address(stubborn);
        stubborn.execute(address(market), MAX_PRICE, abi.encodeCall(IJobs.createJob, (terms)));
        _claim(terms);
        _deliver(terms);
        vm.warp(START + 1 days);
        vm.startPrank(host);
        _board().settleJob(terms);
        assertEq(market.withdraw(NATIVE, host), _priceOf(terms) - _feeOf(_priceOf(terms)));
        assertEq(market.balanceOf(address(stubborn), NATIVE), MAX_PRICE - _priceOf(terms));
    }

    /// F6: the depositor could complete at once with a full refund while the host had served and not yet claimed.
    function test_F6_theRentersCloseLeavesTheHostTimeToClaim() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.ChallengeRunning.selector, START + 1 hours));
        market.finalizeSession(terms);
        vm.warp(START + 1 hours - 1);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, DEPOSIT));
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT - _feeOf(DEPOSIT));
    }

    /// F6, in jobs: once a host has claimed, the renter cannot take the money back before the deadline, nor after a
    /// result was handed in.
    function test_F6_theRenterCannotTakeAClaimedJobBack() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        bytes memory wrong = abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms));
        vm.prank(renter);
        vm.expectRevert(wrong);
        _board().cancelJob(terms);
        vm.warp(terms.deadline);
        _deliver(terms);
        vm.warp(terms.deadline + 1);
        vm.startPrank(renter);
        vm.expectRevert(wrong);
        _board().cancelJob(terms);
        vm.expectRevert(wrong);
        _board().reclaimJob(terms);
        assertEq(address(market).balance, MAX_PRICE);
    }

    /// F7: claims went on for thirty days after a one-hour session. A voucher bounds the claim here, and once anyone
    /// has timed the session out there is nothing to claim from.
    function test_F7_nothingIsClaimedOnceTheSessionWasTimedOut() public {
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = uint40(START + 1 hours);
        _open(terms);
        vm.warp(START + 2 hours);
        vm.prank(renter);
        market.triggerSessionTimeout(terms);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
        market.completeSessionJob(_completion(terms, DEPOSIT));
        assertEq(address(market).balance, 0);
    }

    /// F7, in jobs: a result is handed in until the deadline and not a second later.
    function test_F7_nothingIsDeliveredAfterTheDeadline() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.warp(terms.deadline + 1);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobs.DeadlinePassed.selector, terms.deadline));
        _board().completeJob(terms, RESULT, "");
        vm.prank(renter);
        _board().reclaimJob(terms);
        vm.warp(START + 30 days);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms)));
        _board().completeJob(terms, RESULT, "");
        assertEq(address(market).balance, 0);
    }

    /// F8: a host with an open session left with its stake at once.
    function test_F8_aStakeOutlivesEverySessionOfItsHost() public {
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = uint40(START + 30 days);
        _open(terms);
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
        vm.stopPrank();
        // The latest moment at which the session can still be open against the host's will.
        vm.warp(terms.expiry + market.TIMEOUT_GRACE() + market.CHALLENGE_WINDOW());
        market.triggerSessionTimeout(terms);
        assertEq(nodes.getNode(host).stake, STAKE);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
    }

    /// F8, in jobs: the longest that a job can be open is shorter than the wait for a stake.
    function test_F8_aStakeOutlivesEveryJobOfItsHost() public {
        JobTerms memory terms = _nativeJob();
        terms.deadline = uint40(START + 7 days);
        _toClaimed(terms);
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(terms.deadline);
        _deliver(terms);
        vm.warp(terms.deadline + 1 days - 1);
        _dispute(terms);
        vm.warp(block.timestamp + 14 days - 1);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
        vm.prank(owner);
        _board().resolveJob(terms, 0);
        assertEq(nodes.getNode(host).stake, STAKE);
    }

    /// Of the older tree: one job of 1 ETH was paid by completion, and then twice more by releasing the payment.
    function test_nothingIsPaidTwice() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        SessionTerms memory other = _nativeTerms();
        other.salt = 0;
        _open(other);
        Completion memory completion = _completion(terms, DEPOSIT);
        vm.prank(host);
        market.completeSessionJob(completion);
        Completion[] memory batch = new Completion[](2);
        batch[0] = completion;
        batch[1] = completion;
        vm.prank(host);
        market.completeSessionJobs(_packed(batch));
        vm.warp(terms.expiry + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
        market.triggerSessionTimeout(terms);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotClosing.selector, _idOf(terms)));
        market.finalizeSession(terms);
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT - _feeOf(DEPOSIT));
        assertEq(address(market).balance, 2 * uint256(DEPOSIT));
    }

    /// Old tree: a job of 1 ETH was paid by completion, and then twice more by the renter that released its payment.
    function test_oldTree_aJobIsNotPaidByCompletionAndThenTwiceMore() public {
        JobTerms memory terms = _nativeJob();
        JobTerms memory other = _nativeJob();
        other.salt = 0;
        _post(other);
        _toClaimed(terms);
        _deliver(terms);
        // Completion pays nothing yet.
        assertEq(market.balanceOf(host, NATIVE), 0);
        vm.startPrank(renter);
        _board().settleJob(terms);
        bytes memory wrong = abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms));
        bytes[6] memory calls = [
            abi.encodeCall(IJobs.settleJob, (terms)),
            abi.encodeCall(IJobs.cancelJob, (terms)),
            abi.encodeCall(IJobs.reclaimJob, (terms)),
            abi.encodeCall(IJobs.disputeJob, (terms)),
            abi.encodeCall(IJobs.expireDispute, (terms)),
            abi.encodeCall(IJobs.completeJob, (terms, RESULT, ""))
        ];
        vm.warp(START + 30 days);
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool done, bytes memory answer) = address(market).call(calls[i]);
            assertFalse(done);
            assertEq(answer, wrong);
        }
        vm.stopPrank();
        uint96 price = _priceOf(terms);
        assertEq(market.balanceOf(host, NATIVE), price - _feeOf(price));
        // The other job's money, and what the host and the protocol earned, to the wei.
        assertEq(address(market).balance, uint256(MAX_PRICE) + price);
    }
}
