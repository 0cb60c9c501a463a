// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {IRelayChallenges} from "./interfaces/IRelayChallenges.sol";
import {Challenge, ChallengeStatus, Commitment, NodeStatus, RelayNode} from "./interfaces/RelayTypes.sol";
import {MerkleMultiproof} from "./libraries/MerkleMultiproof.sol";
import {RelayTable} from "./libraries/RelayTable.sol";
import {RelayRewards} from "./RelayRewards.sol";

/// @title Storage challenges: opened, pinned, answered, missed, lapsed.
abstract contract RelayChallenges is RelayRewards {
    /// @inheritdoc IRelayChallenges
    /// @dev A proof costs about 250,000 gas; on the rollups this is made for, that is worth less.
    uint96 public constant CHALLENGE_BOND = 5e18;
    /// @inheritdoc IRelayChallenges
    uint8 public constant MAX_CHALLENGES_PER_DAY = 4;
    /// @inheritdoc IRelayChallenges
    /// @dev More than one, so that whoever includes the challenge is not already building the block that decides it.
    uint40 public constant SEED_DELAY = 4;
    /// @inheritdoc IRelayChallenges
    /// @dev Within what the history contract keeps (8,191 blocks) even where a block takes half a second.
    uint40 public constant PIN_WINDOW = 1 hours;
    /// @inheritdoc IRelayChallenges
    /// @dev A node that was restarted, or whose operator slept, still answers.
    uint40 public constant ANSWER_WINDOW = 12 hours;
    /// @inheritdoc IRelayChallenges
    uint40 public constant REPEAT_WINDOW = 30 days;
    /// @inheritdoc IRelayChallenges
    uint256 public constant FIRST_MISS_BPS = 500;
    /// @inheritdoc IRelayChallenges
    uint256 public constant REPEAT_MISS_BPS = 2000;
    /// @inheritdoc IRelayChallenges
    /// @dev Finds a node that lacks half of its data in 31 of 32 challenges.
    uint256 public constant SAMPLES = 5;

    mapping(bytes32 nodeId => Challenge) internal _challenges;

    /// @inheritdoc IRelayChallenges
    function challengeNode(bytes32 nodeId, Commitment calldata commitment) external whenEntryOpen nonReentrant {
        Challenge storage challenge = _challenges[nodeId];
        if (challenge.status != ChallengeStatus.None) revert ChallengeOpen(nodeId);
        bytes32 commitmentHash = keccak256(abi.encode(commitment));
        if (!_isChallengeable(nodeId, commitment, commitmentHash)) revert NotChallengeable(nodeId);
        uint8 earlier = challenge.openedAt / EPOCH == currentEpoch() ? challenge.countToday : 0;
        if (earlier >= MAX_CHALLENGES_PER_DAY) revert TooManyChallenges(nodeId);

        uint40 openedAt = uint40(block.timestamp);
        uint40 seedBlock = uint40(block.number) + SEED_DELAY;
        challenge.challenger = msg.sender;
        challenge.openedAt = openedAt;
        challenge.seedBlock = seedBlock;
        challenge.countToday = earlier + 1;
        challenge.status = ChallengeStatus.Open;
        challenge.commitmentHash = commitmentHash;
        emit NodeChallenged(nodeId, msg.sender, commitment, seedBlock, openedAt + ANSWER_WINDOW);
        _pull(CHALLENGE_BOND);
    }

    /// @inheritdoc IRelayChallenges
    function pinSeed(bytes32 nodeId) external {
        Challenge storage challenge = _open(nodeId);
        if (challenge.status != ChallengeStatus.Open) revert AlreadyPinned(nodeId);
        challenge.seed = _drawSeed(nodeId, challenge.openedAt, challenge.seedBlock);
        challenge.status = ChallengeStatus.Pinned;
    }

    /// @inheritdoc IRelayChallenges
    function answerChallenge(
        bytes32 nodeId,
        Commitment calldata commitment,
        bytes calldata leaves,
        bytes32[] calldata siblings
    ) external {
        Challenge storage challenge = _open(nodeId);
        uint40 openedAt = challenge.openedAt;
        if (block.timestamp > openedAt + ANSWER_WINDOW) revert AnswerWindowOver(openedAt + ANSWER_WINDOW);
        if (keccak256(abi.encode(commitment)) != challenge.commitmentHash) revert WrongCommitment(nodeId);
        bytes32 seed = challenge.status == ChallengeStatus.Pinned
            ? challenge.seed
            : _drawSeed(nodeId, openedAt, challenge.seedBlock);
        if (_rootOf(nodeId, commitment.leafCount, seed, leaves, siblings) != commitment.root) {
            revert WrongProof(commitment.root);
        }
        _close(challenge);
        if (_nodes[nodeId].status == NodeStatus.Suspended) _nodes[nodeId].status = NodeStatus.Serving;
        _upkeep[nodeId].earned += CHALLENGE_BOND;
        emit ChallengeAnswered(nodeId, challenge.challenger);
    }

    /// @inheritdoc IRelayChallenges
    function failChallenge(bytes32 nodeId) external {
        Challenge storage challenge = _open(nodeId);
        if (challenge.status != ChallengeStatus.Pinned) revert SeedNotPinned(nodeId);
        uint40 deadline = challenge.openedAt + ANSWER_WINDOW;
        if (block.timestamp <= deadline) revert AnswerWindowRunning(deadline);
        _fail(nodeId, challenge);
    }

    /// @inheritdoc IRelayChallenges
    function lapseChallenge(bytes32 nodeId) external {
        Challenge storage challenge = _open(nodeId);
        if (challenge.status != ChallengeStatus.Open) revert AlreadyPinned(nodeId);
        uint40 end = challenge.openedAt + PIN_WINDOW;
        if (block.timestamp <= end) revert PinWindowRunning(end);
        _lapse(nodeId, challenge);
    }

    /// @inheritdoc IRelayChallenges
    function getChallenge(bytes32 nodeId) external view returns (Challenge memory) {
        return _challenges[nodeId];
    }

    /// @inheritdoc IRelayChallenges
    function sampleIndices(bytes32 nodeId, uint64 leafCount, bytes32 seed)
        public
        pure
        returns (uint256[] memory indices)
    {
        indices = new uint256[](SAMPLES);
        for (uint256 i = 0; i < SAMPLES; ++i) {
            uint256 start = i * leafCount / SAMPLES;
            uint256 size = (i + 1) * leafCount / SAMPLES - start;
            // A remainder of 256 bits by less than 64 favours no leaf by more than 2^-192.
            indices[i] = start + uint256(keccak256(abi.encode(seed, nodeId, i))) % size;
        }
    }

    /// @dev Ends what is left of a node's challenge when the node leaves. UNBONDING_DELAY is longer than a commitment
    /// made just before unbonding and a challenge on it can last, so every window is over.
    function _endChallenge(bytes32 nodeId) internal {
        Challenge storage challenge = _challenges[nodeId];
        if (challenge.status == ChallengeStatus.Pinned) _fail(nodeId, challenge);
        else if (challenge.status == ChallengeStatus.Open) _lapse(nodeId, challenge);
    }

    function _fail(bytes32 nodeId, Challenge storage challenge) private {
        RelayNode storage node = _nodes[nodeId];
        // Misses are counted by their deadlines: who calls this, and when, changes no share of the stake.
        uint40 missedAt = challenge.openedAt + ANSWER_WINDOW;
        bool repeated = missedAt < node.missedAt + REPEAT_WINDOW;
        uint96 stake = node.stake;
        // Less than the stake.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 slashed =
            uint96(uint256(stake) * (repeated ? REPEAT_MISS_BPS : FIRST_MISS_BPS) / RelayTable.BASIS_POINTS);
        uint96 bounty = slashed / 2;
        node.stake = stake - slashed;
        node.missedAt = missedAt;
        if (node.status == NodeStatus.Serving) node.status = NodeStatus.Suspended;
        _reserve += slashed - bounty;
        _close(challenge);
        _forfeit(nodeId);
        emit ChallengeFailed(nodeId, challenge.challenger, slashed, bounty);
        _credit(challenge.challenger, CHALLENGE_BOND + bounty);
    }

    function _lapse(bytes32 nodeId, Challenge storage challenge) private {
        _close(challenge);
        _reserve += CHALLENGE_BOND;
        emit ChallengeLapsed(nodeId, challenge.challenger);
    }

    /// @dev The first slot stays, for the daily count.
    function _close(Challenge storage challenge) private {
        challenge.status = ChallengeStatus.None;
        delete challenge.commitmentHash;
        delete challenge.seed;
    }

    function _drawSeed(bytes32 nodeId, uint40 openedAt, uint40 seedBlock) private returns (bytes32 seed) {
        if (block.timestamp > openedAt + PIN_WINDOW) revert PinWindowOver(openedAt + PIN_WINDOW);
        seed = Blockhash.blockHash(seedBlock);
        if (seed == bytes32(0)) revert SeedUnavailable(seedBlock);
        emit SeedPinned(nodeId, seed);
    }

    function _open(bytes32 nodeId) private view returns (Challenge storage challenge) {
        challenge = _challenges[nodeId];
        if (challenge.status == ChallengeStatus.None) revert NoChallenge(nodeId);
    }

    function _rootOf(bytes32 nodeId, uint64 leafCount, bytes32 seed, bytes calldata leaves, bytes32[] calldata siblings)
        private
        pure
        returns (bytes32)
    {
        if (leaves.length != SAMPLES * LEAF_SIZE) revert WrongLeavesLength(leaves.length, SAMPLES * LEAF_SIZE);
        bytes32[] memory hashes = new bytes32[](SAMPLES);
        for (uint256 i = 0; i < SAMPLES; ++i) {
            hashes[i] = MerkleMultiproof.hashLeaf(leaves[i * LEAF_SIZE:(i + 1) * LEAF_SIZE]);
        }
        return MerkleMultiproof.computeRoot(sampleIndices(nodeId, leafCount, seed), hashes, leafCount, siblings);
    }
}
