// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBaseAccountIntegration, Policy} from "./interfaces/IBaseAccountIntegration.sol";
import {MarketplaceCalls} from "./libraries/MarketplaceCalls.sol";

/// @title Sponsors' balances, policies and earnings, and accounts' credits.
/// @dev Native coin lies in the EntryPoint, whose deposit of this contract is never below the sum of all balances.
/// Each token's credits and earnings together are what this contract holds of it. Effects come before every call, so
/// there is no guard: whoever is called finds the books closed.
abstract contract SponsorLedger is IBaseAccountIntegration {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @inheritdoc IBaseAccountIntegration
    address public immutable ENTRY_POINT;

    /// @dev One slot, written twice by every operation.
    struct Sponsor {
        uint96 balance;
        uint96 spent;
        /// The day that `spent` is of.
        uint32 day;
    }

    /// @dev One slot per sponsor and account. A new day overwrites the old, so a limit costs the same however many
    /// operations it has seen.
    struct Usage {
        uint96 spent;
        uint32 day;
    }

    /// What a sponsor's earnings saw in this transaction: an operation that is not settled yet, or their withdrawal.
    uint256 private constant IN_FLIGHT = 1;
    uint256 private constant TAKEN = 2;

    mapping(address sponsor => Sponsor) internal _sponsors;
    mapping(address sponsor => Policy) internal _policies;
    mapping(address sponsor => mapping(address account => Usage)) internal _usages;
    mapping(address account => mapping(address token => uint256)) internal _credits;
    mapping(address sponsor => mapping(address token => uint256)) internal _earnings;

    constructor(address entryPoint) {
        if (entryPoint == address(0)) revert ZeroAddress();
        ENTRY_POINT = entryPoint;
    }

    /// @inheritdoc IBaseAccountIntegration
    function fund(address sponsor) external payable {
        if (msg.value == 0) revert ZeroAmount();
        _sponsors[sponsor].balance += msg.value.toUint96();
        emit SponsorFunded(sponsor, msg.sender, msg.value);
        IEntryPoint(ENTRY_POINT).depositTo{value: msg.value}(address(this));
    }

    /// @inheritdoc IBaseAccountIntegration
    function withdraw(uint256 amount, address payable to) external {
        if (to == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();
        uint96 balance = _sponsors[msg.sender].balance;
        if (amount > balance) revert BalanceTooLow(amount, balance);
        // No more than the balance.
        // forge-lint: disable-next-line(unsafe-typecast)
        _sponsors[msg.sender].balance = balance - uint96(amount);
        emit SponsorWithdrawn(msg.sender, to, amount);
        IEntryPoint(ENTRY_POINT).withdrawTo(to, amount);
    }

    /// @inheritdoc IBaseAccountIntegration
    function setPolicy(Policy calldata policy) external {
        if (policy.calls > MarketplaceCalls.ALL) revert InvalidCalls(policy.calls);
        if ((policy.token == address(0)) != (policy.price == 0)) revert InvalidPrice(policy.token, policy.price);
        _policies[msg.sender] = policy;
        emit PolicySet(msg.sender, policy);
    }

    /// @inheritdoc IBaseAccountIntegration
    function creditFor(address account, address token, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        _credits[account][token] += amount;
        emit Credited(account, token, msg.sender, amount);
        _pull(msg.sender, token, amount);
    }

    /// @inheritdoc IBaseAccountIntegration
    function withdrawCredit(address token, address to) external returns (uint256 amount) {
        amount = _credits[msg.sender][token];
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);
        _credits[msg.sender][token] = 0;
        emit CreditWithdrawn(msg.sender, token, to, amount);
        _send(token, to, amount);
    }

    /// @inheritdoc IBaseAccountIntegration
    function withdrawEarnings(address token, address to) external returns (uint256 amount) {
        if (_seenBy(msg.sender) == IN_FLIGHT) revert OperationInFlight(msg.sender);
        amount = _earnings[msg.sender][token];
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);
        _earnings[msg.sender][token] = 0;
        _mark(msg.sender, TAKEN);
        emit EarningsWithdrawn(msg.sender, token, to, amount);
        _send(token, to, amount);
    }

    /// @inheritdoc IBaseAccountIntegration
    function balanceOf(address sponsor) external view returns (uint256) {
        return _sponsors[sponsor].balance;
    }

    /// @inheritdoc IBaseAccountIntegration
    function policyOf(address sponsor) external view returns (Policy memory) {
        return _policies[sponsor];
    }

    /// @inheritdoc IBaseAccountIntegration
    function spentOf(address sponsor, uint32 day) external view returns (uint256) {
        Sponsor memory stored = _sponsors[sponsor];
        return stored.day == day ? stored.spent : 0;
    }

    /// @inheritdoc IBaseAccountIntegration
    function spentBy(address sponsor, address account, uint32 day) external view returns (uint256) {
        Usage memory usage = _usages[sponsor][account];
        return usage.day == day ? usage.spent : 0;
    }

    /// @inheritdoc IBaseAccountIntegration
    function creditOf(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    /// @inheritdoc IBaseAccountIntegration
    function earningsOf(address sponsor, address token) external view returns (uint256) {
        return _earnings[sponsor][token];
    }

    /// @dev Sets a cost aside: out of the balance, and onto the day.
    function _reserve(address sponsor, address account, uint32 day, uint256 cost, Policy memory policy) internal {
        Usage memory usage = _usages[sponsor][account];
        uint256 spent = (usage.day == day ? usage.spent : 0) + cost;
        if (spent > policy.dailyPerUser) revert UserLimitExceeded(spent, policy.dailyPerUser);
        Sponsor memory stored = _sponsors[sponsor];
        uint256 total = (stored.day == day ? stored.spent : 0) + cost;
        if (total > policy.dailyTotal) revert TotalLimitExceeded(total, policy.dailyTotal);
        if (cost > stored.balance) revert BalanceTooLow(cost, stored.balance);
        // Each is within a limit of 96 bits.
        // forge-lint: disable-start(unsafe-typecast)
        _usages[sponsor][account] = Usage({spent: uint96(spent), day: day});
        _sponsors[sponsor] = Sponsor({balance: stored.balance - uint96(cost), spent: uint96(total), day: day});
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev Gives back what an operation did not use of its reserve, in the transaction that set it aside, so that
    /// the day is still the same.
    function _release(address sponsor, address account, uint96 unused) internal {
        Sponsor memory stored = _sponsors[sponsor];
        stored.balance += unused;
        stored.spent -= unused;
        _sponsors[sponsor] = stored;
        _usages[sponsor][account].spent -= unused;
    }

    /// @dev Takes a charge from the account's credit and then by allowance. One base unit of the credit is left
    /// where there is any: a slot that stays above zero costs the next operation 17,000 gas less.
    ///
    /// Earnings only grow in a transaction with operations. Settling one writes a slot that is then never what it was
    /// when the transaction began, which costs 100 gas and not 2,900; `postOp` counts on that.
    function _takeCharge(address sponsor, address account, address token, uint256 charge) internal {
        if (_seenBy(sponsor) == TAKEN) revert EarningsTaken(sponsor);
        uint256 credit = _credits[account][token];
        uint256 usable = credit == 0 ? 0 : credit - 1;
        uint256 fromCredit = charge < usable ? charge : usable;
        if (fromCredit != 0) _credits[account][token] = credit - fromCredit;
        _earnings[sponsor][token] += charge;
        _mark(sponsor, IN_FLIGHT);
        if (fromCredit != charge) _pull(account, token, charge - fromCredit);
    }

    /// @dev Gives the unused part of a charge back. The earnings hold it, as nobody can take them in this transaction.
    function _returnCharge(address sponsor, address account, address token, uint256 unused) internal {
        _earnings[sponsor][token] -= unused;
        _credits[account][token] += unused;
    }

    /// @dev Takes exactly `amount` from `payer`, who has approved it.
    function _pull(address payer, address token, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(payer, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransferAmount(received, amount);
    }

    function _send(address token, address to, uint256 amount) private {
        if (to == address(0) || to == address(this)) revert ZeroAddress();
        IERC20(token).safeTransfer(to, amount);
    }

    /// @dev Ends with the transaction, whatever became of the operation.
    function _mark(address sponsor, uint256 seen) private {
        assembly ("memory-safe") {
            tstore(sponsor, seen)
        }
    }

    function _seenBy(address sponsor) private view returns (uint256 seen) {
        assembly ("memory-safe") {
            seen := tload(sponsor)
        }
    }
}
