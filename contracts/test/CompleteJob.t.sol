// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {Job, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";
import {ProofDouble} from "./mocks/ProofDouble.sol";

contract CompleteJobTest is JobFixture {
    function test_refusesEveryStateButClaimed() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Claimed)), host, terms, _call(terms, ""));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        _refusesDirtyWords(terms, host, _call(terms, ""));
    }

    function test_refusesAnybodyButTheClaimingHost() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        address other = makeAddr("other host");
        _register(other, NATIVE, NATIVE);
        address[3] memory callers = [renter, stranger, other];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory notHost = abi.encodeWithSelector(IJobs.NotHost.selector, callers[i]);
            _refuses(terms, callers[i], _call(terms, ""), notHost);
        }
    }

    function test_refusesAfterTheDeadlineAndNotInItsLastSecond() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.warp(terms.deadline + 1);
        bytes memory passed = abi.encodeWithSelector(IJobs.DeadlinePassed.selector, terms.deadline);
        _refuses(terms, host, _call(terms, ""), passed);
        vm.warp(terms.deadline);
        _completes(terms, "");
    }

    function test_refusesAProofThatNobodyAskedFor() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        _refuses(terms, host, _call(terms, hex"00"), abi.encodeWithSelector(IJobs.ProofNotAsked.selector));
    }

    function test_refusesAResultThatItsProofDoesNotProve() public {
        JobTerms memory terms = _provenJob();
        _toClaimed(terms);
        bytes memory unproven = abi.encodeWithSelector(ProofDouble.Unproven.selector);
        _refuses(terms, host, _call(terms, ""), unproven);
        _refuses(terms, host, _call(terms, bytes.concat(_proofOf(terms), hex"00")), unproven);
        JobTerms memory other = _provenJob();
        other.salt = 0;
        _refuses(terms, host, _call(terms, _proofOf(other)), unproven);
        bytes memory call = abi.encodeCall(IJobs.completeJob, (terms, keccak256("another"), _proofOf(terms)));
        _refuses(terms, host, call, unproven);
    }

    function test_completesWithoutAProof(bytes32 resultHash, uint40 time) public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        vm.warp(bound(time, START, terms.deadline));
        uint40 disputeEnd = uint40(block.timestamp + 1 days);
        vm.expectCall(address(proofs), "", 0);
        vm.expectEmit(address(market));
        emit IJobs.JobCompleted(_idOf(terms), host, resultHash, disputeEnd);
        vm.prank(host);
        _board().completeJob(terms, resultHash, "");
        _assertJob(terms, Job(JobStatus.Completed, FEE_BPS, ASKED_BPS, disputeEnd, host));
    }

    function test_completesErc20() public {
        _toClaimed(_usdcJob());
        _completes(_usdcJob(), "");
        assertEq(_board().DISPUTE_WINDOW(), 1 days);
    }

    function test_completesWithAProofOfThisJob() public {
        JobTerms memory terms = _provenJob();
        _toClaimed(terms);
        bytes memory proof = _proofOf(terms);
        vm.expectCall(
            address(proofs), abi.encodeCall(proofs.consume, (CIRCUIT, MODEL, _idOf(terms), INPUT, RESULT, proof)), 1
        );
        _completes(terms, proof);
    }

    /// A host that leaves the registry, and a circuit that is retired, were good when the job was claimed.
    function test_completesThoughTheHostServesNoMore() public {
        JobTerms memory terms = _provenJob();
        _toClaimed(terms);
        vm.prank(host);
        nodes.startUnbonding();
        proofs.setActive(CIRCUIT, MODEL, false);
        _completes(terms, _proofOf(terms));
    }

    function _completes(JobTerms memory terms, bytes memory proof) private {
        Purses memory before = _purses(terms.token, renter);
        uint40 disputeEnd = uint40(block.timestamp + 1 days);
        vm.expectEmit(address(market));
        emit IJobs.JobCompleted(_idOf(terms), host, RESULT, disputeEnd);
        vm.prank(host);
        _board().completeJob(terms, RESULT, proof);
        _assertJob(terms, Job(JobStatus.Completed, FEE_BPS, ASKED_BPS, disputeEnd, host));
        assertEq(keccak256(abi.encode(_purses(terms.token, renter))), keccak256(abi.encode(before)), "money moved");
    }

    function _call(JobTerms memory terms, bytes memory proof) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.completeJob, (terms, RESULT, proof));
    }
}
