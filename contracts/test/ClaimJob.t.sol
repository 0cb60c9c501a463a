// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobs} from "../src/interfaces/IJobs.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Job, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract ClaimJobTest is JobFixture {
    function test_refusesEveryStateButPosted() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Posted)), host, terms, _call(terms, ASKED_BPS));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        _refusesDirtyWords(terms, host, _call(terms, ASKED_BPS));
        terms.maxPrice += 1;
        _refuses(
            terms, host, _call(terms, ASKED_BPS), abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms))
        );
    }

    function test_refusesAfterTheDeadline() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.warp(terms.deadline + 1);
        bytes memory passed = abi.encodeWithSelector(IJobs.DeadlinePassed.selector, terms.deadline);
        _refuses(terms, host, _call(terms, ASKED_BPS), passed);
        vm.warp(terms.deadline);
        _claims(terms, host, ASKED_BPS);
    }

    function test_refusesMoreThanTheMaximum(uint16 priceBps) public {
        priceBps = uint16(bound(priceBps, 10_001, type(uint16).max));
        JobTerms memory terms = _nativeJob();
        _post(terms);
        bytes memory above = abi.encodeWithSelector(IJobs.PriceAboveMaximum.selector, priceBps);
        _refuses(terms, host, _call(terms, priceBps), above);
        above = abi.encodeWithSelector(IJobs.PriceAboveMaximum.selector, 10_001);
        _refuses(terms, host, _call(terms, 10_001), above);
        _claims(terms, host, 10_000);
    }

    function test_refusesAnybodyButTheInvitedHost() public {
        address invited = makeAddr("invited");
        _register(invited, NATIVE, NATIVE);
        JobTerms memory terms = _nativeJob();
        terms.host = invited;
        _post(terms);
        bytes memory notInvited = abi.encodeWithSelector(IJobs.NotInvited.selector, host, invited);
        _refuses(terms, host, _call(terms, ASKED_BPS), notInvited);
        _claims(terms, invited, ASKED_BPS);
    }

    function test_refusesACircuitThatIsNotActiveForTheModel() public {
        JobTerms memory terms = _nativeJob();
        terms.circuit = CIRCUIT;
        _post(terms);
        bytes memory inactive = abi.encodeWithSelector(IJobs.CircuitInactive.selector, CIRCUIT, MODEL);
        _refuses(terms, host, _call(terms, ASKED_BPS), inactive);
        proofs.setActive(CIRCUIT, keccak256("another model"), true);
        proofs.setActive(keccak256("another circuit"), MODEL, true);
        _refuses(terms, host, _call(terms, ASKED_BPS), inactive);
        proofs.setActive(CIRCUIT, MODEL, true);
        _claims(terms, host, ASKED_BPS);
    }

    function test_refusesAHostThatDoesNotServe() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        _refuses(terms, stranger, _call(terms, ASKED_BPS), _notServing(stranger, MODEL, NATIVE));

        JobTerms memory other = _nativeJob();
        other.model = keccak256("another model");
        _post(other);
        _refuses(other, host, _call(other, ASKED_BPS), _notServing(host, other.model, NATIVE));

        vm.prank(host);
        nodes.removeOffer(MODEL, address(usdc));
        _post(_usdcJob());
        _refuses(_usdcJob(), host, _call(_usdcJob(), ASKED_BPS), _notServing(host, MODEL, address(usdc)));

        vm.prank(host);
        nodes.startUnbonding();
        _refuses(terms, host, _call(terms, ASKED_BPS), _notServing(host, MODEL, NATIVE));
        vm.prank(host);
        nodes.cancelUnbonding();
        _claims(terms, host, ASKED_BPS);
    }

    function test_refusesAHostThatClaimsTooFast() public {
        JobTerms memory terms = _nativeJob();
        for (uint256 i = 0; i < 60; ++i) {
            terms.salt = bytes32(i);
            _toClaimed(terms);
        }
        terms.salt = bytes32("one more");
        _post(terms);
        bytes memory tooFast = abi.encodeWithSelector(INodeRegistry.ClaimsTooFast.selector, host, 10);
        _refuses(terms, host, _call(terms, ASKED_BPS), tooFast);
        // Whoever is refused for its pace leaves the job to others.
        address rested = makeAddr("rested");
        _register(rested, NATIVE, NATIVE);
        _claims(terms, rested, ASKED_BPS);
    }

    function test_refusesTheSecondOfTwoHosts() public {
        JobTerms memory terms = _nativeJob();
        _toClaimed(terms);
        address second = makeAddr("second");
        _register(second, NATIVE, NATIVE);
        bytes memory wrong = abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms));
        _refuses(terms, second, _call(terms, 1), wrong);
        assertEq(_board().jobs(_idOf(terms)).host, host);
    }

    function test_claims(uint96 maxPrice, uint16 priceBps) public {
        priceBps = uint16(bound(priceBps, 0, 10_000));
        JobTerms memory terms = _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether)));
        _post(terms);
        _claims(terms, host, priceBps);
    }

    function test_claimsErc20AndProvenJobs() public {
        _post(_usdcJob());
        _claims(_usdcJob(), host, 1);
        JobTerms memory proven = _provenJob();
        _post(proven);
        _claims(proven, host, 0);
    }

    /// The pace is the registry's, asked with the job's own model and token.
    function test_asksTheRegistry() public {
        JobTerms memory terms = _usdcJob();
        _post(terms);
        vm.expectCall(address(nodes), abi.encodeCall(nodes.admitClaim, (host, MODEL, address(usdc))));
        _claim(terms);
    }

    function _claims(JobTerms memory terms, address by, uint16 priceBps) private {
        Purses memory before = _purses(terms.token, renter);
        vm.expectEmit(address(market));
        emit IJobs.JobClaimed(_idOf(terms), by, uint96(uint256(terms.maxPrice) * priceBps / 10_000));
        vm.prank(by);
        _board().claimJob(terms, priceBps);
        _assertJob(terms, Job(JobStatus.Claimed, FEE_BPS, priceBps, 0, by));
        assertEq(keccak256(abi.encode(_purses(terms.token, renter))), keccak256(abi.encode(before)), "money moved");
    }

    function _call(JobTerms memory terms, uint16 priceBps) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.claimJob, (terms, priceBps));
    }

    function _notServing(address who, bytes32 model, address token) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NotServing.selector, who, model, token);
    }
}
