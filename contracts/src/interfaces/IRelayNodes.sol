// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RelayNode, Tier, Upkeep} from "./RelayTypes.sol";

/// @title Relay nodes: identity, machine, stake, endpoint.
/// @notice Ids say whom they belong to, so that nobody can take them in advance:
/// - a node id ends (lowest 20 bytes) in the address of the node's wallet; the 12 bytes above are the wallet's choice.
///   An id is used once; a wallet has one node at a time.
/// - a machine id ends in the address of the machine's operator; the 12 bytes above tell the operator's machines
///   apart. The operator's own node may join at once, every other wallet's needs the operator's approval for this
///   machine, which joining uses up. So a stranger can neither fill a machine to its cap nor lower what its nodes earn.
/// @dev A machine id is self-declared: an operator may invent one per node. It serves honest disclosure, caps, and a
/// reward decay, and proves nothing. What an operator can do to nodes on its machines is commit roots for them (see
/// IRelayRewards); a wallet should join only an operator that it trusts with that.
interface IRelayNodes {
    event NodeRegistered(
        bytes32 indexed nodeId, bytes32 indexed machineIdHash, Tier tier, uint64 storageBytes, uint96 stake
    );
    event EndpointUpdated(bytes32 indexed nodeId, string endpoint);
    event ApprovalSet(bytes32 indexed machineIdHash, address indexed wallet, bool approved);
    event MachineMigrated(bytes32 indexed nodeId, bytes32 indexed from, bytes32 indexed to);
    event TierChanged(bytes32 indexed nodeId, Tier tier, uint64 storageBytes);
    event StakeAdded(bytes32 indexed nodeId, address indexed payer, uint96 amount, uint96 stake);
    event UnbondingStarted(bytes32 indexed nodeId, uint40 unbondsAt);
    event StakeWithdrawn(bytes32 indexed nodeId, address indexed to, uint96 stake, uint96 earned);
    event MachineCapSet(uint8 cap);

    error ForeignNodeId(bytes32 nodeId, address caller);
    error NodeIdUsed(bytes32 nodeId);
    error WalletHasNode(address wallet, bytes32 nodeId);
    error StorageOutOfRange(uint64 storageBytes, uint64 minimum, uint64 maximum);
    error EmptyEndpoint();
    error EndpointTooLong(uint256 length, uint256 maximum);
    error NotOperator(bytes32 machineIdHash, address caller);
    error NotApproved(bytes32 machineIdHash, address wallet);
    error MachineFull(bytes32 machineIdHash, uint8 cap);
    error SameMachine(bytes32 machineIdHash);
    error MigrationCooldown(uint40 until);
    error TierLowered(Tier current, Tier asked);
    error NotActive(bytes32 nodeId);
    error NotUnbonding(bytes32 nodeId);
    error StillUnbonding(uint40 unbondsAt);
    error MachineCapOutOfRange(uint8 cap, uint8 maximum);

    /// @notice Registers the caller's node. The tier's minimum stake is taken by allowance.
    /// @param nodeId Ends in the caller's address.
    /// @param storageBytes What the node commits to store: the tier's minimum or more, up to MAX_STORAGE.
    /// @param endpoint Where users reach it; 1 to MAX_ENDPOINT bytes. Kept in an event, its hash in storage.
    function registerNodeWithId(
        bytes32 nodeId,
        bytes32 machineIdHash,
        Tier tier,
        uint64 storageBytes,
        string calldata endpoint
    ) external;

    /// @notice The machine's operator lets wallets join it, or takes that back from those that have not joined yet.
    function approveNodes(bytes32 machineIdHash, address[] calldata wallets, bool approved) external;

    /// @notice The node's wallet says where it is reached now.
    function updateEndpoint(bytes32 nodeId, string calldata endpoint) external;

    /// @notice The node's wallet moves it to another machine, with stake and history. MIGRATION_COOLDOWN must have
    /// passed since it came to the present one.
    function migrateMachine(bytes32 nodeId, bytes32 newMachineIdHash) external;

    /// @notice The node's wallet raises its tier, or keeps it and changes its storage. What the stake lacks of the
    /// tier's minimum is taken by allowance. Counts from the next commitment.
    function changeTier(bytes32 nodeId, Tier tier, uint64 storageBytes) external;

    /// @notice Adds to a node's stake, by the caller's allowance. Anyone may.
    function addStake(bytes32 nodeId, uint96 amount) external;

    /// @notice The node's wallet takes it off its machine and out of all rewards to come. No challenge can be opened
    /// against it two epochs later.
    function startUnbonding(bytes32 nodeId) external;

    /// @notice Pays the node's wallet stake and earnings to `to`, UNBONDING_DELAY after unbonding began. A challenge
    /// that is still open then is past its deadline and is settled first: it can cost its share, never the rest, and
    /// never time.
    function withdrawStake(bytes32 nodeId, address to) external;

    /// @notice Owner only: how many nodes a machine may have, 1 to MAX_MACHINE_CAP. Nodes already there stay.
    function setMachineCap(uint8 cap) external;

    function getNode(bytes32 nodeId) external view returns (RelayNode memory);
    function getUpkeep(bytes32 nodeId) external view returns (Upkeep memory);
    /// @notice Every node of a machine, at most MAX_MACHINE_CAP; the order changes when a node leaves.
    function machineNodeIds(bytes32 machineIdHash) external view returns (bytes32[] memory);
    /// @notice Nodes on all machines of an operator.
    function operatorNodeCount(address operator) external view returns (uint256);
    /// @notice The wallet's present node; zero if it has none.
    function nodeOf(address wallet) external view returns (bytes32 nodeId);
    function walletOf(bytes32 nodeId) external pure returns (address);
    function operatorOf(bytes32 machineIdHash) external pure returns (address);
    function isApproved(bytes32 machineIdHash, address wallet) external view returns (bool);
    /// @notice keccak256 of the node's endpoint.
    function endpointHash(bytes32 nodeId) external view returns (bytes32);
    function machineCap() external view returns (uint8);
    /// @notice Least stake (MCT base units) and storage (bytes) of a tier, and the weight of its node alone on a machine.
    function tierTerms(Tier tier) external pure returns (uint96 minStake, uint64 minStorage, uint32 weight);

    function MAX_MACHINE_CAP() external view returns (uint8);
    /// Bytes.
    function MAX_ENDPOINT() external view returns (uint256);
    /// Bytes.
    function MAX_STORAGE() external view returns (uint64);
    /// Seconds.
    function MIGRATION_COOLDOWN() external view returns (uint40);
    /// Seconds; longer than any commitment and the challenge on it can last.
    function UNBONDING_DELAY() external view returns (uint40);
}
