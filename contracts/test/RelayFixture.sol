// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {RelayManager} from "../src/RelayManager.sol";
import {RelayToken} from "../src/RelayToken.sol";
import {Challenge, ChallengeStatus, Commitment, NodeStatus, Tier} from "../src/interfaces/RelayTypes.sol";
import {Trees} from "./mocks/Trees.sol";

/// @title A relay manager with one bronze node, alone on its own machine.
abstract contract RelayFixture is Test {
    using Trees for Trees.Uniform;
    using Trees for Trees.Sparse;

    uint256 internal constant START = 1_800_000_000;
    uint64 internal constant GB = 2 ** 30;
    uint96 internal constant BOND = 5e18;
    uint96 internal constant BRONZE_STAKE = 100e18;
    /// 1 GB in leaves of 256 bytes.
    uint64 internal constant BRONZE_LEAVES = 2 ** 22;
    string internal constant ENDPOINT = "wss://hub.example.org/node/1";
    bytes32 internal constant SALT = "data";

    address internal owner = makeAddr("owner");
    address internal breaker = makeAddr("circuit breaker");
    address internal wallet = makeAddr("wallet");
    address internal operator = makeAddr("operator");
    address internal challenger = makeAddr("challenger");
    address internal stranger = makeAddr("stranger");

    RelayToken internal mct;
    RelayManager internal relay;
    bytes32 internal node;
    bytes32 internal machine;

    function setUp() public virtual {
        // Noon, so that a few hours more are the same epoch.
        vm.warp(START - START % 1 days + 12 hours);
        vm.roll(1000);
        mct = new RelayToken(address(this));
        relay = new RelayManager(mct, owner, breaker);
        node = _nodeId(wallet, 1);
        machine = _machineId(wallet, 1);
        _register(wallet, machine, Tier.Bronze);
        _fund(challenger, 1000e18);
    }

    function _nodeId(address of_, uint96 prefix) internal pure returns (bytes32) {
        return bytes32(uint256(prefix) << 160 | uint160(of_));
    }

    function _machineId(address of_, uint96 prefix) internal pure returns (bytes32) {
        return _nodeId(of_, prefix);
    }

    function _storageOf(Tier tier) internal pure returns (uint64) {
        return [1 * GB, 4 * GB, 10 * GB, 50 * GB][uint8(tier)];
    }

    function _stakeOf(Tier tier) internal pure returns (uint96) {
        return [BRONZE_STAKE, 500e18, 1000e18, 5000e18][uint8(tier)];
    }

    function _fund(address who, uint256 amount) internal {
        mct.transfer(who, amount);
        vm.prank(who);
        mct.approve(address(relay), type(uint256).max);
    }

    /// @dev With the operator's approval if the machine is not the wallet's own.
    function _register(address who, bytes32 machineIdHash, Tier tier) internal returns (bytes32 id) {
        id = _nodeId(who, 1);
        _fund(who, _stakeOf(tier));
        _approve(who, machineIdHash);
        vm.prank(who);
        relay.registerNodeWithId(id, machineIdHash, tier, _storageOf(tier), ENDPOINT);
    }

    function _approve(address who, bytes32 machineIdHash) internal {
        address[] memory wallets = new address[](1);
        wallets[0] = who;
        vm.prank(relay.operatorOf(machineIdHash));
        relay.approveNodes(machineIdHash, wallets, true);
    }

    /// @dev `count` nodes on one machine of `operator`.
    function _fleet(uint256 count, Tier tier) internal returns (bytes32[] memory ids) {
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _register(makeAddr(string(abi.encodePacked("fleet", i))), _machineId(operator, 1), tier);
        }
    }

    // --- commitments

    function _uniform() internal pure returns (Trees.Uniform memory) {
        return Trees.uniform(BRONZE_LEAVES, SALT);
    }

    function _commitment(bytes32 root, uint64 leafCount) internal view returns (Commitment memory) {
        return Commitment({epoch: relay.currentEpoch(), leafCount: leafCount, root: root});
    }

    /// @dev Commits for one node in the present epoch, by its wallet.
    function _commit(bytes32 id, bytes32 root, uint64 leafCount) internal returns (Commitment memory) {
        vm.prank(relay.walletOf(id));
        relay.commitRoots(_one(id), _one(root), _one(leafCount));
        return _commitment(root, leafCount);
    }

    function _commitUniform(bytes32 id) internal returns (Commitment memory) {
        return _commit(id, _uniform().root(), BRONZE_LEAVES);
    }

    function _one(bytes32 value) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = value;
    }

    function _one(uint64 value) internal pure returns (uint64[] memory list) {
        list = new uint64[](1);
        list[0] = value;
    }

    function _list(bytes32 first, bytes32 second) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](2);
        (list[0], list[1]) = (first, second);
    }

    function _same(bytes32 value, uint256 count) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = value;
        }
    }

    function _same(uint64 value, uint256 count) internal pure returns (uint64[] memory list) {
        list = new uint64[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = value;
        }
    }

    // --- challenges

    function _challenge(bytes32 id, Commitment memory commitment) internal {
        vm.prank(challenger);
        relay.challengeNode(id, commitment);
    }

    /// @dev Mines the seed block, with a hash of the test's choice.
    function _mineSeed(bytes32 id, bytes32 seed) internal {
        uint256 seedBlock = relay.getChallenge(id).seedBlock;
        vm.roll(seedBlock + 1);
        vm.setBlockhash(seedBlock, seed);
    }

    function _pin(bytes32 id, bytes32 seed) internal {
        _mineSeed(id, seed);
        relay.pinSeed(id);
    }

    function _answerUniform(bytes32 id, Commitment memory commitment) internal {
        uint256[] memory indices = _samples(id, commitment.leafCount, relay.getChallenge(id).seed);
        relay.answerChallenge(id, commitment, Trees.repeated(SALT, 5), _uniform().proofOf(indices));
    }

    /// @dev Commits, is challenged, does not answer.
    function _miss(bytes32 id) internal {
        Commitment memory commitment = _commitUniform(id);
        _challenge(id, commitment);
        _pin(id, "seed");
        skip(12 hours + 1);
        relay.failChallenge(id);
    }

    /// @dev The samples by the documentation, not by the contract under test.
    function _samples(bytes32 id, uint64 leafCount, bytes32 seed) internal pure returns (uint256[] memory indices) {
        indices = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) {
            uint256 start = i * leafCount / 5;
            uint256 end = (i + 1) * leafCount / 5;
            indices[i] = start + uint256(keccak256(abi.encode(seed, id, i))) % (end - start);
        }
    }

    /// @dev A tree whose paths to the samples of `seed` are real.
    function _sparse(bytes32 id, uint64 leafCount, bytes32 seed) internal pure returns (Trees.Sparse memory) {
        return Trees.Sparse({leafCount: leafCount, salt: SALT, indices: _samples(id, leafCount, seed)});
    }

    function _nextEpoch() internal {
        vm.warp((block.timestamp / 1 days + 1) * 1 days);
    }

    function _assertStatus(bytes32 id, NodeStatus expected) internal view {
        assertEq(uint8(relay.getNode(id).status), uint8(expected), "node status");
    }

    function _assertChallenge(bytes32 id, ChallengeStatus expected) internal view {
        assertEq(uint8(relay.getChallenge(id).status), uint8(expected), "challenge status");
    }

    function _assertEqual(Challenge memory a, Challenge memory b) internal pure {
        assertEq(keccak256(abi.encode(a)), keccak256(abi.encode(b)), "challenge");
    }
}
