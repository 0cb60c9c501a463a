// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract SettleJobTest is JobFixture {
    function test_refusesEveryStateButCompleted() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Completed)), renter, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        _refusesDirtyWords(terms, renter, _call(terms));
    }

    function test_refusesAnybodyButTheRenterInTheWindow() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        bytes memory running = abi.encodeWithSelector(IJobs.WindowRunning.selector, START + 1 days);
        _refuses(terms, host, _call(terms), running);
        vm.warp(START + 1 days - 1);
        _refuses(terms, host, _call(terms), running);
        _refuses(terms, stranger, _call(terms), running);
        vm.warp(START + 1 days);
        _closesAs(terms, stranger, _call(terms), _paid(terms));
    }

    function test_theRenterAcceptsAtOnce() public {
        for (uint256 i = 0; i < 2; ++i) {
            JobTerms memory terms = _bothJobs()[i];
            _toCompleted(terms);
            _closesAs(terms, renter, _call(terms), _paid(terms));
        }
    }

    function test_theRenterAcceptsInTheLastSecondOfTheWindow() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        vm.warp(START + 1 days - 1);
        _closesAs(terms, renter, _call(terms), _paid(terms));
    }

    function test_paysWhatTheHostAsked(uint96 maxPrice, uint16 priceBps) public {
        priceBps = uint16(bound(priceBps, 0, 10_000));
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6)))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            JobTerms memory terms = both[i];
            _post(terms);
            vm.prank(host);
            _board().claimJob(terms, priceBps);
            _deliver(terms);
            uint96 gross = uint96(uint256(terms.maxPrice) * priceBps / 10_000);
            _closesAs(terms, renter, _call(terms), _closeOf(terms, JobOutcome.Paid, host, gross));
        }
    }

    function test_paysTheLargestPrice() public {
        JobTerms memory terms = _jobTerms(NATIVE, type(uint96).max);
        vm.deal(renter, type(uint96).max);
        _toCompleted(terms);
        _closesAs(terms, renter, _call(terms), _paid(terms));
    }

    /// A fee raised since is the next job's.
    function test_takesTheFeeOfThePosting() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        vm.prank(owner);
        market.setFeeBps(1000);
        _closesAs(terms, renter, _call(terms), _paid(terms));
    }

    function test_everyPartWithdraws() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        vm.prank(renter);
        _board().settleJob(terms);
        vm.prank(host);
        assertEq(market.withdraw(NATIVE, host), 0.78 ether);
        assertEq(market.feesOf(host, NATIVE), 0.02 ether);
        address[] memory hosts = new address[](1);
        hosts[0] = host;
        vm.prank(treasury);
        assertEq(market.withdrawFees(NATIVE, hosts, treasury), 0.02 ether);
        assertEq(market.feesOf(host, NATIVE), 0);
        // What was collected is still what the host's work brought.
        assertEq(market.feesBroughtBy(host, NATIVE), 0.02 ether);
        assertEq(renter.balance, 1000 ether - 0.8 ether);
        assertEq(address(market).balance, 0);
    }

    function test_countsAsMerit() public {
        JobTerms memory terms = _nativeJob();
        reputation.sync(host, NATIVE);
        _toCompleted(terms);
        vm.expectCall(address(reputation), abi.encodeWithSelector(reputation.recordFault.selector), 0);
        vm.prank(renter);
        _board().settleJob(terms);
        assertEq(reputation.scoreOf(host, NATIVE).merit, 0.02 ether);
        assertEq(reputation.qualityOf(host, NATIVE), 10_000);
    }

    function _paid(JobTerms memory terms) private view returns (Close memory) {
        return _closeOf(terms, JobOutcome.Paid, host, _priceOf(terms));
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.settleJob, (terms));
    }
}
