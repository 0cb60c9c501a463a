// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {IReputationSystem} from "../src/interfaces/IReputationSystem.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract ReclaimJobTest is JobFixture {
    function test_refusesEveryStateButPostedAndClaimed() public {
        JobTerms memory terms = _nativeJob();
        uint8 allowed = uint8(1 << uint8(JobStatus.Posted) | 1 << uint8(JobStatus.Claimed));
        _refusedOutside(allowed, stranger, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.warp(terms.deadline + 1);
        _refusesDirtyWords(terms, stranger, _call(terms));
    }

    function test_refusesUntilTheDeadlineIsOver() public {
        JobTerms memory terms = _nativeJob();
        bytes memory running = abi.encodeWithSelector(IJobs.DeadlineRunning.selector, terms.deadline);
        _post(terms);
        _refuses(terms, renter, _call(terms), running);
        _claim(terms);
        _refuses(terms, renter, _call(terms), running);
        vm.warp(terms.deadline);
        _refuses(terms, renter, _call(terms), running);
        vm.warp(terms.deadline + 1);
        _closesAs(terms, renter, _call(terms), _abandoned(terms));
    }

    function test_anyoneReturnsAJobThatNobodyClaimed(uint96 maxPrice) public {
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6)))
        ];
        _post(both[0]);
        _post(both[1]);
        vm.warp(both[0].deadline + 1);
        for (uint256 i = 0; i < 2; ++i) {
            Close memory close = _closeOf(both[i], JobOutcome.Cancelled, address(0), 0);
            _closesAs(both[i], stranger, _call(both[i]), close);
        }
    }

    function test_anyoneReturnsAJobThatItsHostAbandoned(uint96 maxPrice) public {
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6)))
        ];
        _toClaimed(both[0]);
        _toClaimed(both[1]);
        vm.warp(both[0].deadline + 1);
        for (uint256 i = 0; i < 2; ++i) {
            _closesAs(both[i], stranger, _call(both[i]), _abandoned(both[i]));
        }
    }

    /// Silence counts twice: whoever gives a job up in time lets its renter look for another host.
    function test_countsTwiceAgainstTheHostThatAbandonedIt() public {
        JobTerms memory terms = _usdcJob();
        _toClaimed(terms);
        vm.warp(terms.deadline + 1);
        vm.expectEmit(address(reputation));
        emit IReputationSystem.FaultRecorded(host, address(usdc), 2 * uint128(_feeOf(USDC_PRICE)));
        vm.prank(stranger);
        _board().reclaimJob(terms);
        assertEq(reputation.scoreOf(host, address(usdc)).fault, 2 * 125_000);
    }

    function test_countsAgainstNobodyIfNobodyHadClaimed() public {
        JobTerms memory terms = _nativeJob();
        terms.host = host;
        _post(terms);
        vm.warp(terms.deadline + 1);
        vm.expectCall(address(reputation), "", 0);
        vm.prank(stranger);
        _board().reclaimJob(terms);
    }

    function _abandoned(JobTerms memory terms) private view returns (Close memory close) {
        close = _closeOf(terms, JobOutcome.Abandoned, host, 0);
        close.faults = 2;
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.reclaimJob, (terms));
    }
}
