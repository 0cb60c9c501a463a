// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev What renter and host agreed on when the session was opened. Never stored: the session id is
/// `keccak256(abi.encode(terms))`, the terms travel in the opening event and in the calldata of every later call.
struct SessionTerms {
    /// Who serves and is paid.
    address host;
    /// Who paid the deposit in and gets the refund.
    address renter;
    /// Payment token; the zero address is the chain's native coin.
    address token;
    /// Deposit at opening, in the token's base units.
    uint96 deposit;
    /// Unix seconds after which the session serves no more.
    uint40 expiry;
    /// Who signs vouchers: an EOA, or a contract that answers ERC-1271.
    address voucherKey;
    /// Model id: SHA-256 of the weights file, as in ModelRegistry.
    bytes32 model;
    /// Makes otherwise equal terms distinct.
    bytes32 salt;
}

/// @dev EIP-712 message signed by the session's voucher key, under the domain
/// {name: "Capstan", version: "1", chainId, verifyingContract: the marketplace}. All counts are cumulative.
struct Voucher {
    bytes32 sessionId;
    /// Owed so far, in the payment token's base units, protocol fee included.
    uint96 amount;
    /// Tokens billed so far, input and output together: the size of the transcript tree.
    uint64 tokens;
    /// Root of the transcript tree over those tokens.
    bytes32 transcriptRoot;
}

/// @dev One close by the host. `claim` may be below `voucher.amount`: a voucher signed ahead of the work is a
/// ceiling, and an honest host claims what it served.
struct Completion {
    SessionTerms terms;
    Voucher voucher;
    bytes signature;
    uint96 claim;
}

/// @dev One close by the host in a batch: what a `Completion` says, in the least calldata. The host of the terms is
/// the caller, the voucher's session is the one of the terms, and the signature is ECDSA in the short form of
/// EIP-2098; a session whose voucher key only answers ERC-1271 is closed by `completeSessionJob`. No bit is ignored:
/// rubbish above `token` or `expiry` makes it the item of a session that does not exist.
struct PackedCompletion {
    /// terms.renter << 96 | terms.deposit
    uint256 renterDeposit;
    /// terms.token
    address token;
    /// terms.voucherKey << 96 | voucher.amount
    uint256 keyAmount;
    /// terms.expiry << 160 | voucher.tokens << 96 | claim
    uint256 expiryTokensClaim;
    /// terms.model
    bytes32 model;
    /// terms.salt
    bytes32 salt;
    /// voucher.transcriptRoot
    bytes32 transcriptRoot;
    /// The signature's r; zero together with `vs` where no voucher is needed.
    bytes32 r;
    /// The signature's s, and above it one bit, v - 27.
    bytes32 vs;
}

enum SessionStatus {
    None,
    Active,
    /// The renter asked to close; the challenge window runs.
    Closing,
    Closed
}

/// @dev State of one session: exactly one storage slot.
struct Session {
    SessionStatus status;
    /// Protocol fee in basis points of what the host is paid, fixed at opening.
    uint16 feeBps;
    /// Unix seconds at which a closing session may be finalised, kept once it is closed; 0 if its renter never asked
    /// to close.
    uint40 challengeEnd;
    /// Highest amount presented or acknowledged while closing, base units; once closed, the amount settled at
    /// (host and fee together).
    uint96 presented;
    /// Added to the deposit since opening, base units.
    uint96 topUp;
}

enum CloseReason {
    /// The host completed with a voucher.
    Completed,
    /// The renter's close was finalised after its challenge window.
    Finalized,
    /// Anyone, after expiry and grace.
    TimedOut
}
