// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev What a renter wants done once. Never stored: the job id is `keccak256(abi.encode(terms))`, the terms travel in
/// the posting event and in the calldata of every later call.
struct JobTerms {
    /// Who pays the price in and gets back what is not spent.
    address renter;
    /// The only host that may claim; the zero address leaves it to any host that serves the model for the token.
    address host;
    /// Payment token; the zero address is the chain's native coin.
    address token;
    /// The most the job may cost, base units, protocol fee included; all of it is escrowed.
    uint96 maxPrice;
    /// Unix seconds; the last second in which the job may be completed.
    uint40 deadline;
    /// Model id: SHA-256 of the weights file, as in ModelRegistry.
    bytes32 model;
    /// Commits to the input. With a circuit: keccak256 of the input instances as the circuit has them.
    bytes32 inputHash;
    /// Circuit of ProofSystem whose proof a completion needs; zero for none.
    bytes32 circuit;
    /// Who decides a dispute; the zero address is the marketplace's owner, token governance.
    address arbiter;
    /// Makes otherwise equal terms distinct.
    bytes32 salt;
}

/// @dev Posted and Claimed wait for somebody to act before the deadline, Completed and Disputed for a window to pass.
enum JobStatus {
    None,
    Posted,
    Claimed,
    Completed,
    Disputed,
    Closed
}

/// @dev State of one job, unpacked from its slot.
struct Job {
    JobStatus status;
    /// Protocol fee of this job, fixed when it was posted; basis points of what the host is paid.
    uint16 feeBps;
    /// What the host asks, basis points of `maxPrice`; set by the claim.
    uint16 priceBps;
    /// Completed: end of the dispute window. Disputed: end of the time to decide. Unix seconds, otherwise 0.
    uint40 windowEnd;
    /// Who claimed; zero before.
    address host;
}

/// @dev How a job ended.
enum JobOutcome {
    /// The renter took it back before anybody claimed it, or anyone after its deadline.
    Cancelled,
    /// The host gave it up.
    Failed,
    /// The deadline passed without a result.
    Abandoned,
    /// The host was paid: the renter accepted, or the dispute window passed.
    Paid,
    /// The arbiter decided.
    Resolved,
    /// Nobody decided in time.
    Undecided
}
