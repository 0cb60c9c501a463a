// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SessionTerms} from "./SessionTypes.sol";

/// @dev What a host says of a session: EIP-712 message signed by the host's own key, under the domain of vouchers
/// {name: "Capstan", version: "1", chainId, verifyingContract: the marketplace}. All counts are cumulative.
struct Receipt {
    bytes32 sessionId;
    /// Owed so far by the host's count, in the payment token's base units, protocol fee included.
    uint96 amount;
    /// Tokens billed so far, input and output together: the size of the transcript tree.
    uint64 tokens;
    /// Root of the transcript tree over those tokens.
    bytes32 transcriptRoot;
    /// Nothing further will be charged: the session settles at `amount` or less.
    bool last;
}

/// @dev What a host can be slashed for; there is nothing else.
enum Evidence {
    /// Two receipts for the same place of one transcript that state different amounts or roots.
    Equivocation,
    /// A last receipt, and a settlement by the host above it.
    Overclaim
}

enum SlashStatus {
    None,
    /// Taken from the stake and held here, while an appeal may be upheld.
    Pending,
    /// An appeal was upheld: the host has it back.
    Cancelled,
    /// Paid out and burned.
    Executed
}

/// @dev One report: exactly one storage slot.
struct Slash {
    SlashStatus status;
    /// Unix seconds from which anyone may execute it.
    uint40 executableAt;
    /// FAB, base units.
    uint96 amount;
}

/// @title Slashing of hosts by evidence that is checked here.
/// @notice Evidence is what a host signed: anyone who holds it may report it. A part of the stake is then held here
/// for APPEAL_DELAY; the owner may give it back to the host; otherwise anyone executes the slash: a tenth goes to the
/// renter whose session it was, the rest is burned. What is not held stays the host's, and its exit is never delayed.
/// @dev Each session counts once for each kind of evidence, whatever becomes of the report.
///
/// Assumptions:
/// - The stake token is FAB: it moves exactly the amount asked, has no hooks, and no account can refuse it.
/// - The marketplace keeps `challengeEnd` of a session whose renter asked to close when the session is closed.
/// - An honest host signs a receipt only for what it has stored, so that no crash makes it sign another for the
///   same place, and claims no more than its last receipt says.
///
/// Decisions:
/// - The compensation is the renter's, whoever reports. A report that is copied from the mempool brings its copier
///   nothing, and a host that reports itself gets nothing back unless it was its own renter; then it loses nine
///   tenths of what is slashed all the same.
/// - The rest is burned. The owner judges appeals, and a judge must not earn by the verdict.
/// - ECDSA signatures by the host's own key alone. A contract (ERC-1271) can say no tomorrow to what it signed today,
///   so its word is no evidence: a host whose account is a contract cannot be slashed, and its renters rely on
///   vouchers alone.
/// - A session closed after its renter asked to close is no overclaim. What is presented then may come from the renter
///   itself, which could acknowledge more than the last receipt only to have its host slashed.
///
/// Worst cases:
/// - Whoever has a host's key can sign evidence against it. It could take the stake by unbonding as well.
/// - A host whose unbonding is over can withdraw when it sees a report coming. Evidence must come before.
/// - A host that waits for its renter to ask to close, and has its highest voucher presented then, is paid by a
///   voucher ahead of the work although it signed a lower last receipt. No evidence tells it from a lying renter.
/// - A session can be completed until somebody triggers its timeout, and evidence ends EVIDENCE_WINDOW after its expiry
///   all the same. A renter that leaves its money in a session for longer has no evidence of what is claimed then.
/// - An owner that misuses its right lets guilty hosts go. It can take nothing from anybody.
interface IHostSlashing {
    event SlashReported(
        bytes32 indexed sessionId,
        address indexed host,
        Evidence indexed evidence,
        address reporter,
        uint96 amount,
        uint40 executableAt
    );
    event SlashCancelled(bytes32 indexed sessionId, address indexed host, Evidence indexed evidence, uint96 amount);
    event SlashExecuted(
        bytes32 indexed sessionId,
        address indexed host,
        Evidence indexed evidence,
        address renter,
        uint96 compensation,
        uint96 burned
    );

    error UnknownSession(bytes32 sessionId);
    error WrongSession(bytes32 expected, bytes32 given);
    error BadSignature();
    error NoContradiction();
    error NotLast();
    error SessionNotClosed(bytes32 sessionId);
    error RenterAskedToClose(bytes32 sessionId);
    error NotOverclaimed(uint96 settledAt, uint96 amount);
    error EvidenceTooOld(uint40 acceptedUntil);
    error AlreadyReported(bytes32 sessionId, Evidence evidence);
    error NothingAtStake(address host);
    error NotPending(bytes32 sessionId, Evidence evidence);
    error AppealRunning(uint40 executableAt);

    /// @notice Reports two receipts of one session for the same number of tokens that differ in amount or root; that
    /// one of them is the last and the other not is no contradiction. The session may be open or closed.
    function reportEquivocation(
        SessionTerms calldata terms,
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external;

    /// @notice Reports a last receipt of a session that its host has completed at more than it says.
    function reportOverclaim(SessionTerms calldata terms, Receipt calldata receipt, bytes calldata signature) external;

    /// @notice Owner only: upholds an appeal and pays the host what was held, until the slash is executed.
    function cancelSlash(SessionTerms calldata terms, Evidence evidence) external;

    /// @notice Anyone, once the time for an appeal is over.
    function executeSlash(SessionTerms calldata terms, Evidence evidence) external;

    /// @notice Status None if nothing of the kind was ever reported.
    function slashOf(bytes32 sessionId, Evidence evidence) external view returns (Slash memory);

    /// @notice The EIP-712 digest a host signs.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);

    /// Seconds between a report and its execution.
    function APPEAL_DELAY() external view returns (uint40);
    /// Seconds after a session's expiry in which evidence of it is taken.
    function EVIDENCE_WINDOW() external view returns (uint40);
    /// Basis points of the stake at the time of the report, rounded down.
    function EQUIVOCATION_BPS() external view returns (uint16);
    /// Basis points of the stake at the time of the report, rounded down.
    function OVERCLAIM_BPS() external view returns (uint16);
    /// The renter's part, basis points of what is slashed, rounded down.
    function COMPENSATION_BPS() external view returns (uint16);
}
