// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPaymentEscrow} from "./interfaces/IPaymentEscrow.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";

/// @title The ledger, as the base of the contract that moves money.
/// @dev Inherited by JobMarketplace, so that one address holds every balance. A ledger contract of its own would
/// cost a call with value to a cold account (11,600 gas native, a second transfer for ERC-20) on every opening, and
/// a cold call on every close: together more than a fifth of the whole transaction.
///
/// Every function that changes state is `nonReentrant`, in this contract and in its heirs: a token with hooks, a
/// refunded renter or an ERC-1271 key can read, but never enter again. The guard is transient storage: 300 gas.
abstract contract PaymentEscrow is IPaymentEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// The native coin's place in the ledger.
    address internal constant NATIVE = address(0);

    /// Bits of a ledger slot that hold the account's own balance; the rest holds fees.
    uint256 private constant BALANCE_BITS = 128;

    /// @dev One slot per account and token: what the account may withdraw, and above it all the protocol fees its own
    /// work ever brought. Fees lie there, and not in an account of the protocol's, because a close then touches one
    /// slot of the ledger and not two (5,000 gas); the protocol collects them host by host. The sum never falls: it is
    /// what reputation is made of.
    mapping(address account => mapping(address token => uint256 packed)) private _ledger;

    /// @dev What the protocol has collected of those fees.
    mapping(address host => mapping(address token => uint256)) private _feesCollected;

    /// @inheritdoc IPaymentEscrow
    function withdraw(address token, address to) external nonReentrant returns (uint256 amount) {
        return _withdraw(msg.sender, token, to);
    }

    /// @inheritdoc IPaymentEscrow
    function withdrawMany(address[] calldata tokens, address to) external nonReentrant {
        for (uint256 i = 0; i < tokens.length; ++i) {
            _withdraw(msg.sender, tokens[i], to);
        }
    }

    /// @inheritdoc IPaymentEscrow
    function balanceOf(address account, address token) external view returns (uint256) {
        return uint128(_ledger[account][token]);
    }

    /// @dev Credits an account, and the protocol with `fee` beside it. No sum can overflow: one credit is below 2^97,
    /// so filling 128 bits takes two billion closes of the largest sessions there can be.
    function _credit(address account, address token, uint256 amount, uint256 fee) internal {
        if (amount | fee == 0) return;
        _ledger[account][token] += amount | fee << BALANCE_BITS;
        if (amount != 0) emit Credited(account, token, amount);
    }

    /// @dev Fees that the work of `host` ever brought in `token`.
    function _feesBroughtBy(address host, address token) internal view returns (uint256) {
        return _ledger[host][token] >> BALANCE_BITS;
    }

    /// @dev Those that nobody has collected.
    function _feesOf(address host, address token) internal view returns (uint256) {
        return _feesBroughtBy(host, token) - _feesCollected[host][token];
    }

    /// @dev Counts them as collected; the caller pays them out.
    function _takeFees(address host, address token) internal returns (uint256 fees) {
        fees = _feesOf(host, token);
        if (fees != 0) _feesCollected[host][token] += fees;
    }

    /// @dev For money a party did not ask for at this moment: pushed if that works, credited otherwise. The credit
    /// after the call is safe behind the guard, and the call has failed as a whole when it is written.
    function _payOrCredit(address account, address token, uint256 amount) internal {
        if (amount == 0) return;
        bool paid = token == NATIVE
            ? BoundedCall.trySendNative(account, amount)
            : BoundedCall.tryTransfer(token, account, amount);
        if (!paid) _credit(account, token, amount, 0);
    }

    /// @dev Takes exactly `amount` from `payer`, who has approved it.
    function _pull(address payer, address token, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(payer, address(this), amount);
        _requireReceived(token, before, amount);
    }

    /// @dev What came in since the balance was `before` is exactly `amount`: no fee on transfer, no lie.
    function _requireReceived(address token, uint256 before, uint256 amount) internal view {
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransferAmount(received, amount);
    }

    /// @dev Takes exactly `amount` from the caller: value it has sent, or a token it has approved.
    function _take(address token, uint256 amount) internal {
        uint256 expected = token == NATIVE ? amount : 0;
        if (msg.value != expected) revert WrongValue(msg.value, expected);
        if (token != NATIVE) _pull(msg.sender, token, amount);
    }

    /// @dev The account's whole balance.
    function _withdraw(address account, address token, address to) private returns (uint256 amount) {
        uint256 packed = _ledger[account][token];
        // The lower half is the account's own.
        // forge-lint: disable-next-line(unsafe-typecast)
        amount = uint128(packed);
        if (amount == 0) revert NothingToWithdraw(account, token);
        _ledger[account][token] = packed - amount;
        emit Withdrawn(account, token, to, amount);
        _send(token, to, amount);
    }

    /// @dev The recipient was chosen by the money's owner, so it gets all the gas there is.
    function _send(address token, address to, uint256 amount) internal {
        // Sent to nobody or to the ledger itself, the money would be lost.
        if (to == address(0) || to == address(this)) revert WithdrawalFailed(to);
        if (token == NATIVE) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert WithdrawalFailed(to);
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }
}
