// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC6372} from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import {IGovernance} from "./interfaces/IGovernance.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title The governor over FAB and the timelock.
contract Governance is
    IGovernance,
    IVersioned,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorTimelockControl
{
    /// @inheritdoc IGovernance
    uint256 public constant MAX_VOTING_DELAY = 2 days;
    /// @inheritdoc IGovernance
    /// @dev A holder who is away for a day must not miss a vote.
    uint256 public constant MIN_VOTING_PERIOD = 2 days;
    /// @inheritdoc IGovernance
    uint256 public constant MAX_VOTING_PERIOD = 7 days;
    /// @inheritdoc IGovernance
    uint256 public constant MAX_LATE_QUORUM_EXTENSION = 2 days;
    /// @inheritdoc IGovernance
    /// @dev One percent of the supply.
    uint256 public constant MAX_PROPOSAL_THRESHOLD = 10_000_000e18;
    /// @inheritdoc IGovernance
    /// @dev Twice the highest threshold, so that what makes a proposal never decides it alone.
    uint256 public constant MIN_QUORUM = 2;
    /// @inheritdoc IGovernance
    /// @dev A quorum that nobody reaches could never be lowered again.
    uint256 public constant MAX_QUORUM = 20;

    /// @dev One day to see a proposal and delegate before votes are counted as they stand.
    uint48 private constant INITIAL_VOTING_DELAY = 1 days;
    /// @dev Spans a weekend.
    uint32 private constant INITIAL_VOTING_PERIOD = 5 days;
    /// @dev A thousandth of the supply: proposals cost readers time.
    uint256 private constant INITIAL_PROPOSAL_THRESHOLD = 1_000_000e18;
    uint256 private constant INITIAL_QUORUM = 4;
    /// @dev Time to answer whoever makes up the quorum in the last second.
    uint48 private constant INITIAL_LATE_QUORUM_EXTENSION = 2 days;

    /// @param token Must date votes by timestamps.
    /// @param timelock_ Must have been deployed with this contract's address as its governor.
    constructor(IVotes token, TimelockController timelock_)
        Governor("Capstan")
        GovernorSettings(INITIAL_VOTING_DELAY, INITIAL_VOTING_PERIOD, INITIAL_PROPOSAL_THRESHOLD)
        GovernorVotes(token)
        GovernorVotesQuorumFraction(INITIAL_QUORUM)
        GovernorPreventLateQuorum(INITIAL_LATE_QUORUM_EXTENSION)
        GovernorTimelockControl(timelock_)
    {
        string memory mode = IERC6372(address(token)).CLOCK_MODE();
        if (keccak256(bytes(mode)) != keccak256("mode=timestamp")) revert WrongClock(mode);
        if (!timelock_.hasRole(timelock_.PROPOSER_ROLE(), address(this))) revert NotProposer(address(timelock_));
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.Governance.v1");
    }

    /// @inheritdoc GovernorTimelockControl
    /// @dev Refused whoever asks: what the old timelock owns would be nobody's. Ownership can be moved by proposal, and
    /// the timelock can be given another governor.
    function updateTimelock(TimelockController) public pure override {
        revert TimelockFixed();
    }

    function state(uint256 proposalId) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalDeadline(uint256 proposalId)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _setVotingDelay(uint48 newVotingDelay) internal override {
        _requireWithin(newVotingDelay, 0, MAX_VOTING_DELAY);
        super._setVotingDelay(newVotingDelay);
    }

    function _setVotingPeriod(uint32 newVotingPeriod) internal override {
        _requireWithin(newVotingPeriod, MIN_VOTING_PERIOD, MAX_VOTING_PERIOD);
        super._setVotingPeriod(newVotingPeriod);
    }

    function _setProposalThreshold(uint256 newProposalThreshold) internal override {
        _requireWithin(newProposalThreshold, 0, MAX_PROPOSAL_THRESHOLD);
        super._setProposalThreshold(newProposalThreshold);
    }

    function _updateQuorumNumerator(uint256 newQuorumNumerator) internal override {
        _requireWithin(newQuorumNumerator, MIN_QUORUM, MAX_QUORUM);
        super._updateQuorumNumerator(newQuorumNumerator);
    }

    function _setLateQuorumVoteExtension(uint48 newVoteExtension) internal override {
        _requireWithin(newVoteExtension, 0, MAX_LATE_QUORUM_EXTENSION);
        super._setLateQuorumVoteExtension(newVoteExtension);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }

    function _requireWithin(uint256 value, uint256 minimum, uint256 maximum) private pure {
        if (value < minimum || value > maximum) revert SettingOutOfRange(value, minimum, maximum);
    }
}
