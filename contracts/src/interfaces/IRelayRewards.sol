// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Commitment, SkipReason} from "./RelayTypes.sol";

/// @title Daily upkeep and rewards of relay nodes.
/// @notice An epoch is a day, UTC. A node that commits its root in an epoch is live in it and has a share in its pot:
/// the tier's weight, less what sharing a machine costs, by all live nodes' weights. A node that is suspended or below
/// its tier's stake may commit and earns nothing.
///
/// Money for rewards waits in one reserve. The first commitment of an epoch that earns takes a REWARD_SPREADth of it
/// as the epoch's pot; so an epoch in which nobody is live leaves everything to the next, and what is funded on one day
/// reaches nodes over many. Slashed stake and the bonds of challenges that lapse go to the reserve too.
///
/// Of a pot each node gets its weight's share of what is left, rounded down, when it is settled; the last to be
/// settled gets the rest, so no dust stays. A reserve below REWARD_SPREAD base units waits for the next funding.
/// @dev What a root proves, once challenged: that the node had the sampled leaves of the tree it committed to. The tree
/// has at least one leaf for every 256 bytes that the node promised; what users do not fill yet, the node fills with
/// leaves of its own. What it does not prove:
/// - that the leaves are users' data. A node chooses its tree, even one of equal leaves, which it can answer for
///   without a disk. Users and hubs have to see their data under the root, and filler made the way they agreed on.
/// - a disk of the node's own: two nodes can answer from one copy (`sharedTraits` shows equal commitments).
/// - that filler is kept and not made anew for each answer.
interface IRelayRewards {
    event RewardsFunded(address indexed payer, uint96 amount);
    event EpochOpened(uint40 indexed epoch, uint96 pot);
    /// The last live node of the epoch was slashed: its pot is back in the reserve.
    event EpochEmptied(uint40 indexed epoch, uint96 pot);
    event RootCommitted(bytes32 indexed nodeId, uint40 indexed epoch, uint64 leafCount, bytes32 root, uint32 weight);
    event CommitSkipped(bytes32 indexed nodeId, SkipReason reason);
    event RewardSettled(bytes32 indexed nodeId, uint40 indexed epoch, uint96 amount);
    event Credited(address indexed account, uint96 amount);
    event Withdrawn(address indexed account, address indexed to, uint96 amount);

    error LengthMismatch();
    error NothingCommitted();
    error NothingToClaim();
    error NothingToWithdraw(address account);

    /// @notice Adds to the reserve, by the caller's allowance. Anyone may.
    function fundRewards(uint96 amount) external;

    /// @notice Daily upkeep: commits one root per node for the current epoch, once per node and epoch, by its wallet
    /// or its machine's operator. Rewards of the node's epoch before are settled on the way. A node that cannot be
    /// taken is left out with an event; the call reverts only if all are.
    /// @param leafCounts Leaves of 256 bytes under each root: at least the node's storage, at most MAX_STORAGE.
    /// @return committed How many were taken.
    function commitRoots(bytes32[] calldata nodeIds, bytes32[] calldata roots, uint64[] calldata leafCounts)
        external
        returns (uint256 committed);

    /// @notice Settles what nodes earned in the epoch of their newest commitment, once it is over. Anyone may; a node
    /// that commits daily needs this only when it leaves or wants its money before the next commitment. A node has at
    /// most one epoch to settle. Reverts if none of them has.
    function claimRewards(bytes32[] calldata nodeIds) external;

    /// @notice Sends `to` all that the caller has: rewards of its node, bonds and bounties.
    function withdraw(address to) external returns (uint96 amount);

    /// @notice What `withdraw` would pay the account now, base units.
    function balanceOf(address account) external view returns (uint256);
    /// @notice What is left of an epoch's pot, and the weights it is left for.
    function epochRewards(uint40 epoch) external view returns (uint96 pot, uint64 weight);
    function rewardReserve() external view returns (uint96);
    function currentEpoch() external view returns (uint40);
    /// @notice Weight the node would have if it committed now.
    function weightOf(bytes32 nodeId) external view returns (uint32);
    /// @notice Whether a challenge on this commitment could be opened: made in this epoch or the one before.
    function isChallengeable(bytes32 nodeId, Commitment calldata commitment) external view returns (bool);
    /// @notice Basis points of weight that each of so many nodes on one machine keeps.
    function concentrationBps(uint256 nodesOnMachine) external pure returns (uint256);

    /// Seconds.
    function EPOCH() external view returns (uint40);
    function REWARD_SPREAD() external view returns (uint96);
    /// Bytes.
    function LEAF_SIZE() external view returns (uint256);
}
