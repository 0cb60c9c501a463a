// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The ledger that holds every native and ERC-20 balance.
/// @notice Payments are pulled: a credit waits under (account, token) until its owner withdraws it, so that no
/// recipient can block another's close.
interface IPaymentEscrow {
    event Credited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    error NothingToWithdraw(address account, address token);
    error WithdrawalFailed(address to);
    error WrongValue(uint256 sent, uint256 expected);
    error UnexpectedTransferAmount(uint256 received, uint256 expected);

    /// @notice What `account` may withdraw of `token` (zero address: native coin), base units.
    function balanceOf(address account, address token) external view returns (uint256);

    /// @notice Sends the caller's whole balance of `token` to `to`.
    function withdraw(address token, address to) external returns (uint256 amount);

    /// @notice The same for many tokens; reverts as a whole if one has nothing to withdraw.
    function withdrawMany(address[] calldata tokens, address to) external;
}
