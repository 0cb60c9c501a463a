// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Call} from "./ISelfBatch.sol";

/// @dev How much of one token a session key may commit in its whole life, base units; token zero is the native coin.
struct TokenCap {
    address token;
    uint128 amount;
}

/// @dev What a session key may do.
struct Scope {
    /// Kinds of marketplace calls, added up: 1 open, 2 top up, 4 close.
    uint8 calls;
    /// Unix seconds: the key works after `validAfter`, and up to and including `validUntil`.
    uint40 validAfter;
    uint40 validUntil;
    /// The `BaseAccountIntegration` that may pay for the key's operations; zero: none.
    address paymaster;
    /// Eight at most, no token twice. A token that is not named cannot be committed at all.
    TokenCap[] caps;
}

enum KeyStatus {
    None,
    Active,
    Revoked
}

/// @dev A session key's state: one storage slot.
struct SessionKey {
    address paymaster;
    uint40 validAfter;
    uint40 validUntil;
    uint8 calls;
    KeyStatus status;
}

/// @title A renter's smart account, with keys that can do nothing but rent.
/// @notice Works as an ERC-4337 account made by `SessionAccountFactory`, and as code to which an EOA delegates
/// (EIP-7702), which is then its own owner. Nothing is initialised: who owns an account is read from its code. The
/// owner cannot be changed.
///
/// A **session key** signs operations that call `executeWithKey`, and may send such calls itself. It can open, top up
/// and close sessions of this account, and approve the marketplace, within a scope that the owner granted:
/// - A session it opens or tops up has this account for its renter, so every refund comes here.
/// - Deposits and top-ups count against the token's cap when they are made, and never come back to it. The caps are
///   all that a stolen key can lose: it may open sessions with an accomplice for a host.
/// - It asks only for the close of sessions whose voucher key it is. What is acknowledged in a close goes to the host,
///   and so a key can give away by a close no more than by a voucher.
/// - Gas that the account pays counts against the caps too, when the operation is validated, because a validated
///   operation is paid for even if it fails: the largest cost in native coin, or the largest charge in a paymaster's
///   token. Another paymaster than the scope's is refused, as its data could promise anything.
/// - It signs nothing else: no other call, no message, no change of keys.
///
/// @dev Assumptions and limits:
/// - The owner is an ECDSA key where it signs; a contract as owner can only call.
/// - A key that was ever granted is never granted again, so that a revoked one stays revoked and caps are spent once.
///   Revoking does not undo a voucher key: a revoked key still signs vouchers of the open sessions that name it, so
///   close those.
/// - A session key may replace the allowance that the marketplace has of a token in its scope, up to what is left of
///   the cap.
/// - An account that stops delegating and later delegates again finds its keys as they were: periods end by the clock.
/// - Calls are made all or none.
/// - The marketplace takes money only from its caller or from the renter who called. A marketplace that could be
///   called for an account by others would need a narrower scope.
interface ISessionAccount {
    event SessionKeyGranted(address indexed key, Scope scope);
    event SessionKeyRevoked(address indexed key);

    error NotEntryPoint(address caller);
    error NotOwner(address caller);
    error NotSessionKey(address caller);
    /// Coins sent to the implementation, where nobody could move them.
    error NotAnAccount();
    error PrefundFailed();
    error CallReverted(uint256 index, bytes reason);

    error ZeroKey();
    error KeyAlreadyGranted(address key);
    error KeyNotActive(address key);
    error KeyOutOfPeriod(uint40 validAfter, uint40 validUntil);
    error InvalidCalls(uint8 calls);
    error InvalidPeriod(uint40 validAfter, uint40 validUntil);
    error TooManyCaps(uint256 count, uint256 maximum);
    error InvalidCap(address token, uint128 amount);

    error CallNotAllowed(address to, bytes4 selector);
    error ValueNotAllowed(uint256 value, uint256 expected);
    error NotOwnSession(address renter);
    error NotVoucherKey(address voucherKey);
    error CapExceeded(address token, uint256 amount, uint256 left);
    error PaymasterNotAllowed(address paymaster);

    /// @notice Owner only, by a transaction or an operation: makes the calls in order, all or none. A call to the
    /// account itself may grant or revoke keys.
    function execute(Call[] calldata calls) external;

    /// @notice The same within the scope of a session key: for the EntryPoint after the key signed, or the key itself.
    function executeWithKey(address key, Call[] calldata calls) external;

    /// @notice Owner only.
    function grantSessionKey(address key, Scope calldata scope) external;

    /// @notice Owner only. At once: an operation that was validated before does nothing any more.
    function revokeSessionKey(address key) external;

    /// @notice The zero address at the implementation itself.
    function owner() external view returns (address);

    function sessionKeyOf(address key) external view returns (SessionKey memory);

    /// @notice A key's cap in a token, and how much of it is used up.
    function capOf(address key, address token) external view returns (uint128 amount, uint128 spent);

    /// @notice What the owner of a clone signs so that `isValidSignature(digest)` accepts: EIP-712
    /// `AccountMessage(bytes32 digest)` under {name: "Capstan SessionAccount", version: "1", chainId, the account}.
    /// Two accounts of one owner must not take each other's messages. An account that delegates takes the digest as
    /// it is, as no other account has its key.
    function accountDigest(bytes32 digest) external view returns (bytes32);

    function ENTRY_POINT() external view returns (address);
    function MARKETPLACE() external view returns (address);
    /// Tokens in one scope.
    function MAX_CAPS() external view returns (uint256);
}
