// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {IReputationSystem} from "../src/interfaces/IReputationSystem.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract FailJobTest is JobFixture {
    function test_refusesEveryStateButClaimed() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Claimed)), host, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        _refusesDirtyWords(terms, host, _call(terms));
    }

    function test_refusesAnybodyButTheClaimingHost() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        _refuses(terms, renter, _call(terms), abi.encodeWithSelector(IJobs.NotHost.selector, renter));
        _refuses(terms, stranger, _call(terms), abi.encodeWithSelector(IJobs.NotHost.selector, stranger));
    }

    function test_givesTheRenterEverythingBack(uint96 maxPrice) public {
        _fails(_jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether))));
        _fails(_jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6))));
    }

    /// A host that is late may still say so itself, and its record is the better for it.
    function test_worksAfterTheDeadline() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.warp(terms.deadline + 30 days);
        _closesAs(terms, host, _call(terms), _expected(terms));
    }

    function test_countsOnceAgainstTheHost() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.expectEmit(address(reputation));
        emit IReputationSystem.FaultRecorded(host, NATIVE, _feeOf(MAX_PRICE));
        vm.prank(host);
        _board().failJob(terms);
        assertEq(reputation.scoreOf(host, NATIVE).fault, 0.025 ether);
        assertEq(reputation.scoreOf(host, NATIVE).merit, 0);
    }

    /// The weight is the fee the job was posted with, whatever the fee is now and whatever the host had asked.
    function test_weighsByTheFeeOfThePosting() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.prank(owner);
        market.setFeeBps(1000);
        vm.prank(host);
        _board().claimJob(terms, 1);
        vm.prank(host);
        _board().failJob(terms);
        assertEq(reputation.scoreOf(host, NATIVE).fault, 0.025 ether);
    }

    function _fails(JobTerms memory terms) private {
        _toClaimed(terms);
        _closesAs(terms, host, _call(terms), _expected(terms));
    }

    function _expected(JobTerms memory terms) private view returns (Close memory close) {
        close = _closeOf(terms, JobOutcome.Failed, host, 0);
        close.faults = 1;
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.failJob, (terms));
    }
}
