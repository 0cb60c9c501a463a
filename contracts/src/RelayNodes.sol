// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EntryPause} from "./EntryPause.sol";
import {IRelayNodes} from "./interfaces/IRelayNodes.sol";
import {NodeStatus, RelayNode, Tier, Upkeep} from "./interfaces/RelayTypes.sol";
import {RelayTable} from "./libraries/RelayTable.sol";
import {RelayLedger} from "./RelayLedger.sol";

/// @title Registration, machines, endpoints, stake that comes in.
abstract contract RelayNodes is RelayLedger, EntryPause {
    /// @inheritdoc IRelayNodes
    uint8 public constant MAX_MACHINE_CAP = 100;
    /// @inheritdoc IRelayNodes
    /// @dev Any public URL fits; what every reader of the event has to carry stays small.
    uint256 public constant MAX_ENDPOINT = 256;
    /// @inheritdoc IRelayNodes
    /// @dev 1,024 GB: a tree of depth 32, whose proof still fits a transaction easily.
    uint64 public constant MAX_STORAGE = 1024 * RelayTable.GB;
    /// @inheritdoc IRelayNodes
    /// @dev Long enough that nobody moves from machine to machine for each day's weight.
    uint40 public constant MIGRATION_COOLDOWN = 7 days;

    /// @inheritdoc IRelayNodes
    uint8 public machineCap = 10;

    mapping(bytes32 nodeId => RelayNode) internal _nodes;
    mapping(bytes32 nodeId => Upkeep) internal _upkeep;
    mapping(bytes32 machineIdHash => bytes32[]) internal _machineNodes;

    /// @inheritdoc IRelayNodes
    mapping(address operator => uint256) public operatorNodeCount;
    /// @inheritdoc IRelayNodes
    mapping(bytes32 machineIdHash => mapping(address wallet => bool)) public isApproved;
    /// @inheritdoc IRelayNodes
    mapping(bytes32 nodeId => bytes32) public endpointHash;

    modifier onlyWallet(bytes32 nodeId) {
        if (walletOf(nodeId) != msg.sender) revert ForeignNodeId(nodeId, msg.sender);
        _;
    }

    /// @inheritdoc IRelayNodes
    function registerNodeWithId(
        bytes32 nodeId,
        bytes32 machineIdHash,
        Tier tier,
        uint64 storageBytes,
        string calldata endpoint
    ) external whenEntryOpen nonReentrant onlyWallet(nodeId) {
        if (_nodes[nodeId].status != NodeStatus.None) revert NodeIdUsed(nodeId);
        if (_accounts[msg.sender].hasNode) revert WalletHasNode(msg.sender, nodeOf(msg.sender));
        _checkStorage(tier, storageBytes);

        (uint96 stake,) = RelayTable.minimums(tier);
        // The rest of the id is the wallet.
        // forge-lint: disable-next-line(unsafe-typecast)
        _accounts[msg.sender].nodePrefix = bytes12(nodeId);
        _accounts[msg.sender].hasNode = true;
        RelayNode storage node = _nodes[nodeId];
        node.stake = stake;
        node.storageBytes = storageBytes;
        node.tier = tier;
        node.status = NodeStatus.Serving;
        emit NodeRegistered(nodeId, machineIdHash, tier, storageBytes, stake);
        _join(nodeId, machineIdHash);
        _announce(nodeId, endpoint);
        _pull(stake);
    }

    /// @inheritdoc IRelayNodes
    function approveNodes(bytes32 machineIdHash, address[] calldata wallets, bool approved) external {
        if (operatorOf(machineIdHash) != msg.sender) revert NotOperator(machineIdHash, msg.sender);
        for (uint256 i = 0; i < wallets.length; ++i) {
            isApproved[machineIdHash][wallets[i]] = approved;
            emit ApprovalSet(machineIdHash, wallets[i], approved);
        }
    }

    /// @inheritdoc IRelayNodes
    function updateEndpoint(bytes32 nodeId, string calldata endpoint) external onlyWallet(nodeId) {
        _active(nodeId);
        _announce(nodeId, endpoint);
    }

    /// @inheritdoc IRelayNodes
    function migrateMachine(bytes32 nodeId, bytes32 newMachineIdHash) external onlyWallet(nodeId) {
        bytes32 oldMachine = _active(nodeId).machineIdHash;
        if (oldMachine == newMachineIdHash) revert SameMachine(oldMachine);
        uint40 until = _upkeep[nodeId].movedAt + MIGRATION_COOLDOWN;
        if (block.timestamp < until) revert MigrationCooldown(until);
        _leave(nodeId);
        emit MachineMigrated(nodeId, oldMachine, newMachineIdHash);
        _join(nodeId, newMachineIdHash);
    }

    /// @inheritdoc IRelayNodes
    function changeTier(bytes32 nodeId, Tier tier, uint64 storageBytes)
        external
        whenEntryOpen
        nonReentrant
        onlyWallet(nodeId)
    {
        RelayNode storage node = _active(nodeId);
        if (tier < node.tier) revert TierLowered(node.tier, tier);
        _checkStorage(tier, storageBytes);
        node.tier = tier;
        node.storageBytes = storageBytes;
        emit TierChanged(nodeId, tier, storageBytes);
        (uint96 minStake,) = RelayTable.minimums(tier);
        if (node.stake < minStake) _addStake(nodeId, node, minStake - node.stake);
    }

    /// @inheritdoc IRelayNodes
    function addStake(bytes32 nodeId, uint96 amount) external whenEntryOpen nonReentrant {
        if (amount == 0) revert ZeroAmount();
        _addStake(nodeId, _active(nodeId), amount);
    }

    /// @inheritdoc IRelayNodes
    function getNode(bytes32 nodeId) external view returns (RelayNode memory) {
        return _nodes[nodeId];
    }

    /// @inheritdoc IRelayNodes
    function getUpkeep(bytes32 nodeId) external view returns (Upkeep memory) {
        return _upkeep[nodeId];
    }

    /// @inheritdoc IRelayNodes
    function machineNodeIds(bytes32 machineIdHash) external view returns (bytes32[] memory) {
        return _machineNodes[machineIdHash];
    }

    /// @inheritdoc IRelayNodes
    function tierTerms(Tier tier) external pure returns (uint96 minStake, uint64 minStorage, uint32 weight) {
        (minStake, minStorage) = RelayTable.minimums(tier);
        weight = RelayTable.weightOf(tier, 1);
    }

    /// @inheritdoc IRelayNodes
    function nodeOf(address wallet) public view returns (bytes32 nodeId) {
        Account memory account = _accounts[wallet];
        return account.hasNode ? bytes32(account.nodePrefix) | bytes32(uint256(uint160(wallet))) : bytes32(0);
    }

    /// @inheritdoc IRelayNodes
    function walletOf(bytes32 nodeId) public pure returns (address) {
        return address(uint160(uint256(nodeId)));
    }

    /// @inheritdoc IRelayNodes
    function operatorOf(bytes32 machineIdHash) public pure returns (address) {
        return address(uint160(uint256(machineIdHash)));
    }

    /// @dev Takes the node off its machine; the last of the list takes its place.
    function _leave(bytes32 nodeId) internal {
        bytes32 machineIdHash = _nodes[nodeId].machineIdHash;
        bytes32[] storage list = _machineNodes[machineIdHash];
        uint8 index = _upkeep[nodeId].machineIndex;
        bytes32 last = list[list.length - 1];
        list[index] = last;
        _upkeep[last].machineIndex = index;
        list.pop();
        operatorNodeCount[operatorOf(machineIdHash)] -= 1;
    }

    /// @dev A node that is on a machine, whether it earns or is suspended.
    function _active(bytes32 nodeId) internal view returns (RelayNode storage node) {
        node = _nodes[nodeId];
        if (node.status != NodeStatus.Serving && node.status != NodeStatus.Suspended) revert NotActive(nodeId);
    }

    function _join(bytes32 nodeId, bytes32 machineIdHash) private {
        address operator = operatorOf(machineIdHash);
        if (operator != msg.sender) {
            if (!isApproved[machineIdHash][msg.sender]) revert NotApproved(machineIdHash, msg.sender);
            delete isApproved[machineIdHash][msg.sender];
        }
        bytes32[] storage list = _machineNodes[machineIdHash];
        uint256 index = list.length;
        if (index >= machineCap) revert MachineFull(machineIdHash, machineCap);
        list.push(nodeId);
        operatorNodeCount[operator] += 1;
        _nodes[nodeId].machineIdHash = machineIdHash;
        Upkeep storage upkeep = _upkeep[nodeId];
        // Below MAX_MACHINE_CAP.
        // forge-lint: disable-next-line(unsafe-typecast)
        upkeep.machineIndex = uint8(index);
        upkeep.movedAt = uint40(block.timestamp);
    }

    function _announce(bytes32 nodeId, string calldata endpoint) private {
        uint256 length = bytes(endpoint).length;
        if (length == 0) revert EmptyEndpoint();
        if (length > MAX_ENDPOINT) revert EndpointTooLong(length, MAX_ENDPOINT);
        endpointHash[nodeId] = keccak256(bytes(endpoint));
        _upkeep[nodeId].endpointBlock = uint40(block.number);
        emit EndpointUpdated(nodeId, endpoint);
    }

    function _addStake(bytes32 nodeId, RelayNode storage node, uint96 amount) private {
        uint96 stake = node.stake + amount;
        node.stake = stake;
        emit StakeAdded(nodeId, msg.sender, amount, stake);
        _pull(amount);
    }

    function _checkStorage(Tier tier, uint64 storageBytes) private pure {
        (, uint64 minimum) = RelayTable.minimums(tier);
        if (storageBytes < minimum || storageBytes > MAX_STORAGE) {
            revert StorageOutOfRange(storageBytes, minimum, MAX_STORAGE);
        }
    }
}
