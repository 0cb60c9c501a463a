// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title How holders of FAB decide.
/// @notice Propose, wait, vote, queue, wait in the timelock, execute. The functions are those of OpenZeppelin's Governor
/// with simple counting: for, against, abstain; for and abstain make up the quorum. Votes count as they were delegated
/// when the vote began, so tokens that are bought, borrowed or delegated later do not.
/// @dev All times are seconds. A proposer may cancel its proposal until the vote begins; later nobody may.
///
/// Worst cases:
/// - Whoever holds most of what votes decides everything that is the timelock's: fees under their cap, models, circuits,
///   guardians, disputes of jobs that name no arbiter, appeals of slashed hosts. So it can give the price of a disputed
///   job to either party and let a guilty host go. It cannot touch any other deposit, a stake or an exit, for the
///   timelock cannot.
/// - A decision takes at most MAX_VOTING_DELAY + MAX_VOTING_PERIOD + MAX_LATE_QUORUM_EXTENSION and the timelock's delay,
///   13 days, whatever settings were voted for: less than the pause's cooldown (IEntryPause).
/// - Settings stay within bounds in which a later vote can still change them back.
interface IGovernance {
    error SettingOutOfRange(uint256 value, uint256 minimum, uint256 maximum);
    error NotProposer(address timelock);
    error WrongClock(string mode);
    error TimelockFixed();

    /// Seconds.
    function MAX_VOTING_DELAY() external view returns (uint256);
    /// Seconds.
    function MIN_VOTING_PERIOD() external view returns (uint256);
    /// Seconds.
    function MAX_VOTING_PERIOD() external view returns (uint256);
    /// Seconds by which a vote is prolonged at most, if its quorum comes late.
    function MAX_LATE_QUORUM_EXTENSION() external view returns (uint256);
    /// FAB, base units (18 decimals).
    function MAX_PROPOSAL_THRESHOLD() external view returns (uint256);
    /// Percent of the supply.
    function MIN_QUORUM() external view returns (uint256);
    /// Percent of the supply.
    function MAX_QUORUM() external view returns (uint256);
}
