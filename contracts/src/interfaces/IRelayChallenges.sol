// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Challenge, Commitment} from "./RelayTypes.sol";

/// @title Storage challenges.
/// @notice Anyone may ask a node to prove a root that it committed in this epoch or the one before; a newer commitment
/// does not undo an older one. The challenger leaves CHALLENGE_BOND. The samples follow from the hash of a block that
/// is still to come; anyone pins it within PIN_WINDOW. Then
/// - a proof of all samples before the deadline gives the bond to the node, for its gas, and ends a suspension;
/// - no proof costs the node FIRST_MISS_BPS of its stake and suspends it, or REPEAT_MISS_BPS within REPEAT_WINDOW of
///   the last miss. Half of that is the challenger's bounty, with the bond; half goes to the reward reserve. The rest
///   of the stake stays the node's and can always be withdrawn;
/// - if nobody pins, the challenge lapses and the bond goes to the reward reserve.
///
/// A node may challenge itself: to end a suspension, for the price of gas. It gains nothing by missing its own
/// challenge, as the bounty is half of what it loses.
/// @dev Worst cases:
/// - A node that lacks data can challenge itself to keep the place of an honest challenger taken, or to use up the
///   day's MAX_CHALLENGES_PER_DAY, look at the samples, and pin only those it can answer. Each of the others costs it
///   the bond, and anyone may pin it for the price of gas, after which it must be answered like any other. This is why
///   a lapsed bond does not go to the node.
/// - MAX_CHALLENGES_PER_DAY counts days, UTC: twice as many can be opened around midnight.
/// - A suspended node stays challengeable by what it has committed: one that is away for two days from a commitment on
///   can miss four times, and keeps 48 percent of its stake.
/// - A miss costs the reward of the epoch that it is collected in. That of the epoch before, which the missed
///   commitment may belong to, stays the node's.
/// - Who builds the seed block can choose among the hashes it can build: one try per block it could have made.
/// - On a chain that keeps no more than 256 block hashes and has no history contract (EIP-2935), a seed must be pinned
///   that much sooner.
interface IRelayChallenges {
    event NodeChallenged(
        bytes32 indexed nodeId, address indexed challenger, Commitment commitment, uint40 seedBlock, uint40 deadline
    );
    event SeedPinned(bytes32 indexed nodeId, bytes32 seed);
    event ChallengeAnswered(bytes32 indexed nodeId, address indexed challenger);
    event ChallengeFailed(bytes32 indexed nodeId, address indexed challenger, uint96 slashed, uint96 bounty);
    event ChallengeLapsed(bytes32 indexed nodeId, address indexed challenger);

    error ChallengeOpen(bytes32 nodeId);
    error NoChallenge(bytes32 nodeId);
    error TooManyChallenges(bytes32 nodeId);
    error NotChallengeable(bytes32 nodeId);
    error AlreadyPinned(bytes32 nodeId);
    error PinWindowOver(uint40 end);
    error SeedUnavailable(uint40 seedBlock);
    error AnswerWindowOver(uint40 deadline);
    error AnswerWindowRunning(uint40 deadline);
    error PinWindowRunning(uint40 end);
    error SeedNotPinned(bytes32 nodeId);
    error WrongCommitment(bytes32 nodeId);
    error WrongLeavesLength(uint256 length, uint256 expected);
    error WrongProof(bytes32 root);

    /// @notice Opens a challenge on a commitment (all of it is in its RootCommitted event); CHALLENGE_BOND is taken by
    /// allowance. One at a time per node, MAX_CHALLENGES_PER_DAY at most.
    function challengeNode(bytes32 nodeId, Commitment calldata commitment) external;

    /// @notice Fixes the samples, once the seed block is past. Anyone may; the challenger should.
    function pinSeed(bytes32 nodeId) external;

    /// @notice Answers with the sampled leaves and a Merkle multiproof (see MerkleMultiproof for the tree and the
    /// order of siblings). Anyone may. Pins the seed if nobody has yet.
    /// @param leaves The sampled leaves in ascending order, SAMPLES times LEAF_SIZE bytes.
    function answerChallenge(
        bytes32 nodeId,
        Commitment calldata commitment,
        bytes calldata leaves,
        bytes32[] calldata siblings
    ) external;

    /// @notice After the deadline of a pinned challenge that was not answered. Anyone may.
    function failChallenge(bytes32 nodeId) external;

    /// @notice After the pin window of a challenge that nobody pinned. Anyone may.
    function lapseChallenge(bytes32 nodeId) external;

    function getChallenge(bytes32 nodeId) external view returns (Challenge memory);

    /// @notice Which leaves a seed asks for: one from each of SAMPLES equal parts of the tree. That finds a lost part
    /// at least as surely as SAMPLES free draws, and gives distinct indices in ascending order.
    function sampleIndices(bytes32 nodeId, uint64 leafCount, bytes32 seed) external pure returns (uint256[] memory);

    /// MCT, base units.
    function CHALLENGE_BOND() external view returns (uint96);
    function MAX_CHALLENGES_PER_DAY() external view returns (uint8);
    /// Blocks.
    function SEED_DELAY() external view returns (uint40);
    /// Seconds from opening.
    function PIN_WINDOW() external view returns (uint40);
    /// Seconds from opening.
    function ANSWER_WINDOW() external view returns (uint40);
    /// Seconds.
    function REPEAT_WINDOW() external view returns (uint40);
    function FIRST_MISS_BPS() external view returns (uint256);
    function REPEAT_MISS_BPS() external view returns (uint256);
    function SAMPLES() external view returns (uint256);
}
