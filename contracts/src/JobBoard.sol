// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IJobs} from "./interfaces/IJobs.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IProofSystem} from "./interfaces/IProofSystem.sol";
import {IReputationSystem} from "./interfaces/IReputationSystem.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {Job, JobOutcome, JobStatus, JobTerms} from "./interfaces/JobTypes.sol";
import {RawJobTerms} from "./libraries/RawJobTerms.sol";
import {PackedJob, PackedJobLib} from "./types/PackedJob.sol";
import {EntryPause} from "./EntryPause.sol";
import {MarketState} from "./MarketState.sol";
import {ProtocolFee} from "./ProtocolFee.sol";

/// @title Jobs.
/// @dev The entry points of one-shot work, as code that JobMarketplace runs on its own storage: one contract holds every
/// balance, and the two together would not fit the size limit of EIP-170. Deployed for itself it takes nothing in.
/// Order in each: guards, effects, event, then calls to contracts of ours, last those to strangers.
contract JobBoard is IJobs, MarketState, IVersioned {
    using RawJobTerms for JobTerms;

    /// @inheritdoc IJobs
    uint40 public constant DISPUTE_WINDOW = 1 days;
    /// @inheritdoc IJobs
    /// @dev The slowest vote and its timelock take thirteen days, a usual one eight; the rest is for somebody to propose
    /// it.
    uint40 public constant DECISION_WINDOW = 14 days;
    /// @inheritdoc IJobs
    uint40 public constant MAX_JOB = 7 days;
    /// @inheritdoc IJobs
    uint16 public constant DISPUTE_BOND_BPS = 1000;

    uint16 private constant WHOLE_BPS = 10_000;
    /// Work given up counts once in a host's record; silence until the deadline, and rubbish, count twice.
    uint128 private constant FAULT_OF_SILENCE = 2;

    /// @inheritdoc IJobs
    INodeRegistry public immutable NODES;
    /// @inheritdoc IJobs
    IProofSystem public immutable PROOFS;
    /// @inheritdoc IJobs
    IReputationSystem public immutable REPUTATION;

    address private immutable SELF = address(this);

    /// @param owner_ Owns this contract's own storage, where there is nothing to own. Proofs and reputation name the
    /// marketplace, which is made after this contract, so they may have no code yet.
    constructor(
        INodeRegistry nodes,
        IProofSystem proofs,
        IReputationSystem reputation,
        address circuitBreaker,
        address owner_
    ) Ownable(owner_) EntryPause(circuitBreaker) ProtocolFee(owner_, 0) {
        if (address(nodes) == address(0) || address(proofs) == address(0) || address(reputation) == address(0)) {
            revert ZeroAddress();
        }
        (NODES, PROOFS, REPUTATION) = (nodes, proofs, reputation);
    }

    /// @inheritdoc IJobs
    function createJob(JobTerms calldata terms) external payable returns (bytes32 jobId) {
        JobTerms[] calldata one;
        assembly ("memory-safe") {
            // Terms have no dynamic part, so they lie as an array of one would.
            one.offset := terms
            one.length := 1
        }
        return _postAll(one)[0];
    }

    /// @inheritdoc IJobs
    function createJobs(JobTerms[] calldata terms) external payable returns (bytes32[] memory jobIds) {
        return _postAll(terms);
    }

    /// @inheritdoc IJobs
    function claimJob(JobTerms calldata terms, uint16 priceBps) external nonReentrant whenEntryOpen {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Posted);
        if (block.timestamp > terms.deadline) revert DeadlinePassed(terms.deadline);
        if (priceBps > WHOLE_BPS) revert PriceAboveMaximum(priceBps);
        if (terms.host != address(0) && msg.sender != terms.host) {
            revert NotInvited(msg.sender, terms.host);
        }
        if (terms.circuit != 0 && !PROOFS.isActive(terms.circuit, terms.model)) {
            revert CircuitInactive(terms.circuit, terms.model);
        }
        job = job.claimed(msg.sender, priceBps);
        _jobs[jobId] = job;
        emit JobClaimed(jobId, msg.sender, job.priceRoundedDown(terms.maxPrice));
        NODES.admitClaim(msg.sender, terms.model, terms.token);
    }

    /// @inheritdoc IJobs
    function completeJob(JobTerms calldata terms, bytes32 resultHash, bytes calldata proof) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Claimed);
        if (msg.sender != job.host()) revert NotHost(msg.sender);
        if (block.timestamp > terms.deadline) revert DeadlinePassed(terms.deadline);
        if (terms.circuit == 0 && proof.length != 0) revert ProofNotAsked();
        uint40 disputeEnd = uint40(block.timestamp) + DISPUTE_WINDOW;
        _jobs[jobId] = job.waiting(JobStatus.Completed, disputeEnd);
        emit JobCompleted(jobId, msg.sender, resultHash, disputeEnd);
        if (terms.circuit != 0) PROOFS.consume(terms.circuit, terms.model, jobId, terms.inputHash, resultHash, proof);
    }

    /// @inheritdoc IJobs
    function failJob(JobTerms calldata terms) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Claimed);
        if (msg.sender != job.host()) revert NotHost(msg.sender);
        _closeJob(terms, jobId, job, JobOutcome.Failed, 0, 1, 0, address(0));
    }

    /// @inheritdoc IJobs
    function cancelJob(JobTerms calldata terms) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Posted);
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        _closeJob(terms, jobId, job, JobOutcome.Cancelled, 0, 0, 0, address(0));
    }

    /// @inheritdoc IJobs
    function reclaimJob(JobTerms calldata terms) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        bool claimed = job.status() == JobStatus.Claimed;
        if (!claimed && job.status() != JobStatus.Posted) revert WrongJobStatus(jobId);
        if (block.timestamp <= terms.deadline) revert DeadlineRunning(terms.deadline);
        JobOutcome outcome = claimed ? JobOutcome.Abandoned : JobOutcome.Cancelled;
        _closeJob(terms, jobId, job, outcome, 0, claimed ? FAULT_OF_SILENCE : 0, 0, address(0));
    }

    /// @inheritdoc IJobs
    function settleJob(JobTerms calldata terms) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Completed);
        if (msg.sender != terms.renter && block.timestamp < job.windowEnd()) {
            revert WindowRunning(job.windowEnd());
        }
        _closeJob(terms, jobId, job, JobOutcome.Paid, job.priceRoundedDown(terms.maxPrice), 0, 0, address(0));
    }

    /// @inheritdoc IJobs
    function disputeJob(JobTerms calldata terms) external payable nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Completed);
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        if (block.timestamp >= job.windowEnd()) revert WindowOver(job.windowEnd());
        uint96 bond = _bondOf(terms, job);
        uint40 decideBy = uint40(block.timestamp) + DECISION_WINDOW;
        _jobs[jobId] = job.waiting(JobStatus.Disputed, decideBy);
        emit JobDisputed(jobId, bond, decideBy);
        _take(terms.token, bond);
    }

    /// @inheritdoc IJobs
    function resolveJob(JobTerms calldata terms, uint16 hostBps) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Disputed);
        bool governed = terms.arbiter == address(0);
        if (msg.sender != (governed ? owner() : terms.arbiter)) revert NotArbiter(msg.sender);
        if (block.timestamp >= job.windowEnd()) revert WindowOver(job.windowEnd());
        if (hostBps > WHOLE_BPS) revert ShareAboveWhole(hostBps);
        uint96 gross = PackedJobLib.shareRoundedDown(job.priceRoundedDown(terms.maxPrice), hostBps);
        bool renterWon = hostBps < WHOLE_BPS / 2;
        uint96 bond = _bondOf(terms, job);
        // An arbiter of the parties' choice may be anybody; what it says moves their money and nobody's record.
        uint128 fault = renterWon && governed ? FAULT_OF_SILENCE : 0;
        address bondTo = renterWon ? terms.renter : job.host();
        _closeJob(terms, jobId, job, JobOutcome.Resolved, gross, fault, bond, bondTo);
    }

    /// @inheritdoc IJobs
    function expireDispute(JobTerms calldata terms) external nonReentrant {
        (bytes32 jobId, PackedJob job) = _loadJob(terms);
        _requireStatus(jobId, job, JobStatus.Disputed);
        if (block.timestamp < job.windowEnd()) revert WindowRunning(job.windowEnd());
        uint96 bond = _bondOf(terms, job);
        bool proven = terms.circuit != 0;
        uint96 gross = proven ? job.priceRoundedDown(terms.maxPrice) : 0;
        // Who is right about an unproven result nobody has said: everything goes back to where it came from.
        address bondTo = proven ? job.host() : terms.renter;
        _closeJob(terms, jobId, job, JobOutcome.Undecided, gross, 0, bond, bondTo);
    }

    /// @inheritdoc IJobs
    function jobs(bytes32 jobId) external view returns (Job memory job) {
        return _jobs[jobId].unpack();
    }

    /// @inheritdoc IJobs
    function jobIdOf(JobTerms calldata terms) external pure returns (bytes32) {
        return terms.id();
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.JobBoard.v1");
    }

    /// @dev Posts each for the caller, then takes the sum.
    function _postAll(JobTerms[] calldata terms) private nonReentrant whenEntryOpen returns (bytes32[] memory jobIds) {
        if (address(this) == SELF) revert NotMarketplace();
        if (terms.length == 0) revert NoJobs();
        address token = terms[0].token;
        jobIds = new bytes32[](terms.length);
        uint256 sum;
        for (uint256 i = 0; i < terms.length; ++i) {
            JobTerms calldata each = terms[i];
            if (each.token != token) revert MixedTokens(token, each.token);
            jobIds[i] = _post(each);
            sum += each.maxPrice;
        }
        _take(token, sum);
    }

    /// @dev Everything of a posting but the money.
    function _post(JobTerms calldata terms) private returns (bytes32 jobId) {
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        if (terms.maxPrice == 0) revert ZeroPriceJob();
        uint40 nowAt = uint40(block.timestamp);
        if (terms.deadline <= nowAt || terms.deadline > nowAt + MAX_JOB) {
            revert DeadlineOutOfRange(terms.deadline, nowAt + 1, nowAt + MAX_JOB);
        }
        jobId = terms.id();
        if (_jobs[jobId].status() != JobStatus.None) revert JobExists(jobId);
        uint16 fee = feeBps;
        _jobs[jobId] = PackedJobLib.posted(fee);
        emit JobPosted(jobId, terms.renter, terms.host, terms, fee);
    }

    /// @dev Pays `gross` of the price to host and protocol and the rest of the escrow to the renter; `bond` to
    /// `bondTo`, one of the two.
    /// `faults`: how often the work's weight counts against the host.
    function _closeJob(
        JobTerms calldata terms,
        bytes32 jobId,
        PackedJob job,
        JobOutcome outcome,
        uint96 gross,
        uint128 faults,
        uint96 bond,
        address bondTo
    ) private {
        uint96 fee = job.feeRoundedDown(gross);
        uint96 hostPaid = gross - fee;
        uint96 refund = terms.maxPrice - gross;
        (uint256 toHost, uint256 toRenter) = (hostPaid, refund);
        (address host, address renter, address token) = (job.host(), terms.renter, terms.token);
        _jobs[jobId] = job.closed();
        emit JobClosed(jobId, host, renter, outcome, token, hostPaid, fee, refund);
        if (bond != 0) emit BondPaid(jobId, bondTo, bond);
        if (bondTo == renter) toRenter += bond;
        else toHost += bond;
        _credit(host, token, toHost, fee);
        if (faults != 0) REPUTATION.recordFault(host, token, job.feeRoundedDown(terms.maxPrice) * faults);
        _payOrCredit(renter, token, toRenter);
    }

    function _loadJob(JobTerms calldata terms) private view returns (bytes32 jobId, PackedJob job) {
        jobId = terms.id();
        job = _jobs[jobId];
    }

    function _requireStatus(bytes32 jobId, PackedJob job, JobStatus expected) private pure {
        if (job.status() != expected) revert WrongJobStatus(jobId);
    }

    function _bondOf(JobTerms calldata terms, PackedJob job) private pure returns (uint96) {
        return PackedJobLib.shareRoundedUp(job.priceRoundedDown(terms.maxPrice), DISPUTE_BOND_BPS);
    }
}
