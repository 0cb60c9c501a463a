// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EntryPause} from "../src/EntryPause.sol";
import {JobBoard} from "../src/JobBoard.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IProofSystem} from "../src/interfaces/IProofSystem.sol";
import {IProtocolFee} from "../src/interfaces/IProtocolFee.sol";
import {IReputationSystem} from "../src/interfaces/IReputationSystem.sol";
import {JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {JobFixture} from "./JobFixture.sol";

/// @title The marketplace's two halves: one storage, one balance, one guard.
contract JobMarketplaceBoardTest is JobFixture {
    /// Places of what both halves inherit; a change of them is a change of layout.
    uint256 private constant LEDGER = 0;
    uint256 private constant SESSIONS = 5;
    uint256 private constant JOBS = 6;

    function test_boardRefusesBadParameters() public {
        address nobody = address(0);
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        this.makeBoard(INodeRegistry(nobody), IProofSystem(address(proofs)), reputation, address(breaker), owner);
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        this.makeBoard(nodes, IProofSystem(nobody), reputation, address(breaker), owner);
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        this.makeBoard(nodes, IProofSystem(address(proofs)), IReputationSystem(nobody), address(breaker), owner);
        vm.expectRevert(EntryPause.ZeroCircuitBreaker.selector);
        this.makeBoard(nodes, IProofSystem(address(proofs)), reputation, nobody, owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, nobody));
        this.makeBoard(nodes, IProofSystem(address(proofs)), reputation, address(breaker), nobody);
    }

    function test_halvesSayWhatTheyAre() public view {
        assertEq(board.interfaceVersion(), keccak256("capstan.JobBoard.v1"));
        assertEq(market.interfaceVersion(), keccak256("capstan.JobMarketplace.v2"));
        assertEq(market.BOARD(), address(board));
        assertEq(market.CIRCUIT_BREAKER(), address(breaker));
        assertEq(address(market.NODES()), address(nodes));
        assertEq(board.feeBps(), 0);
        assertEq(board.feeRecipient(), owner);
        assertEq(board.owner(), owner);
    }

    /// Every constant and every reading of jobs is the marketplace's too.
    function test_theMarketplaceAnswersForTheBoard() public view {
        assertEq(address(_board().NODES()), address(nodes));
        assertEq(address(_board().PROOFS()), address(proofs));
        assertEq(address(_board().REPUTATION()), address(reputation));
        assertEq(_board().DISPUTE_WINDOW(), board.DISPUTE_WINDOW());
        assertEq(_board().DECISION_WINDOW(), board.DECISION_WINDOW());
        assertEq(_board().MAX_JOB(), board.MAX_JOB());
        assertEq(_board().DISPUTE_BOND_BPS(), board.DISPUTE_BOND_BPS());
    }

    // --- fallback and receive

    function test_refusesCallsThatNeitherHalfKnows() public {
        bytes[5] memory calls = [
            bytes(hex"deadbeef"),
            bytes(hex"00"),
            bytes(hex"00000000"),
            bytes(hex"ffffff"),
            bytes.concat(hex"deadbeef", new bytes(64))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            _refusesRaw(0, calls[i], "");
            _refusesRaw(1, calls[i], "");
        }
    }

    function test_refusesPlainCoins() public {
        _refusesRaw(1, "", abi.encodeWithSelector(JobMarketplace.CallMissing.selector));
        _refusesRaw(0, "", abi.encodeWithSelector(JobMarketplace.CallMissing.selector));
    }

    function test_refusesValueWhereABoardFunctionTakesNone() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.deal(host, 1);
        vm.prank(host);
        (bool done, bytes memory reason) =
            address(market).call{value: 1}(abi.encodeCall(IJobs.claimJob, (terms, ASKED_BPS)));
        assertFalse(done);
        assertEq(reason.length, 0);
    }

    // --- the board by itself

    function test_theBoardAloneTakesNothingIn() public {
        JobTerms memory terms = _nativeJob();
        JobTerms[] memory many = new JobTerms[](1);
        many[0] = terms;
        vm.startPrank(renter);
        vm.expectRevert(IJobs.NotMarketplace.selector);
        board.createJob{value: MAX_PRICE}(terms);
        vm.expectRevert(IJobs.NotMarketplace.selector);
        board.createJobs{value: MAX_PRICE}(many);
        vm.expectRevert(IJobs.NotMarketplace.selector);
        board.createJob(_usdcJob());
        bytes memory none = abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms));
        vm.expectRevert(none);
        board.disputeJob{value: 1}(terms);
        vm.expectRevert(none);
        board.claimJob(terms, 0);
        vm.expectRevert(none);
        board.reclaimJob(terms);
        (bool taken,) = address(board).call{value: 1}("");
        assertFalse(taken);
    }

    /// What the marketplace knows, the board alone does not.
    function test_theBoardAloneKnowsNoJob() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        assertEq(uint8(_board().jobs(_idOf(terms)).status), uint8(JobStatus.Posted));
        assertEq(uint8(board.jobs(_idOf(terms)).status), uint8(JobStatus.None));
        assertEq(address(board).balance, 0);
    }

    // --- one storage

    /// What both write by functions of their own lies in the same slots.
    function test_halvesPutTheirCommonStateInTheSameSlots() public {
        address[2] memory halves = [address(market), address(board)];
        for (uint256 i = 0; i < 2; ++i) {
            JobMarketplace half = JobMarketplace(payable(halves[i]));
            vm.startPrank(owner);
            half.setFeeBps(777);
            half.setFeeRecipient(stranger);
            half.transferOwnership(arbiter);
            vm.stopPrank();
        }
        address[] memory targets = new address[](2);
        (targets[0], targets[1]) = (halves[0], halves[1]);
        vm.prank(guardian);
        breaker.pause(targets);
        uint256 used;
        for (uint256 slot = 0; slot < 16; ++slot) {
            bytes32 word = vm.load(address(market), bytes32(slot));
            assertEq(word, vm.load(address(board), bytes32(slot)));
            if (word != 0) ++used;
        }
        // Owner; the next owner with pause and fee; the recipient.
        assertEq(used, 3);
    }

    function test_mappingsOfBothHalvesLieWhereTheyLie() public {
        JobTerms memory job = _nativeJob();
        bytes32 jobId = _post(job);
        assertEq(uint256(_at(jobId, JOBS)), uint256(uint8(JobStatus.Posted)) | uint256(FEE_BPS) << 8);
        SessionTerms memory session = _nativeTerms();
        bytes32 sessionId = _open(session);
        assertEq(uint256(_at(sessionId, SESSIONS)), 1 | uint256(FEE_BPS) << 8);
        // Neither half wrote where the other one does.
        assertEq(_at(jobId, SESSIONS), 0);
        assertEq(_at(sessionId, JOBS), 0);
    }

    /// One ledger: what a job earned is added to what a session earned, and leaves in one withdrawal.
    function test_halvesShareTheLedger() public {
        vm.expectEmit(address(market));
        emit IJobs.JobPosted(_idOf(_nativeJob()), renter, address(0), _nativeJob(), FEE_BPS);
        _toCompleted(_nativeJob());
        vm.prank(renter);
        _board().settleJob(_nativeJob());
        _open(_nativeTerms());
        vm.prank(host);
        market.completeSessionJob(_completion(_nativeTerms(), DEPOSIT));
        uint256 gross = uint256(_priceOf(_nativeJob())) + DEPOSIT;
        uint256 fees = _feeOf(uint96(gross));
        bytes32 ledger = keccak256(abi.encode(NATIVE, keccak256(abi.encode(host, LEDGER))));
        assertEq(uint256(vm.load(address(market), ledger)), fees << 128 | gross - fees);
        assertEq(market.feesBroughtBy(host, NATIVE), fees);
        vm.prank(host);
        assertEq(market.withdraw(NATIVE, stranger), gross - fees);
        assertEq(uint256(vm.load(address(market), ledger)), fees << 128);
    }

    /// The same words as terms of a job and as terms of a session are two different things.
    function test_aSessionIsNoJobAndAJobNoSession() public {
        bytes32 sessionId = _open(_nativeTerms());
        bytes32 jobId = _post(_nativeJob());
        assertEq(uint8(_board().jobs(sessionId).status), 0);
        assertEq(uint8(market.sessions(jobId).status), 0);
    }

    function _at(bytes32 key, uint256 mappingSlot) private view returns (bytes32) {
        return vm.load(address(market), keccak256(abi.encode(key, mappingSlot)));
    }

    function _refusesRaw(uint256 value, bytes memory call, bytes memory reason) private {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        (bool done, bytes memory answer) = address(market).call{value: value}(call);
        assertFalse(done);
        assertEq(answer, reason);
        assertEq(address(market).balance, 0);
    }

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeBoard(
        INodeRegistry nodes_,
        IProofSystem proofs_,
        IReputationSystem reputation_,
        address breaker_,
        address owner_
    ) external returns (JobBoard) {
        return new JobBoard(nodes_, proofs_, reputation_, breaker_, owner_);
    }
}
