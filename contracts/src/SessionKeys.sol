// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {UserOperationLib} from "@account-abstraction/contracts/core/UserOperationLib.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IJobMarketplace} from "./interfaces/IJobMarketplace.sol";
import {Call} from "./interfaces/ISelfBatch.sol";
import {ISessionAccount, KeyStatus, Scope, SessionKey, TokenCap} from "./interfaces/ISessionAccount.sol";
import {SessionTerms} from "./interfaces/SessionTypes.sol";
import {MarketplaceCalls} from "./libraries/MarketplaceCalls.sol";
import {PaymasterData} from "./libraries/PaymasterData.sol";

/// @title Session keys: their grants, their caps, and what they may call.
/// @dev State lies under an ERC-7201 name, because an account that delegates may have run other code before.
abstract contract SessionKeys is ISessionAccount {
    using UserOperationLib for PackedUserOperation;

    /// @inheritdoc ISessionAccount
    uint256 public constant MAX_CAPS = 8;

    address internal constant NATIVE = address(0);

    /// @inheritdoc ISessionAccount
    address public immutable ENTRY_POINT;
    /// @inheritdoc ISessionAccount
    address public immutable MARKETPLACE;

    struct Cap {
        uint128 amount;
        uint128 spent;
    }

    /// @custom:storage-location erc7201:capstan.SessionAccount
    struct State {
        mapping(address key => SessionKey) keys;
        mapping(address key => mapping(address token => Cap)) caps;
    }

    /// keccak256(abi.encode(uint256(keccak256("capstan.SessionAccount")) - 1)) & ~0xff
    bytes32 private constant STATE_SLOT =
        keccak256(abi.encode(uint256(keccak256("capstan.SessionAccount")) - 1)) & ~bytes32(uint256(0xff));

    constructor(address entryPoint, address marketplace) {
        ENTRY_POINT = entryPoint;
        MARKETPLACE = marketplace;
    }

    /// @inheritdoc ISessionAccount
    function sessionKeyOf(address key) external view returns (SessionKey memory) {
        return _state().keys[key];
    }

    /// @inheritdoc ISessionAccount
    function capOf(address key, address token) external view returns (uint128 amount, uint128 spent) {
        Cap memory cap = _state().caps[key][token];
        return (cap.amount, cap.spent);
    }

    function _grant(address key, Scope calldata scope) internal {
        State storage state = _state();
        if (key == address(0)) revert ZeroKey();
        if (state.keys[key].status != KeyStatus.None) revert KeyAlreadyGranted(key);
        if (scope.calls == 0 || scope.calls > MarketplaceCalls.ALL) revert InvalidCalls(scope.calls);
        if (scope.validUntil <= scope.validAfter || scope.validUntil < block.timestamp) {
            revert InvalidPeriod(scope.validAfter, scope.validUntil);
        }
        if (scope.caps.length > MAX_CAPS) revert TooManyCaps(scope.caps.length, MAX_CAPS);

        state.keys[key] = SessionKey(scope.paymaster, scope.validAfter, scope.validUntil, scope.calls, KeyStatus.Active);
        for (uint256 i = 0; i < scope.caps.length; ++i) {
            TokenCap calldata cap = scope.caps[i];
            // A key may call a token in its scope; these are none.
            if (
                cap.amount == 0 || cap.token == address(this) || cap.token == ENTRY_POINT || cap.token == MARKETPLACE
                    || state.caps[key][cap.token].amount != 0
            ) revert InvalidCap(cap.token, cap.amount);
            state.caps[key][cap.token].amount = cap.amount;
        }
        emit SessionKeyGranted(key, scope);
    }

    function _revoke(address key) internal {
        SessionKey storage stored = _state().keys[key];
        if (stored.status != KeyStatus.Active) revert KeyNotActive(key);
        stored.status = KeyStatus.Revoked;
        emit SessionKeyRevoked(key);
    }

    /// @dev Counts what the operation may cost the account against the key's caps. It cannot wait for execution: the
    /// EntryPoint takes the money even if execution fails, and a key could burn its account's whole balance as gas.
    function _commitGas(address key, address allowedPaymaster, PackedUserOperation calldata op) internal {
        if (op.paymasterAndData.length == 0) {
            uint256 gas = op.unpackVerificationGasLimit() + op.unpackCallGasLimit() + op.preVerificationGas;
            _commit(key, NATIVE, gas * op.unpackMaxFeePerGas());
            return;
        }
        address paymaster = address(bytes20(op.paymasterAndData));
        if (paymaster != allowedPaymaster) revert PaymasterNotAllowed(paymaster);
        (,, address token, uint128 maxCharge) = PaymasterData.read(op.paymasterAndData);
        if (maxCharge != 0) _commit(key, token, maxCharge);
    }

    /// @dev Whether the key works now; asked again for every execution, whatever validation found.
    function _requireActive(address key) internal view returns (uint8 calls) {
        SessionKey memory stored = _state().keys[key];
        if (stored.status != KeyStatus.Active) revert KeyNotActive(key);
        // The EntryPoint's own comparisons.
        if (block.timestamp <= stored.validAfter || block.timestamp > stored.validUntil) {
            revert KeyOutOfPeriod(stored.validAfter, stored.validUntil);
        }
        return stored.calls;
    }

    /// @dev Lets a call pass that is within the scope, and counts what it commits.
    function _requireInScope(address key, uint8 calls, Call calldata item) internal {
        bytes4 selector = bytes4(item.data);
        if (item.to != MARKETPLACE) {
            _requireApproval(key, selector, item);
            return;
        }
        uint8 kind = MarketplaceCalls.kindOf(selector);
        if (kind & calls == 0) revert CallNotAllowed(item.to, selector);
        if (kind == MarketplaceCalls.OPEN) {
            SessionTerms memory terms = abi.decode(item.data[4:], (SessionTerms));
            _commitToSession(key, terms, terms.deposit, item.value);
        } else if (kind == MarketplaceCalls.TOP_UP) {
            (SessionTerms memory terms, uint96 amount) = abi.decode(item.data[4:], (SessionTerms, uint96));
            _commitToSession(key, terms, amount, item.value);
        } else {
            if (item.value != 0) revert ValueNotAllowed(item.value, 0);
            if (selector != IJobMarketplace.requestSessionClose.selector) return;
            SessionTerms memory terms = abi.decode(item.data[4:], (SessionTerms));
            if (terms.voucherKey != key) revert NotVoucherKey(terms.voucherKey);
        }
    }

    /// @dev An approval moves nothing, so it is not counted: what the marketplace then takes is.
    function _requireApproval(address key, bytes4 selector, Call calldata item) private view {
        Cap memory cap = _state().caps[key][item.to];
        if (selector != IERC20.approve.selector || item.to == NATIVE || cap.amount == 0) {
            revert CallNotAllowed(item.to, selector);
        }
        if (item.value != 0) revert ValueNotAllowed(item.value, 0);
        (address spender, uint256 amount) = abi.decode(item.data[4:], (address, uint256));
        if (spender != MARKETPLACE) revert CallNotAllowed(item.to, selector);
        if (amount > cap.amount - cap.spent) revert CapExceeded(item.to, amount, cap.amount - cap.spent);
    }

    function _commitToSession(address key, SessionTerms memory terms, uint96 amount, uint256 value) private {
        if (terms.renter != address(this)) revert NotOwnSession(terms.renter);
        uint256 expected = terms.token == NATIVE ? amount : 0;
        if (value != expected) revert ValueNotAllowed(value, expected);
        _commit(key, terms.token, amount);
    }

    function _commit(address key, address token, uint256 amount) private {
        Cap storage cap = _state().caps[key][token];
        uint128 left = cap.amount - cap.spent;
        if (amount > left) revert CapExceeded(token, amount, left);
        // No more than what is left of 128 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        cap.spent += uint128(amount);
    }

    function _activeKey(address key) internal view returns (SessionKey memory stored, bool active) {
        stored = _state().keys[key];
        active = stored.status == KeyStatus.Active;
    }

    function _state() private pure returns (State storage state) {
        bytes32 slot = STATE_SLOT;
        assembly ("memory-safe") {
            state.slot := slot
        }
    }
}
