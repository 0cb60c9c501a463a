// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EntryPause} from "./EntryPause.sol";
import {IRelayManager} from "./interfaces/IRelayManager.sol";
import {IRelayNodes} from "./interfaces/IRelayNodes.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {NodeSignals, NodeStatus, RelayNode, SharedTraits, Upkeep} from "./interfaces/RelayTypes.sol";
import {RelayChallenges} from "./RelayChallenges.sol";
import {RelayLedger} from "./RelayLedger.sol";

/// @title Relay nodes of fleets.
/// @dev One contract in five files, each the base of the next: RelayLedger (the token), RelayNodes (who is there, and
/// on which machine), RelayRewards (commitments and pots), RelayChallenges, and this one: how a node leaves, what the
/// owner can do, and what tells many nodes of one owner apart from many owners.
contract RelayManager is RelayChallenges, Ownable2Step, IVersioned {
    /// @inheritdoc IRelayNodes
    /// @dev Two epochs in which a last commitment can be challenged, the time to answer, and days to spare.
    uint40 public constant UNBONDING_DELAY = 7 days;

    /// @param owner_ Meant to be a timelock behind token governance.
    constructor(IERC20 stakeToken, address owner_, address circuitBreaker)
        RelayLedger(stakeToken)
        EntryPause(circuitBreaker)
        Ownable(owner_)
    {}

    /// @inheritdoc IRelayNodes
    function setMachineCap(uint8 cap) external onlyOwner {
        if (cap == 0 || cap > MAX_MACHINE_CAP) revert MachineCapOutOfRange(cap, MAX_MACHINE_CAP);
        machineCap = cap;
        emit MachineCapSet(cap);
    }

    /// @inheritdoc IRelayNodes
    function startUnbonding(bytes32 nodeId) external onlyWallet(nodeId) {
        RelayNode storage node = _active(nodeId);
        uint40 unbondsAt = uint40(block.timestamp) + UNBONDING_DELAY;
        _leave(nodeId);
        delete node.machineIdHash;
        node.unbondsAt = unbondsAt;
        node.status = NodeStatus.Unbonding;
        emit UnbondingStarted(nodeId, unbondsAt);
    }

    /// @inheritdoc IRelayNodes
    function withdrawStake(bytes32 nodeId, address to) external nonReentrant onlyWallet(nodeId) {
        RelayNode storage node = _nodes[nodeId];
        if (node.status != NodeStatus.Unbonding) revert NotUnbonding(nodeId);
        if (block.timestamp < node.unbondsAt) revert StillUnbonding(node.unbondsAt);
        _endChallenge(nodeId);
        Upkeep memory upkeep = _upkeep[nodeId];
        _settle(nodeId, upkeep);
        uint96 stake = node.stake;
        node.stake = 0;
        node.status = NodeStatus.Exited;
        delete _upkeep[nodeId];
        delete endpointHash[nodeId];
        delete _accounts[msg.sender].nodePrefix;
        delete _accounts[msg.sender].hasNode;
        emit StakeWithdrawn(nodeId, to, stake, upkeep.earned);
        _send(to, stake + upkeep.earned);
    }

    /// @inheritdoc IRelayManager
    function signalsOf(bytes32 nodeId) external view returns (NodeSignals memory signals) {
        bytes32 machineIdHash = _nodes[nodeId].machineIdHash;
        bytes32[] storage list = _machineNodes[machineIdHash];
        signals.machineNodes = list.length;
        signals.operatorNodes = operatorNodeCount[operatorOf(machineIdHash)];
        signals.nodeWeight = _liveWeight(nodeId);
        for (uint256 i = 0; i < list.length; ++i) {
            signals.machineWeight += _liveWeight(list[i]);
        }
        signals.totalWeight = _epochs[currentEpoch()].weight;
    }

    /// @inheritdoc IRelayManager
    function sharedTraits(bytes32 nodeId, bytes32[] calldata others)
        external
        view
        returns (SharedTraits memory shared)
    {
        bytes32 machineIdHash = _nodes[nodeId].machineIdHash;
        bytes32 commitment = _newestCommitment(nodeId);
        for (uint256 i = 0; i < others.length; ++i) {
            bytes32 other = others[i];
            if (other == nodeId) continue;
            bytes32 otherMachine = _nodes[other].machineIdHash;
            if (otherMachine != 0 && otherMachine == machineIdHash) ++shared.machine;
            if (otherMachine != 0 && operatorOf(otherMachine) == operatorOf(machineIdHash)) ++shared.operator;
            if (commitment != 0 && _newestCommitment(other) == commitment) ++shared.commitment;
            if (endpointHash[other] != 0 && endpointHash[other] == endpointHash[nodeId]) ++shared.endpoint;
        }
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.RelayManager.v1");
    }

    function _liveWeight(bytes32 nodeId) private view returns (uint32) {
        Upkeep memory upkeep = _upkeep[nodeId];
        return upkeep.epoch == currentEpoch() ? upkeep.weight : 0;
    }

    function _newestCommitment(bytes32 nodeId) private view returns (bytes32) {
        uint40 epoch = _upkeep[nodeId].epoch;
        // A node that has gone leaves its hashes here, and nothing that says which of them was the newest.
        return epoch == 0 ? bytes32(0) : _commitments[nodeId][epoch & 1];
    }
}
