// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract CancelJobTest is JobFixture {
    function test_refusesEveryStateButPosted() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Posted)), renter, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        _refusesDirtyWords(terms, renter, _call(terms));
    }

    function test_refusesAnybodyButTheRenter() public {
        JobTerms memory terms = _nativeJob();
        terms.host = host;
        _post(terms);
        _refuses(terms, host, _call(terms), abi.encodeWithSelector(IJobs.NotRenter.selector, host));
        _refuses(terms, stranger, _call(terms), abi.encodeWithSelector(IJobs.NotRenter.selector, stranger));
    }

    function test_givesTheRenterEverythingBack(uint96 maxPrice) public {
        _cancels(_jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether))));
        _cancels(_jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6))));
    }

    function test_worksAfterTheDeadline() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.warp(terms.deadline + 30 days);
        _closesAs(terms, renter, _call(terms), _closeOf(terms, JobOutcome.Cancelled, address(0), 0));
    }

    /// Nobody had taken it on, so nobody is at fault, not even a host it named.
    function test_countsAgainstNobody() public {
        JobTerms memory terms = _nativeJob();
        terms.host = host;
        _post(terms);
        vm.expectCall(address(reputation), "", 0);
        vm.prank(renter);
        _board().cancelJob(terms);
    }

    function _cancels(JobTerms memory terms) private {
        _post(terms);
        _closesAs(terms, renter, _call(terms), _closeOf(terms, JobOutcome.Cancelled, address(0), 0));
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.cancelJob, (terms));
    }
}
