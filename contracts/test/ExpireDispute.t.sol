// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract ExpireDisputeTest is JobFixture {
    function test_refusesEveryStateButDisputed() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Disputed)), stranger, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        vm.warp(START + 14 days);
        _refusesDirtyWords(terms, stranger, _call(terms));
    }

    function test_refusesWhileTheArbiterMayDecide() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        bytes memory running = abi.encodeWithSelector(IJobs.WindowRunning.selector, START + 14 days);
        _refuses(terms, renter, _call(terms), running);
        vm.warp(START + 14 days - 1);
        _refuses(terms, renter, _call(terms), running);
        _refuses(terms, host, _call(terms), running);
        vm.warp(START + 14 days);
        _closesAs(terms, stranger, _call(terms), _expected(terms));
    }

    function test_withoutAProofTheRenterHasEverythingBack(uint96 maxPrice) public {
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 100 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 100_000e6)))
        ];
        _expire(both);
    }

    function test_withAProofTheHostIsPaidAndHasTheBond(uint96 maxPrice) public {
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 100 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 100_000e6)))
        ];
        proofs.setActive(CIRCUIT, MODEL, true);
        (both[0].circuit, both[1].circuit) = (CIRCUIT, CIRCUIT);
        _expire(both);
    }

    /// An arbiter of the terms' that sleeps is no better than governance that does.
    function test_theSameWithAnArbiter() public {
        JobTerms memory terms = _nativeJob();
        terms.arbiter = arbiter;
        _toDisputed(terms);
        vm.warp(START + 14 days);
        _closesAs(terms, arbiter, _call(terms), _expected(terms));
    }

    function test_countsAgainstNobody() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        vm.warp(START + 14 days);
        vm.expectCall(address(reputation), "", 0);
        vm.prank(stranger);
        _board().expireDispute(terms);
    }

    function _expire(JobTerms[2] memory both) private {
        _toDisputed(both[0]);
        _toDisputed(both[1]);
        vm.warp(START + 14 days);
        _closesAs(both[0], stranger, _call(both[0]), _expected(both[0]));
        _closesAs(both[1], stranger, _call(both[1]), _expected(both[1]));
    }

    function _expected(JobTerms memory terms) private view returns (Close memory close) {
        close = _closeOf(terms, JobOutcome.Undecided, host, terms.circuit == 0 ? 0 : _priceOf(terms));
        close.bond = _bondOf(terms);
        close.bondTo = terms.circuit == 0 ? terms.renter : host;
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.expireDispute, (terms));
    }
}
