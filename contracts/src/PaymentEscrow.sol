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

    mapping(address account => mapping(address token => uint256)) private _balances;

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
        return _balances[account][token];
    }

    function _credit(address account, address token, uint256 amount) internal {
        if (amount == 0) return;
        _balances[account][token] += amount;
        emit Credited(account, token, amount);
    }

    /// @dev For money a party did not ask for at this moment: pushed if that works, credited otherwise. The credit
    /// after the call is safe behind the guard, and the call has failed as a whole when it is written.
    function _payOrCredit(address account, address token, uint256 amount) internal {
        if (amount == 0) return;
        bool paid = token == NATIVE
            ? BoundedCall.trySendNative(account, amount)
            : BoundedCall.tryTransfer(token, account, amount);
        if (!paid) _credit(account, token, amount);
    }

    /// @dev Takes exactly `amount` from `payer`, who has approved it.
    function _pull(address payer, address token, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(payer, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransferAmount(received, amount);
    }

    /// @dev The account's whole balance. The recipient was chosen by its owner, so it gets all the gas there is.
    function _withdraw(address account, address token, address to) internal returns (uint256 amount) {
        amount = _balances[account][token];
        if (amount == 0) revert NothingToWithdraw(account, token);
        // Sent to nobody or to the ledger itself, the money would be lost.
        if (to == address(0) || to == address(this)) revert WithdrawalFailed(to);
        _balances[account][token] = 0;
        emit Withdrawn(account, token, to, amount);
        if (token == NATIVE) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert WithdrawalFailed(to);
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }
}
