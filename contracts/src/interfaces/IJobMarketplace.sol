// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SessionTerms, Voucher, Completion, PackedCompletion, Session, CloseReason} from "./SessionTypes.sol";
import {IPaymentEscrow} from "./IPaymentEscrow.sol";

/// @title Sessions: escrowed payment channels between a renter and a host.
/// @notice Money leaves a session in three parts, host + fee + refund, whose sum is the deposit and every top-up,
/// to the base unit. Either party can always end a session without the other: the host with a voucher, the renter
/// after a challenge window, anyone after expiry and grace.
/// @dev Assumptions:
/// - The payment token moves exactly the amount asked (fee-on-transfer tokens are refused when they enter).
/// - A rebasing token can leave the ledger short; hosts choose the tokens they price, and pricing one is their risk.
/// - The whole opening event is enough to exit years later: it carries the terms, and no other state is needed.
interface IJobMarketplace is IPaymentEscrow {
    /// Carries every term, so that the session can be closed from this event alone.
    event SessionOpened(
        bytes32 indexed sessionId, address indexed host, address indexed renter, SessionTerms terms, uint16 feeBps
    );
    event SessionToppedUp(bytes32 indexed sessionId, address indexed payer, uint96 amount, uint96 topUp);
    event SessionClosing(bytes32 indexed sessionId, uint40 challengeEnd, uint96 presented);
    event VoucherPresented(bytes32 indexed sessionId, uint96 amount);
    /// hostPaid + fee + refund == deposit + top-ups. `tokens` and `transcriptRoot` are zero without a voucher.
    event SessionClosed(
        bytes32 indexed sessionId,
        address indexed host,
        address indexed renter,
        CloseReason reason,
        address token,
        uint96 hostPaid,
        uint96 fee,
        uint96 refund,
        uint64 tokens,
        bytes32 transcriptRoot
    );
    /// One item of a batch failed alone; `reason` is the revert data, a custom error of this interface.
    event SessionCompletionFailed(uint256 indexed index, bytes32 indexed sessionId, bytes reason);

    error ZeroRenter();
    error ZeroDeposit();
    error NotRenter(address caller);
    error NotHost(address caller);
    error ExpiryOutOfRange(uint40 expiry, uint40 earliest, uint40 latest);
    error ZeroVoucherKey();
    error HostNotServing(address host, bytes32 model, address token);
    error SessionExists(bytes32 sessionId);
    error SessionNotOpen(bytes32 sessionId);
    error SessionNotClosing(bytes32 sessionId);
    error SessionExpired(bytes32 sessionId);
    error ChallengeRunning(uint40 challengeEnd);
    error NotExpired(uint40 timeoutAt);
    error WrongSession(bytes32 expected, bytes32 given);
    error BadSignature();
    error AmountAboveDeposit(uint256 amount, uint256 deposit);
    error ClaimAboveVoucher(uint96 claim, uint96 amount);
    error AmountNotHigher(uint96 amount, uint96 presented);
    error DepositTooLarge();

    /// @notice Opens a session; the caller must be `terms.renter`. Native: `msg.value == terms.deposit`.
    /// ERC-20: the caller has approved this contract for `terms.deposit`, and sends no value.
    function createSessionJob(SessionTerms calldata terms) external payable returns (bytes32 sessionId);

    /// @notice The same in one transaction for an EIP-2612 token. A permit that somebody already submitted is no
    /// error as long as the allowance is there.
    function createSessionJobWithPermit(SessionTerms calldata terms, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (bytes32 sessionId);

    /// @notice The same for an EIP-3009 token, by anyone who has the renter's authorization: so a renter without coins
    /// for gas opens with one signature, and host or relay sends it. The authorization is one to receive, for this
    /// contract, over the deposit, and its nonce is the session id: it can open this session and no other.
    function createSessionJobWithAuthorization(
        SessionTerms calldata terms,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes32 sessionId);

    /// @notice Adds to the deposit of an active, unexpired session; anyone may pay, the refund stays the renter's.
    function topUp(SessionTerms calldata terms, uint96 amount) external payable;

    /// @notice The host closes at once with its newest voucher, while the session is active or closing. The claim
    /// may not be below an amount already presented, and a claim of exactly that amount needs no voucher (an empty
    /// signature): so a claim of zero refunds everything, and a host can accept what the renter acknowledged.
    function completeSessionJob(Completion calldata completion) external;

    /// @notice Many at once: an item that fails is reported by event and leaves the others untouched. The caller is
    /// taken for the host of each, so a session of another host is `SessionNotOpen` under an id that nobody knows.
    /// Vouchers by ECDSA only: a session whose key answers ERC-1271 alone is `BadSignature` here and is closed by
    /// `completeSessionJob`. Neighbouring items of one token are credited together, and those of one renter refunded
    /// together: sort by token, then by renter.
    function completeSessionJobs(PackedCompletion[] calldata completions) external;

    /// @notice The renter starts a unilateral close, acknowledging `acknowledged` as owed.
    function requestSessionClose(SessionTerms calldata terms, uint96 acknowledged) external;

    /// @notice Anyone hands in a voucher for a closing session on the host's behalf; only a higher amount counts.
    /// A voucher above the deposit counts as the whole deposit.
    function presentVoucher(SessionTerms calldata terms, Voucher calldata voucher, bytes calldata signature) external;

    /// @notice Anyone finalises a closing session once its challenge window is over: the host is paid the highest
    /// amount presented.
    function finalizeSession(SessionTerms calldata terms) external;

    /// @notice Anyone closes a session after expiry and grace; the host is paid the highest amount presented.
    function triggerSessionTimeout(SessionTerms calldata terms) external;

    /// @notice The state under the id of these terms; status None if no such session was ever opened.
    function getJob(SessionTerms calldata terms) external view returns (bytes32 sessionId, Session memory session);

    /// @notice The same by id, for a reader that holds no terms.
    function sessions(bytes32 sessionId) external view returns (Session memory session);

    /// @notice keccak256(abi.encode(terms)).
    function sessionIdOf(SessionTerms calldata terms) external pure returns (bytes32);

    /// @notice The EIP-712 digest a voucher key signs.
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32);

    /// Seconds the host has to answer a renter's close.
    function CHALLENGE_WINDOW() external view returns (uint40);
    /// Seconds after expiry before anyone may time a session out.
    function TIMEOUT_GRACE() external view returns (uint40);
    /// Longest session, seconds from opening to expiry.
    function MAX_SESSION() external view returns (uint40);
}
