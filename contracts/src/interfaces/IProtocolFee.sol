// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The protocol fee: its rate, who may collect it.
/// @notice Fees wait in the ledger under the marketplace's own address: `balanceOf(marketplace, token)`. So a close
/// reads no recipient, and a new recipient collects what was earned before it.
interface IProtocolFee {
    event FeeBpsSet(uint16 feeBps);
    event FeeRecipientSet(address indexed recipient);

    error ZeroAddress();
    error NotFeeRecipient(address caller);

    /// @notice Owner only; at most MAX_FEE_BPS. Sessions already open keep the rate they were opened with.
    function setFeeBps(uint16 feeBps) external;

    /// @notice Owner only.
    function setFeeRecipient(address recipient) external;

    /// @notice Fee recipient only: sends all fees collected in `token` (zero address: native coin) to `to`.
    function withdrawFees(address token, address to) external returns (uint256 amount);

    function feeRecipient() external view returns (address);
}
