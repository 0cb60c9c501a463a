// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The protocol fee: its rate, who may collect it.
/// @notice A fee waits in the ledger beside the earnings of the host whose session brought it, so that a close
/// writes one slot for both. It is collected host by host; SessionClosed events name the hosts.
interface IProtocolFee {
    event FeeBpsSet(uint16 feeBps);
    event FeeRecipientSet(address indexed recipient);
    event FeesWithdrawn(address indexed host, address indexed token, address indexed to, uint256 amount);

    error ZeroAddress();
    error NotFeeRecipient(address caller);

    /// @notice Owner only; at most MAX_FEE_BPS. Sessions already open keep the rate they were opened with.
    function setFeeBps(uint16 feeBps) external;

    /// @notice Owner only. The new recipient also collects what was earned before.
    function setFeeRecipient(address recipient) external;

    /// @notice Fee recipient only: sends to `to` the fees that the sessions of these hosts brought in `token` (zero
    /// address: native coin). A host without fees is skipped; reverts if there are none at all.
    function withdrawFees(address token, address[] calldata hosts, address to) external returns (uint256 amount);

    /// @notice Fees of one host's sessions in `token`, base units, not yet collected.
    function feesOf(address host, address token) external view returns (uint256);

    function feeRecipient() external view returns (address);
}
