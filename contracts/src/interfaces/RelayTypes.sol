// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

enum Tier {
    Bronze,
    Silver,
    Gold,
    Platinum
}

enum NodeStatus {
    None,
    Serving,
    /// Missed a challenge: earns nothing until it passes one.
    Suspended,
    /// On its way out: earns nothing, answers for what it committed before.
    Unbonding,
    /// Gone; its id is never used again.
    Exited
}

enum ChallengeStatus {
    None,
    /// Opened; the samples are not known yet.
    Open,
    /// The samples are known and wait for an answer.
    Pinned
}

/// Why one node of a batch of commitments was left out.
enum SkipReason {
    NotServing,
    NotAuthorised,
    AlreadyCommitted,
    LeafCountOutOfRange
}

/// @dev What a node says it stores in an epoch: the root of a tree of `leafCount` leaves of 256 bytes.
struct Commitment {
    /// Days since 1970.
    uint40 epoch;
    uint64 leafCount;
    bytes32 root;
}

/// @dev The first two slots of a node.
struct RelayNode {
    /// MCT, base units (18 decimals).
    uint96 stake;
    uint64 storageBytes;
    /// Unix seconds from which the stake may be withdrawn; 0 before unbonding.
    uint40 unbondsAt;
    /// Deadline of the newest challenge that was missed, Unix seconds; 0 if none.
    uint40 missedAt;
    Tier tier;
    NodeStatus status;
    /// Ends in the address of the operator. Zero once the node has left its machine.
    bytes32 machineIdHash;
}

/// @dev What daily upkeep changes: one slot.
struct Upkeep {
    /// MCT the node's wallet may withdraw, base units.
    uint96 earned;
    /// Epoch of the newest commitment.
    uint40 epoch;
    /// Share in that epoch's pot that is not paid yet, in units of `RelayTable`.
    uint32 weight;
    /// The node's place in its machine's list.
    uint8 machineIndex;
    /// When it came to its machine, Unix seconds.
    uint40 movedAt;
    /// Block of the newest EndpointUpdated event: where the endpoint is read.
    uint40 endpointBlock;
}

/// @dev The newest challenge of a node. The first slot outlives the challenge, for the daily count.
struct Challenge {
    address challenger;
    /// Unix seconds.
    uint40 openedAt;
    /// The block whose hash chooses the samples.
    uint40 seedBlock;
    /// Challenges opened in the day of `openedAt`.
    uint8 countToday;
    ChallengeStatus status;
    /// keccak256 of the ABI encoding of the challenged `Commitment`.
    bytes32 commitmentHash;
    /// Hash of `seedBlock`, once pinned.
    bytes32 seed;
}

/// @dev What speaks for or against a node being one of many of one owner.
struct NodeSignals {
    uint256 machineNodes;
    uint256 operatorNodes;
    /// Weights in the current epoch.
    uint256 nodeWeight;
    uint256 machineWeight;
    uint256 totalWeight;
}

/// @dev How many of a list of other nodes have something in common with a node.
struct SharedTraits {
    uint256 machine;
    uint256 operator;
    uint256 commitment;
    uint256 endpoint;
}
