// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRelayRewards} from "./interfaces/IRelayRewards.sol";
import {Commitment, NodeStatus, RelayNode, SkipReason, Upkeep} from "./interfaces/RelayTypes.sol";
import {RelayTable} from "./libraries/RelayTable.sol";
import {RelayNodes} from "./RelayNodes.sol";

/// @title Commitments, epochs, pots, and what nodes earn of them.
abstract contract RelayRewards is RelayNodes {
    /// @inheritdoc IRelayRewards
    uint40 public constant EPOCH = 1 days;
    /// @inheritdoc IRelayRewards
    /// @dev One large funding then pays nodes for about a month, not those that happen to be live on its day.
    uint96 public constant REWARD_SPREAD = 30;
    /// @inheritdoc IRelayRewards
    uint256 public constant LEAF_SIZE = 256;

    struct EpochRewards {
        uint96 pot;
        uint64 weight;
    }

    mapping(uint40 epoch => EpochRewards) internal _epochs;

    /// @dev The newest two commitments of a node, under the parity of their epoch. A commitment names its epoch, so
    /// an old one left here is never taken for a newer. The node is not part of it: nodes that commit to the same tree
    /// have the same hash here.
    mapping(bytes32 nodeId => bytes32[2]) internal _commitments;

    /// @inheritdoc IRelayRewards
    function fundRewards(uint96 amount) external whenEntryOpen nonReentrant {
        if (amount == 0) revert ZeroAmount();
        _reserve += amount;
        emit RewardsFunded(msg.sender, amount);
        _pull(amount);
    }

    /// @inheritdoc IRelayRewards
    function commitRoots(bytes32[] calldata nodeIds, bytes32[] calldata roots, uint64[] calldata leafCounts)
        external
        returns (uint256 committed)
    {
        if (nodeIds.length != roots.length || nodeIds.length != leafCounts.length) revert LengthMismatch();
        uint40 epoch = currentEpoch();
        for (uint256 i = 0; i < nodeIds.length; ++i) {
            if (_commit(nodeIds[i], Commitment({epoch: epoch, leafCount: leafCounts[i], root: roots[i]}))) ++committed;
        }
        if (committed == 0) revert NothingCommitted();
    }

    /// @inheritdoc IRelayRewards
    function claimRewards(bytes32[] calldata nodeIds) external {
        bool settled = false;
        for (uint256 i = 0; i < nodeIds.length; ++i) {
            Upkeep memory upkeep = _upkeep[nodeIds[i]];
            if (!_settle(nodeIds[i], upkeep)) continue;
            _upkeep[nodeIds[i]] = upkeep;
            settled = true;
        }
        if (!settled) revert NothingToClaim();
    }

    /// @inheritdoc IRelayRewards
    function withdraw(address to) external nonReentrant returns (uint96 amount) {
        Upkeep storage upkeep = _upkeep[nodeOf(msg.sender)];
        amount = _accounts[msg.sender].balance + upkeep.earned;
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        _accounts[msg.sender].balance = 0;
        upkeep.earned = 0;
        emit Withdrawn(msg.sender, to, amount);
        _send(to, amount);
    }

    /// @inheritdoc IRelayRewards
    function balanceOf(address account) external view returns (uint256) {
        return uint256(_accounts[account].balance) + _upkeep[nodeOf(account)].earned;
    }

    /// @inheritdoc IRelayRewards
    function epochRewards(uint40 epoch) external view returns (uint96 pot, uint64 weight) {
        EpochRewards memory rewards = _epochs[epoch];
        return (rewards.pot, rewards.weight);
    }

    /// @inheritdoc IRelayRewards
    function weightOf(bytes32 nodeId) external view returns (uint32) {
        return _weightOf(_nodes[nodeId]);
    }

    /// @inheritdoc IRelayRewards
    function isChallengeable(bytes32 nodeId, Commitment calldata commitment) external view returns (bool) {
        return _isChallengeable(nodeId, commitment, keccak256(abi.encode(commitment)));
    }

    /// @inheritdoc IRelayRewards
    function concentrationBps(uint256 nodesOnMachine) external pure returns (uint256) {
        return RelayTable.concentrationBps(nodesOnMachine);
    }

    /// @inheritdoc IRelayRewards
    function currentEpoch() public view returns (uint40) {
        return uint40(block.timestamp) / EPOCH;
    }

    /// @dev Pays the node's share in the epoch of its newest commitment, if that is over. Changes `upkeep` only in
    /// memory: the caller writes the slot once, with what else it changes.
    function _settle(bytes32 nodeId, Upkeep memory upkeep) internal returns (bool) {
        if (upkeep.weight == 0 || upkeep.epoch >= currentEpoch()) return false;
        EpochRewards storage rewards = _epochs[upkeep.epoch];
        (uint96 pot, uint64 weight) = (rewards.pot, rewards.weight);
        // No more than the pot: the node's weight is part of the epoch's.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 reward = uint96(uint256(pot) * upkeep.weight / weight);
        (rewards.pot, rewards.weight) = (pot - reward, weight - upkeep.weight);
        upkeep.earned += reward;
        upkeep.weight = 0;
        emit RewardSettled(nodeId, upkeep.epoch, reward);
        return true;
    }

    /// @dev Takes a node that missed a challenge out of the epoch that is not over yet.
    function _forfeit(bytes32 nodeId) internal {
        Upkeep storage upkeep = _upkeep[nodeId];
        uint32 lost = upkeep.weight;
        uint40 epoch = upkeep.epoch;
        if (lost == 0 || epoch != currentEpoch()) return;
        upkeep.weight = 0;
        EpochRewards storage rewards = _epochs[epoch];
        uint64 weight = rewards.weight - lost;
        rewards.weight = weight;
        if (weight != 0) return;
        uint96 pot = rewards.pot;
        rewards.pot = 0;
        _reserve += pot;
        emit EpochEmptied(epoch, pot);
    }

    function _isChallengeable(bytes32 nodeId, Commitment calldata commitment, bytes32 commitmentHash)
        internal
        view
        returns (bool)
    {
        return uint256(commitment.epoch) + 1 >= currentEpoch()
            && _commitments[nodeId][commitment.epoch & 1] == commitmentHash;
    }

    function _commit(bytes32 nodeId, Commitment memory commitment) private returns (bool) {
        RelayNode memory node = _nodes[nodeId];
        Upkeep memory upkeep = _upkeep[nodeId];
        if (node.status != NodeStatus.Serving && node.status != NodeStatus.Suspended) {
            return _skip(nodeId, SkipReason.NotServing);
        }
        if (msg.sender != operatorOf(node.machineIdHash) && msg.sender != walletOf(nodeId)) {
            return _skip(nodeId, SkipReason.NotAuthorised);
        }
        // A second root in one epoch would undo the first before anybody could challenge it.
        if (upkeep.epoch == commitment.epoch) return _skip(nodeId, SkipReason.AlreadyCommitted);
        uint256 bytesCovered = uint256(commitment.leafCount) * LEAF_SIZE;
        if (bytesCovered < node.storageBytes || bytesCovered > MAX_STORAGE) {
            return _skip(nodeId, SkipReason.LeafCountOutOfRange);
        }
        _settle(nodeId, upkeep);
        upkeep.epoch = commitment.epoch;
        upkeep.weight = _weightOf(node);
        if (upkeep.weight != 0) _enter(commitment.epoch, upkeep.weight);
        _upkeep[nodeId] = upkeep;
        _commitments[nodeId][commitment.epoch & 1] = keccak256(abi.encode(commitment));
        emit RootCommitted(nodeId, commitment.epoch, commitment.leafCount, commitment.root, upkeep.weight);
        return true;
    }

    function _skip(bytes32 nodeId, SkipReason reason) private returns (bool) {
        emit CommitSkipped(nodeId, reason);
        return false;
    }

    /// @dev Adds a live node to the epoch; the first one opens the pot.
    function _enter(uint40 epoch, uint32 weight) private {
        EpochRewards storage rewards = _epochs[epoch];
        uint64 others = rewards.weight;
        if (others == 0) {
            uint96 pot = _reserve / REWARD_SPREAD;
            _reserve -= pot;
            rewards.pot = pot;
            emit EpochOpened(epoch, pot);
        }
        rewards.weight = others + weight;
    }

    function _weightOf(RelayNode memory node) private view returns (uint32) {
        (uint96 minStake,) = RelayTable.minimums(node.tier);
        if (node.status != NodeStatus.Serving || node.stake < minStake) return 0;
        return RelayTable.weightOf(node.tier, _machineNodes[node.machineIdHash].length);
    }
}
