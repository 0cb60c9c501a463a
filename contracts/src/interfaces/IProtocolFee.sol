// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The protocol fee: its rate, who may collect it.
/// @notice A fee waits in the ledger beside the earnings of the host whose work brought it, so that a close
/// writes one slot for both. It is collected host by host; SessionClosed and JobClosed events name the hosts.
interface IProtocolFee {
    event FeeBpsSet(uint16 feeBps);
    event FeeRecipientSet(address indexed recipient);
    event FeesWithdrawn(address indexed host, address indexed token, address indexed to, uint256 amount);

    error FeeAboveCap(uint16 feeBps, uint16 cap);
    error ZeroAddress();
    error NotFeeRecipient(address caller);

    /// @notice Owner only; at most MAX_FEE_BPS. Sessions already open keep the rate they were opened with.
    function setFeeBps(uint16 feeBps) external;

    /// @notice Owner only. The new recipient also collects what was earned before.
    function setFeeRecipient(address recipient) external;

    /// @notice Fee recipient only: sends to `to` the fees that the work of these hosts brought in `token` (zero
    /// address: native coin). A host without fees is skipped; reverts if there are none at all.
    function withdrawFees(address token, address[] calldata hosts, address to) external returns (uint256 amount);

    /// @notice Fees that one host's sessions and jobs brought in `token`, base units, not yet collected.
    function feesOf(address host, address token) external view returns (uint256);

    /// @notice All fees that the work of `host` ever brought in `token`, base units, collected or not. Never falls.
    function feesBroughtBy(address host, address token) external view returns (uint256);

    function feeRecipient() external view returns (address);

    /// Upper bound of the protocol fee, basis points.
    function MAX_FEE_BPS() external view returns (uint16);
    /// Protocol fee of sessions opened and jobs posted from now on, basis points of the host's amount, rounded down.
    function feeBps() external view returns (uint16);
}
