// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CircuitBreaker} from "../src/CircuitBreaker.sol";
import {GovernanceToken} from "../src/GovernanceToken.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {Offer, Price} from "../src/interfaces/INodeRegistry.sol";
import {IProofSystem} from "../src/interfaces/IProofSystem.sol";
import {JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobBoard} from "../src/JobBoard.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {ReputationSystem} from "../src/ReputationSystem.sol";
import {ProofFixture, ProvenJob} from "./ProofFixture.sol";

/// @title A job with a real proof, from posting to pay, on a marketplace that stands where the proofs were made for.
contract JobProofsTest is ProofFixture {
    address private constant RENTER = address(0xA11CE);
    uint96 private constant PRICE = 1 ether;

    address private host = makeAddr("host");
    JobMarketplace private market;

    function setUp() public override {
        super.setUp();
        GovernanceToken fab = new GovernanceToken(owner);
        ModelRegistry models = new ModelRegistry(owner);
        CircuitBreaker breaker = new CircuitBreaker(owner, new address[](0));
        NodeRegistry nodes = new NodeRegistry(fab, models, marketplace, makeAddr("slasher"), address(breaker));
        ReputationSystem reputation = new ReputationSystem(marketplace);
        JobBoard board = new JobBoard(nodes, proofs, reputation, address(breaker), owner);
        deployCodeTo(
            "JobMarketplace.sol:JobMarketplace", abi.encode(nodes, board, owner, owner, uint16(250)), marketplace
        );
        market = JobMarketplace(payable(marketplace));
        vm.startPrank(owner);
        models.approveModel(model, "");
        fab.transfer(host, 1000e18);
        vm.stopPrank();
        Offer[] memory offers = new Offer[](1);
        offers[0] = Offer({model: model, token: address(0), price: Price({input: 1, output: 1})});
        vm.startPrank(host);
        fab.approve(address(nodes), 1000e18);
        nodes.registerNode(1000e18, "https://host.example.org", "", 0, offers);
        vm.stopPrank();
        vm.deal(RENTER, 10 ether);
    }

    function _terms() private view returns (JobTerms memory) {
        return JobTerms({
            renter: RENTER,
            host: address(0),
            token: address(0),
            maxPrice: PRICE,
            deadline: START + 1 days,
            model: model,
            inputHash: _vector("otherJob").inputHash,
            circuit: circuit,
            arbiter: address(0),
            salt: 0
        });
    }

    function _toClaimed(JobTerms memory terms) private {
        vm.prank(RENTER);
        IJobs(marketplace).createJob{value: PRICE}(terms);
        vm.prank(host);
        IJobs(marketplace).claimJob(terms, 10_000);
    }

    function test_aProvenJobIsPaid() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("otherJob");
        assertEq(IJobs(marketplace).jobIdOf(terms), job.jobId, "the proof is for this job");
        vm.prank(host);
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));
        vm.snapshotGasLastCall("JobMarketplace", "job_complete_ezkl");
        vm.warp(block.timestamp + 1 days);
        IJobs(marketplace).settleJob(terms);
        assertEq(market.balanceOf(host, address(0)), PRICE - PRICE / 40);
        assertEq(uint8(IJobs(marketplace).jobs(job.jobId).status), uint8(JobStatus.Closed));
    }

    /// Nobody decided: the proof stands, and the bond is the host's.
    function test_aProvenJobIsPaidThoughDisputed() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("otherJob");
        vm.prank(host);
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));
        vm.prank(RENTER);
        IJobs(marketplace).disputeJob{value: PRICE / 10}(terms);
        vm.warp(block.timestamp + 14 days);
        IJobs(marketplace).expireDispute(terms);
        assertEq(market.balanceOf(host, address(0)), PRICE - PRICE / 40 + PRICE / 10);
    }

    function test_aProofForAnotherJobIsRefused() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("job");
        vm.prank(host);
        vm.expectPartialRevert(IProofSystem.BindingMismatch.selector);
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));
    }

    function test_aProofForAnotherResultIsRefused() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("otherJob");
        vm.prank(host);
        vm.expectPartialRevert(IProofSystem.ResultMismatch.selector);
        IJobs(marketplace).completeJob(terms, keccak256("another"), _encoded(job));
    }

    function test_noProofIsRefusedAndTheJobStaysClaimed() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("otherJob");
        vm.prank(host);
        vm.expectRevert(IProofSystem.MalformedProof.selector);
        IJobs(marketplace).completeJob(terms, job.resultHash, "");
        job.snark[200] ^= 0x01;
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));
        assertEq(uint8(IJobs(marketplace).jobs(job.jobId).status), uint8(JobStatus.Claimed));
    }

    function test_aRetiredCircuitIsNotClaimedButFinished() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        vm.prank(owner);
        proofs.retireCircuit(circuit);
        ProvenJob memory job = _vector("otherJob");
        vm.prank(host);
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));

        terms.salt = keccak256("later");
        vm.prank(RENTER);
        IJobs(marketplace).createJob{value: PRICE}(terms);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobs.CircuitInactive.selector, circuit, model));
        IJobs(marketplace).claimJob(terms, 10_000);
    }

    /// Whoever sees a proof in the mempool can spend neither it nor its statement: only the marketplace writes
    /// nullifiers.
    function test_defectF1_aStrangerCannotBurnAProofItSaw() public {
        JobTerms memory terms = _terms();
        _toClaimed(terms);
        ProvenJob memory job = _vector("otherJob");
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.NotMarketplace.selector, stranger));
        proofs.consume(circuit, model, job.jobId, job.inputHash, job.resultHash, _encoded(job));
        vm.prank(host);
        IJobs(marketplace).completeJob(terms, job.resultHash, _encoded(job));
    }
}
