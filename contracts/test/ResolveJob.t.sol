// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {IReputationSystem} from "../src/interfaces/IReputationSystem.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract ResolveJobTest is JobFixture {
    function test_refusesEveryStateButDisputed() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Disputed)), owner, terms, _call(terms, 0));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        _refusesDirtyWords(terms, owner, _call(terms, 0));
    }

    function test_refusesAnybodyButTheOwnerWhereTermsNameNobody() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        address[5] memory callers = [renter, host, stranger, arbiter, address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory notArbiter = abi.encodeWithSelector(IJobs.NotArbiter.selector, callers[i]);
            _refuses(terms, callers[i], _call(terms, 10_000), notArbiter);
        }
    }

    /// Governance has no word in a dispute that the parties left to somebody else.
    function test_refusesAnybodyButTheArbiterOfTheTerms() public {
        JobTerms memory terms = _arbitrated();
        _toDisputed(terms);
        address[4] memory callers = [renter, host, stranger, owner];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory notArbiter = abi.encodeWithSelector(IJobs.NotArbiter.selector, callers[i]);
            _refuses(terms, callers[i], _call(terms, 10_000), notArbiter);
        }
    }

    function test_refusesOnceTheTimeToDecideIsOver() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        vm.warp(START + 14 days);
        bytes memory over = abi.encodeWithSelector(IJobs.WindowOver.selector, START + 14 days);
        _refuses(terms, owner, _call(terms, 10_000), over);
        vm.warp(START + 14 days - 1);
        _closesAs(terms, owner, _call(terms, 10_000), _expected(terms, 10_000));
    }

    function test_refusesAShareAboveTheWhole(uint16 hostBps) public {
        hostBps = uint16(bound(hostBps, 10_001, type(uint16).max));
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        bytes memory above = abi.encodeWithSelector(IJobs.ShareAboveWhole.selector, hostBps);
        _refuses(terms, owner, _call(terms, hostBps), above);
        above = abi.encodeWithSelector(IJobs.ShareAboveWhole.selector, 10_001);
        _refuses(terms, owner, _call(terms, 10_001), above);
    }

    function test_splitsThePriceAsItWasDecided(uint96 maxPrice, uint16 hostBps) public {
        hostBps = uint16(bound(hostBps, 0, 10_000));
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 100 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 100_000e6)))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            _toDisputed(both[i]);
            _closesAs(both[i], owner, _call(both[i], hostBps), _expected(both[i], hostBps));
        }
    }

    /// Half and half is the host's case: whoever refused the result had to be right about most of it.
    function test_theRenterWinsBelowHalf() public {
        uint16[4] memory shares = [uint16(0), 4999, 5000, 10_000];
        for (uint256 i = 0; i < shares.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            JobTerms memory terms = _nativeJob();
            _toDisputed(terms);
            Close memory close = _expected(terms, shares[i]);
            assertEq(close.bondTo == terms.renter, i < 2);
            assertEq(close.faults, i < 2 ? 2 : 0);
            _closesAs(terms, owner, _call(terms, shares[i]), close);
            vm.revertToState(snapshot);
        }
    }

    function test_allToTheRenterIsEverythingBack() public {
        JobTerms memory terms = _nativeJob();
        uint256 before = renter.balance;
        _toDisputed(terms);
        vm.prank(owner);
        _board().resolveJob(terms, 0);
        assertEq(renter.balance, before);
        assertEq(address(market).balance, 0);
    }

    function test_allToTheHostIsThePriceAndTheBond() public {
        JobTerms memory terms = _nativeJob();
        uint256 before = renter.balance;
        _toDisputed(terms);
        vm.prank(owner);
        _board().resolveJob(terms, 10_000);
        // 0.8, less a fortieth, and a tenth of 0.8; the bond pays no fee.
        assertEq(market.balanceOf(host, NATIVE), 0.78 ether + 0.08 ether);
        assertEq(market.feesOf(host, NATIVE), 0.02 ether);
        assertEq(renter.balance, before - 0.88 ether);
        assertEq(address(market).balance, 0.88 ether);
    }

    function test_governancesWordIsAFaultOfTwice() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        vm.expectEmit(address(reputation));
        emit IReputationSystem.FaultRecorded(host, NATIVE, 0.05 ether);
        vm.prank(owner);
        _board().resolveJob(terms, 4999);
    }

    /// An arbiter of the parties' choice moves their money and nobody's record.
    function test_anArbiterOfTheTermsIsNoJudgeOfRecords() public {
        uint16[3] memory shares = [uint16(0), 4999, 10_000];
        vm.expectCall(address(reputation), abi.encodeWithSelector(reputation.recordFault.selector), 0);
        for (uint256 i = 0; i < shares.length; ++i) {
            JobTerms memory terms = _arbitrated();
            terms.salt = bytes32(i);
            _toDisputed(terms);
            Close memory close = _expected(terms, shares[i]);
            close.faults = 0;
            _closesAs(terms, arbiter, _call(terms, shares[i]), close);
        }
    }

    /// The owner at the time of the word, not of the posting.
    function test_theOwnerMayHaveChanged() public {
        JobTerms memory terms = _nativeJob();
        _toDisputed(terms);
        address successor = makeAddr("successor");
        vm.prank(owner);
        market.transferOwnership(successor);
        vm.prank(successor);
        market.acceptOwnership();
        _refuses(terms, owner, _call(terms, 1), abi.encodeWithSelector(IJobs.NotArbiter.selector, owner));
        _closesAs(terms, successor, _call(terms, 1), _expected(terms, 1));
    }

    /// A job whose host asked for nothing has no bond to return.
    function test_noBondNoEvent() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.prank(host);
        _board().claimJob(terms, 0);
        _deliver(terms);
        vm.prank(renter);
        _board().disputeJob(terms);
        vm.recordLogs();
        vm.prank(owner);
        _board().resolveJob(terms, 10_000);
        // JobClosed and nothing else.
        assertEq(vm.getRecordedLogs().length, 1);
        assertEq(renter.balance, 1000 ether);
    }

    function _arbitrated() private view returns (JobTerms memory terms) {
        terms = _nativeJob();
        terms.arbiter = arbiter;
    }

    function _expected(JobTerms memory terms, uint16 hostBps) private view returns (Close memory close) {
        uint96 gross = uint96(uint256(_priceOf(terms)) * hostBps / 10_000);
        close = _closeOf(terms, JobOutcome.Resolved, host, gross);
        close.bond = _bondOf(terms);
        if (hostBps < 5000) close.bondTo = terms.renter;
        close.faults = hostBps < 5000 ? 2 : 0;
    }

    function _call(JobTerms memory terms, uint16 hostBps) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.resolveJob, (terms, hostBps));
    }
}
