// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INodeRegistry} from "./INodeRegistry.sol";
import {IProofSystem} from "./IProofSystem.sol";
import {IReputationSystem} from "./IReputationSystem.sol";
import {Job, JobOutcome, JobTerms} from "./JobTypes.sol";

/// @title Jobs: one-shot work, escrowed when it is posted.
/// @notice A renter posts a job with its price; one host claims it, delivers a result hash (and a proof, if the terms
/// name a circuit), and is paid after the dispute window. Money leaves a job in three parts, host + fee + refund, whose
/// sum is the escrowed price, to the base unit; a dispute's bond leaves whole.
/// @dev Assumptions and worst cases:
/// - Without a circuit, the hash proves nothing. A renter that does not look at the result within DISPUTE_WINDOW pays
///   for rubbish; one that looks refuses it, and has everything back even if its arbiter sleeps.
/// - A disputed result without a proof is not paid unless the arbiter says so. A host that does good work for a renter
///   of bad faith and an arbiter that sleeps gets nothing for it. So a host looks at who the arbiter is before it
///   claims; one that belongs to the renter decides against it.
/// - A disputed result with a proof is paid unless the arbiter says otherwise: a circuit can be wrong.
/// - A claim keeps the price locked until the deadline, MAX_JOB at most. Terms may name the one host that may claim.
/// - Posting is bounded by what it escrows: it ties up nobody's money but the poster's. Claiming ties up the renter's,
///   so NodeRegistry bounds how fast one host claims; the bound runs on time and on the host's own claims alone, so it
///   can neither stick nor be used up by others.
/// These functions are JobMarketplace's, by the code of JobBoard. Errors named in IPaymentEscrow (WrongValue and
/// others) mean the same here.
interface IJobs {
    /// Carries every term, so that the job can be continued, or its money had back, from this event alone.
    event JobPosted(bytes32 indexed jobId, address indexed renter, address indexed host, JobTerms terms, uint16 feeBps);
    event JobClaimed(bytes32 indexed jobId, address indexed host, uint96 price);
    event JobCompleted(bytes32 indexed jobId, address indexed host, bytes32 resultHash, uint40 disputeEnd);
    event JobDisputed(bytes32 indexed jobId, uint96 bond, uint40 decideBy);
    /// hostPaid + fee + refund == maxPrice. `host` is zero if nobody had claimed.
    event JobClosed(
        bytes32 indexed jobId,
        address indexed host,
        address indexed renter,
        JobOutcome outcome,
        address token,
        uint96 hostPaid,
        uint96 fee,
        uint96 refund
    );
    /// What became of a dispute's bond: all of it went to `to`, one of the parties.
    event BondPaid(bytes32 indexed jobId, address indexed to, uint96 bond);

    error NotRenter(address caller);
    error NotHost(address caller);
    error JobExists(bytes32 jobId);
    error WrongJobStatus(bytes32 jobId);
    error ZeroPriceJob();
    error DeadlineOutOfRange(uint40 deadline, uint40 earliest, uint40 latest);
    /// Called on JobBoard itself, which holds no money.
    error NotMarketplace();
    error NoJobs();
    error MixedTokens(address expected, address given);
    error PriceAboveMaximum(uint16 priceBps);
    error NotInvited(address caller, address host);
    error CircuitInactive(bytes32 circuit, bytes32 model);
    error DeadlinePassed(uint40 deadline);
    error DeadlineRunning(uint40 deadline);
    error ProofNotAsked();
    error WindowRunning(uint40 windowEnd);
    error WindowOver(uint40 windowEnd);
    error NotArbiter(address caller);
    error ShareAboveWhole(uint16 hostBps);

    /// @notice Posts a job; the caller must be `terms.renter`. Native: `msg.value == terms.maxPrice`. ERC-20: the caller
    /// has approved this contract for it, and sends no value.
    function createJob(JobTerms calldata terms) external payable returns (bytes32 jobId);

    /// @notice Posts many, all paid in one token; reverts as a whole if one is refused.
    function createJobs(JobTerms[] calldata terms) external payable returns (bytes32[] memory jobIds);

    /// @notice Takes a job on. The caller must serve the model for the token and keep its pace (NodeRegistry), and be
    /// the host the terms name if they name one. `priceBps`: what it asks, basis points of the maximum.
    function claimJob(JobTerms calldata terms, uint16 priceBps) external;

    /// @notice Claiming host only, until the deadline: hands in the result's hash. With a circuit, `proof` must satisfy
    /// ProofSystem for this job, this input and this result; without one it must be empty.
    function completeJob(JobTerms calldata terms, bytes32 resultHash, bytes calldata proof) external;

    /// @notice Claiming host only, before it completes: gives the job up. The renter gets everything back.
    function failJob(JobTerms calldata terms) external;

    /// @notice Renter only, before anybody claims: takes the job back at once.
    function cancelJob(JobTerms calldata terms) external;

    /// @notice Anyone, after the deadline of a job that was not completed: the renter gets everything back.
    function reclaimJob(JobTerms calldata terms) external;

    /// @notice Pays the host of a completed job: by the renter at once, by anyone after the dispute window.
    function settleJob(JobTerms calldata terms) external;

    /// @notice Renter only, within the dispute window: refuses the result. Costs a bond of DISPUTE_BOND_BPS of the price,
    /// in the job's token (`msg.value` or an allowance), which comes back unless the arbiter sides with the
    /// host, or says nothing of a result with a proof.
    function disputeJob(JobTerms calldata terms) external payable;

    /// @notice Arbiter only, until the time to decide is over: `hostBps` of the price to the host, basis points, the
    /// rest to the renter. Below half the renter has won: it gets the bond back, and the host a fault in its record.
    function resolveJob(JobTerms calldata terms, uint16 hostBps) external;

    /// @notice Anyone, once nobody has decided in time: with a proof the host is paid and has the bond; without one
    /// everything goes back to the renter, so that no host gains by rubbish and an arbiter's silence, and no arbiter by it.
    function expireDispute(JobTerms calldata terms) external;

    /// @notice keccak256(abi.encode(terms)).
    function jobIdOf(JobTerms calldata terms) external pure returns (bytes32);

    /// @notice The state under an id; status None if no such job was ever posted.
    function jobs(bytes32 jobId) external view returns (Job memory job);

    /// Says who may take a job on; asked when a host does and never again.
    function NODES() external view returns (INodeRegistry);
    /// Checks the proofs of jobs whose terms name a circuit.
    function PROOFS() external view returns (IProofSystem);
    /// Told of the work that hosts committed themselves to and did not deliver.
    function REPUTATION() external view returns (IReputationSystem);
    /// Seconds the renter has to refuse a result.
    function DISPUTE_WINDOW() external view returns (uint40);
    /// Seconds the arbiter has to decide.
    function DECISION_WINDOW() external view returns (uint40);
    /// Longest job, seconds from posting to deadline.
    function MAX_JOB() external view returns (uint40);
    /// Bond of a dispute, basis points of the job's price, rounded up.
    function DISPUTE_BOND_BPS() external view returns (uint16);
}
