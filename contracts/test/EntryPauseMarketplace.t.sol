// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {PackedCompletion, SessionStatus, SessionTerms, Voucher} from "../src/interfaces/SessionTypes.sol";
import {JobFixture} from "./JobFixture.sol";

/// @title A paused marketplace takes nobody in and lets everybody out.
contract EntryPauseMarketplaceTest is JobFixture {
    uint40 private constant UNTIL = uint40(START + 3 days);

    // --- entry

    function test_refusesEveryEntry() public {
        // There before the pause: a session to top up, a job to claim.
        SessionTerms memory session = _nativeTerms();
        session.expiry = uint40(START + 10 days);
        _open(session);
        JobTerms memory job = _nativeJob();
        job.deadline = uint40(START + 7 days);
        _post(job);

        (bytes[] memory calls, uint256[] memory values, address[] memory callers) = _entries(session, job);
        _pause();
        for (uint256 last = 0; last < 2; ++last) {
            // In its first second, and in its last.
            if (last == 1) vm.warp(UNTIL - 1);
            for (uint256 i = 0; i < calls.length; ++i) {
                vm.prank(callers[i]);
                (bool done, bytes memory answer) = address(market).call{value: values[i]}(calls[i]);
                assertFalse(done);
                assertEq(answer, abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, UNTIL));
            }
        }
        vm.warp(UNTIL);
        for (uint256 i = 0; i < calls.length; ++i) {
            // The authorization is signed with rubbish: it is refused for that and not for a pause.
            if (bytes4(calls[i]) == IJobMarketplace.createSessionJobWithAuthorization.selector) continue;
            vm.prank(callers[i]);
            (bool done,) = address(market).call{value: values[i]}(calls[i]);
            assertTrue(done, "refused after the pause");
        }
    }

    function test_resumedTakesEverybodyInAtOnce() public {
        _pause();
        address[] memory targets = new address[](1);
        targets[0] = address(market);
        vm.prank(owner);
        breaker.resume(targets);
        _post(_nativeJob());
        _claim(_nativeJob());
        _open(_nativeTerms());
    }

    /// The board's own storage can be paused too, and nothing comes of it.
    function test_aPauseOfTheBoardAloneIsNoPause() public {
        address[] memory targets = new address[](1);
        targets[0] = address(board);
        vm.prank(guardian);
        breaker.pause(targets);
        _toClaimed(_nativeJob());
    }

    function test_onlyTheCircuitBreakerPauses() public {
        address[3] memory callers = [owner, guardian, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IEntryPause.NotCircuitBreaker.selector, callers[i]));
            market.pauseEntry();
        }
        assertEq(market.pausedUntil(), 0);
    }

    /// The pause lies in a slot with the fee, and neither disturbs the other.
    function test_pauseAndFeeShareASlotInPeace() public {
        _pause();
        assertEq(market.pausedUntil(), UNTIL);
        assertEq(market.feeBps(), FEE_BPS);
        vm.prank(owner);
        market.setFeeBps(1000);
        assertEq(market.pausedUntil(), UNTIL);
        vm.prank(owner);
        market.transferOwnership(stranger);
        assertEq(market.pausedUntil(), UNTIL);
        assertEq(market.feeBps(), 1000);
    }

    // --- exits of sessions

    function test_hostsClosePaused() public {
        SessionTerms[3] memory terms = _threeSessions();
        _pause();
        vm.prank(host);
        market.completeSessionJob(_completion(terms[0], DEPOSIT));
        PackedCompletion[] memory batch = new PackedCompletion[](2);
        batch[0] = _packed(_completion(terms[1], DEPOSIT));
        batch[1] = _packed(_bareCompletion(terms[2], 0));
        vm.prank(host);
        market.completeSessionJobs(batch);
        _assertAllClosed(terms);
        vm.prank(host);
        market.withdraw(NATIVE, host);
        address[] memory hosts = new address[](1);
        hosts[0] = host;
        vm.prank(treasury);
        market.withdrawFees(NATIVE, hosts, treasury);
        assertEq(address(market).balance, 0);
    }

    function test_rentersClosePaused() public {
        SessionTerms[3] memory terms = _threeSessions();
        _pause();
        _close(terms[0], 1);
        Voucher memory voucher = _voucher(terms[0], DEPOSIT / 2);
        market.presentVoucher(terms[0], voucher, _signed(voucher));
        vm.warp(START + 1 hours);
        market.finalizeSession(terms[0]);
        _close(terms[1], 0);
        vm.warp(terms[1].expiry + 1 hours);
        assertLt(block.timestamp, UNTIL);
        market.triggerSessionTimeout(terms[1]);
        market.triggerSessionTimeout(terms[2]);
        _assertAllClosed(terms);
        address[] memory tokens = new address[](1);
        vm.prank(host);
        market.withdrawMany(tokens, host);
    }

    // --- exits of jobs

    function test_jobsEndPaused() public {
        JobTerms[9] memory terms;
        JobStatus[9] memory states = [
            JobStatus.Posted,
            JobStatus.Posted,
            JobStatus.Claimed,
            JobStatus.Claimed,
            JobStatus.Claimed,
            JobStatus.Completed,
            JobStatus.Completed,
            JobStatus.Disputed,
            JobStatus.Completed
        ];
        for (uint256 i = 0; i < 9; ++i) {
            terms[i] = _nativeJob();
            terms[i].salt = bytes32(i);
            _bringTo(terms[i], states[i]);
        }
        _pause();
        vm.startPrank(renter);
        _board().cancelJob(terms[0]);
        _board().settleJob(terms[5]);
        _board().disputeJob{value: _bondOf(terms[6])}(terms[6]);
        vm.stopPrank();
        vm.startPrank(host);
        _board().failJob(terms[2]);
        _board().completeJob(terms[3], RESULT, "");
        vm.stopPrank();
        vm.prank(owner);
        _board().resolveJob(terms[7], 5000);
        vm.prank(owner);
        _board().resolveJob(terms[6], 0);
        vm.warp(terms[1].deadline + 1);
        _board().reclaimJob(terms[1]);
        _board().reclaimJob(terms[4]);
        _board().settleJob(terms[3]);
        _board().settleJob(terms[8]);
        assertLt(block.timestamp, UNTIL);
        for (uint256 i = 0; i < 9; ++i) {
            _assertJob(terms[i], JobStatus.Closed);
        }
    }

    /// A dispute of before ends in a pause as at any other time.
    function test_disputesExpirePaused() public {
        _toDisputed(_nativeJob());
        vm.warp(START + 14 days - 1);
        _pause();
        vm.warp(START + 14 days);
        assertLt(block.timestamp, market.pausedUntil());
        _board().expireDispute(_nativeJob());
        _assertJob(_nativeJob(), JobStatus.Closed);
    }

    // --- inner

    function _entries(SessionTerms memory session, JobTerms memory job)
        private
        view
        returns (bytes[] memory calls, uint256[] memory values, address[] memory callers)
    {
        (calls, values, callers) = (new bytes[](7), new uint256[](7), new address[](7));
        SessionTerms memory fresh = _nativeTerms();
        (fresh.salt, fresh.expiry) = (0, session.expiry);
        SessionTerms memory dollars = _usdcTerms();
        dollars.expiry = session.expiry;
        SessionTerms memory signed = _usdcTerms();
        (signed.salt, signed.expiry) = (0, session.expiry);
        calls[0] = abi.encodeCall(IJobMarketplace.createSessionJob, (fresh));
        values[0] = DEPOSIT;
        calls[1] = abi.encodeCall(IJobMarketplace.createSessionJobWithPermit, (dollars, START, 27, 0, 0));
        calls[2] =
            abi.encodeCall(IJobMarketplace.createSessionJobWithAuthorization, (signed, 0, type(uint256).max, 27, 0, 0));
        calls[3] = abi.encodeCall(IJobMarketplace.topUp, (session, 1));
        values[3] = 1;
        JobTerms memory one = _nativeJob();
        (one.salt, one.deadline) = (0, job.deadline);
        JobTerms[] memory many = new JobTerms[](1);
        many[0] = _nativeJob();
        (many[0].salt, many[0].deadline) = (bytes32(uint256(1)), job.deadline);
        calls[4] = abi.encodeCall(IJobs.createJob, (one));
        values[4] = MAX_PRICE;
        calls[5] = abi.encodeCall(IJobs.createJobs, (many));
        values[5] = MAX_PRICE;
        calls[6] = abi.encodeCall(IJobs.claimJob, (job, ASKED_BPS));
        for (uint256 i = 0; i < 6; ++i) {
            callers[i] = renter;
        }
        callers[6] = host;
    }

    function _threeSessions() private returns (SessionTerms[3] memory terms) {
        for (uint256 i = 0; i < 3; ++i) {
            terms[i] = _nativeTerms();
            terms[i].salt = bytes32(i);
            _open(terms[i]);
        }
    }

    function _assertAllClosed(SessionTerms[3] memory terms) private view {
        for (uint256 i = 0; i < 3; ++i) {
            _assertStatus(terms[i], SessionStatus.Closed);
        }
    }

    function _pause() private {
        address[] memory targets = new address[](1);
        targets[0] = address(market);
        vm.prank(guardian);
        breaker.pause(targets);
    }
}
