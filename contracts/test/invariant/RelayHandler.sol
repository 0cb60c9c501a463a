// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RelayFixture} from "../RelayFixture.sol";
import {RelayManager} from "../../src/RelayManager.sol";
import {
    Challenge,
    ChallengeStatus,
    Commitment,
    NodeStatus,
    RelayNode,
    Tier,
    Upkeep
} from "../../src/interfaces/RelayTypes.sol";
import {Trees} from "../mocks/Trees.sol";

/// @title Everything wallets, operators, challengers and strangers can do, in any order.
/// @dev No function here may revert: each first makes sure that what it does is allowed, and returns if nothing is.
contract RelayHandler is RelayFixture {
    using Trees for Trees.Uniform;

    /// Enough for every tier.
    uint64 private constant LEAVES = 2 ** 32;
    uint256 private constant WALLETS = 6;
    uint256 private constant MOST_NODES = 40;

    address[] public wallets;
    address[] public operators;
    /// Every node id there ever was.
    bytes32[] public ids;
    /// Every epoch in which something was committed.
    uint40[] public epochs;
    /// What a node committed, and whether it has the leaves.
    mapping(bytes32 => Commitment[2]) private _newest;
    mapping(bytes32 => Commitment) private _challenged;
    mapping(bytes32 => bool) public hasLeaves;
    /// Stakes paid in, and what was slashed and paid out of them.
    uint256 public stakedIn;
    uint256 public stakedOut;

    /// How often each end of a challenge, and each exit, was reached.
    uint256 public answered;
    uint256 public missed;
    uint256 public lapsed;
    uint256 public exited;

    Trees.Uniform private _tree;
    uint96 private _prefix;

    function setUp() public override {
        super.setUp();
        _tree = Trees.uniform(LEAVES, SALT);
        ids.push(node);
        stakedIn = BRONZE_STAKE;
        wallets.push(wallet);
        for (uint256 i = 1; i < WALLETS; ++i) {
            wallets.push(makeAddr(string(abi.encodePacked("handler wallet", i))));
        }
        operators = [operator, makeAddr("second operator")];
        for (uint256 i = 0; i < WALLETS; ++i) {
            _fund(wallets[i], 10_000_000e18);
        }
        _fund(challenger, 10_000_000e18);
    }

    // --- nodes

    function register(uint256 seed) external {
        address who = wallets[seed % WALLETS];
        if (relay.nodeOf(who) != 0 || ids.length >= MOST_NODES || _paused()) return;
        bytes32 on = _machineFor(who, seed >> 8);
        if (relay.machineNodeIds(on).length >= relay.machineCap()) return;
        Tier tier = Tier((seed >> 16) % 4);
        bytes32 id = _nodeId(who, ++_prefix + 1000);
        vm.prank(who);
        relay.registerNodeWithId(id, on, tier, _storageOf(tier), ENDPOINT);
        ids.push(id);
        stakedIn += _stakeOf(tier);
    }

    function migrate(uint256 seed) external {
        (bytes32 id, bool found) = _pickActive(seed);
        if (!found) return;
        address who = relay.walletOf(id);
        uint256 from = relay.getUpkeep(id).movedAt + relay.MIGRATION_COOLDOWN();
        if (block.timestamp < from) return;
        bytes32 on = _machineFor(who, seed >> 8);
        if (on == relay.getNode(id).machineIdHash) return;
        if (relay.machineNodeIds(on).length >= relay.machineCap()) return;
        vm.prank(who);
        relay.migrateMachine(id, on);
    }

    function addStake(uint256 seed, uint96 amount) external {
        (bytes32 id, bool found) = _pickActive(seed);
        if (!found || _paused()) return;
        amount = uint96(bound(amount, 1, 100e18));
        vm.prank(challenger);
        relay.addStake(id, amount);
        stakedIn += amount;
    }

    function changeTier(uint256 seed) external {
        (bytes32 id, bool found) = _pickActive(seed);
        if (!found || _paused()) return;
        RelayNode memory before = relay.getNode(id);
        Tier tier = Tier((seed >> 8) % 4);
        if (tier < before.tier) return;
        vm.prank(relay.walletOf(id));
        relay.changeTier(id, tier, _storageOf(tier));
        stakedIn += relay.getNode(id).stake - before.stake;
    }

    function startUnbonding(uint256 seed) external {
        // Rarer than registrations, or nobody would stay.
        if ((seed >> 200) % 3 != 0) return;
        (bytes32 id, bool found) = _pickActive(seed);
        if (!found) return;
        vm.prank(relay.walletOf(id));
        relay.startUnbonding(id);
    }

    function withdrawStake(uint256 seed) external {
        (bytes32 id, bool found) = _pick(seed, NodeStatus.Unbonding);
        if (!found || block.timestamp < relay.getNode(id).unbondsAt) return;
        _leaveWith(id);
    }

    function setMachineCap(uint8 cap) external {
        vm.prank(owner);
        relay.setMachineCap(uint8(bound(cap, 1, 100)));
    }

    // --- upkeep

    /// Every active node at once, by whoever may: some have committed already and are skipped. Some lie.
    function commit(uint256 seed) external {
        uint40 epoch = relay.currentEpoch();
        for (uint256 i = 0; i < ids.length; ++i) {
            if ((seed >> (i % 64)) & 3 == 0 || !_isActive(ids[i]) || relay.getUpkeep(ids[i]).epoch == epoch) continue;
            bool honest = (seed >> (64 + i % 64)) & 3 != 0;
            bytes32 root = honest ? _tree.root() : keccak256(abi.encode(seed, i));
            RelayNode memory state = relay.getNode(ids[i]);
            vm.prank(seed & 1 == 0 ? relay.walletOf(ids[i]) : relay.operatorOf(state.machineIdHash));
            relay.commitRoots(_one(ids[i]), _one(root), _one(LEAVES));
            _newest[ids[i]][epoch & 1] = Commitment(epoch, LEAVES, root);
            _noteEpoch(epoch);
        }
    }

    function fund(uint96 amount) external {
        if (_paused()) return;
        vm.prank(challenger);
        relay.fundRewards(uint96(bound(amount, 1, 10_000e18)));
    }

    function claim(uint256 seed) external {
        bytes32 id = ids[seed % ids.length];
        Upkeep memory upkeep = relay.getUpkeep(id);
        if (upkeep.weight == 0 || upkeep.epoch >= relay.currentEpoch()) return;
        relay.claimRewards(_list(id, ids[(seed >> 8) % ids.length]));
    }

    function withdraw(uint256 seed) external {
        address who = seed % (WALLETS + 1) == WALLETS ? challenger : wallets[seed % (WALLETS + 1)];
        if (relay.balanceOf(who) == 0) return;
        vm.prank(who);
        relay.withdraw(who);
    }

    // --- challenges

    /// By a stranger or by a node's own wallet, of either commitment.
    function challenge(uint256 seed) external {
        if (_paused()) return;
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes32 id = ids[(seed % ids.length + i) % ids.length];
            Commitment memory commitment = _newest[id][(seed >> 128) & 1];
            Challenge memory last = relay.getChallenge(id);
            if (last.status != ChallengeStatus.None || commitment.leafCount == 0) continue;
            if (!relay.isChallengeable(id, commitment)) continue;
            if (last.openedAt / 1 days == relay.currentEpoch() && last.countToday == 4) continue;
            address who = (seed >> 136) & 3 == 0 ? relay.walletOf(id) : challenger;
            vm.prank(who);
            relay.challengeNode(id, commitment);
            _challenged[id] = commitment;
            hasLeaves[id] = commitment.root == _tree.root();
            return;
        }
    }

    function pin(uint256 seed) external {
        (bytes32 id, bool found) = _pickChallenge(seed, ChallengeStatus.Open);
        if (!found) return;
        Challenge memory state = relay.getChallenge(id);
        if (block.timestamp > state.openedAt + 1 hours) return;
        if (block.number <= state.seedBlock) vm.roll(uint256(state.seedBlock) + 1);
        vm.setBlockhash(state.seedBlock, keccak256(abi.encode(seed)));
        relay.pinSeed(id);
    }

    function answer(uint256 seed) external {
        (bytes32 id, bool found) = _pickChallenge(seed, ChallengeStatus.Pinned);
        if (!found || !hasLeaves[id]) return;
        Challenge memory state = relay.getChallenge(id);
        if (block.timestamp > state.openedAt + 12 hours) return;
        uint256[] memory indices = _samples(id, LEAVES, state.seed);
        relay.answerChallenge(id, _challenged[id], Trees.repeated(SALT, 5), _tree.proofOf(indices));
        ++answered;
    }

    function fail(uint256 seed) external {
        (bytes32 id, bool found) = _pickChallenge(seed, ChallengeStatus.Pinned);
        if (!found) return;
        uint256 deadline = relay.getChallenge(id).openedAt + 12 hours;
        // Usually in the same epoch, where a weight is lost.
        if (block.timestamp <= deadline) vm.warp(deadline + 1);
        uint96 before = relay.getNode(id).stake;
        relay.failChallenge(id);
        stakedOut += before - relay.getNode(id).stake;
        ++missed;
    }

    function lapse(uint256 seed) external {
        (bytes32 id, bool found) = _pickChallenge(seed, ChallengeStatus.Open);
        if (!found) return;
        uint256 end = relay.getChallenge(id).openedAt + 1 hours;
        if (block.timestamp <= end) vm.warp(end + 1);
        relay.lapseChallenge(id);
        ++lapsed;
    }

    // --- the world

    function passTime(uint256 time) external {
        skip(bound(time, 1 minutes, 1 days));
        vm.roll(block.number + 1);
    }

    function pause(uint256 seed) external {
        if (seed % 8 != 0) return;
        uint256 last = relay.pausedUntil();
        if (last != 0 && block.timestamp < last + 14 days) return;
        vm.prank(breaker);
        relay.pauseEntry();
    }

    // --- what the invariants look at

    function manager() external view returns (RelayManager) {
        return relay;
    }

    function idCount() external view returns (uint256) {
        return ids.length;
    }

    function epochCount() external view returns (uint256) {
        return epochs.length;
    }

    function held() external view returns (uint256) {
        return mct.balanceOf(address(relay));
    }

    function stakes() public view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            sum += relay.getNode(ids[i]).stake;
        }
    }

    function bonds() external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (relay.getChallenge(ids[i]).status != ChallengeStatus.None) sum += BOND;
        }
    }

    function pots() external view returns (uint256 sum) {
        for (uint256 i = 0; i < epochs.length; ++i) {
            (uint96 pot,) = relay.epochRewards(epochs[i]);
            sum += pot;
        }
    }

    function accounts() external view returns (uint256 sum) {
        for (uint256 i = 0; i < WALLETS; ++i) {
            sum += relay.balanceOf(wallets[i]);
        }
        sum += relay.balanceOf(challenger);
    }

    /// Unpaid weights of all nodes in an epoch.
    function weightsOf(uint40 epoch) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            Upkeep memory upkeep = relay.getUpkeep(ids[i]);
            if (upkeep.epoch == epoch) sum += upkeep.weight;
        }
    }

    /// Whatever state they are in, all nodes leave, within the unbonding delay.
    function exitAll() external {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (!_isActive(ids[i])) continue;
            vm.prank(relay.walletOf(ids[i]));
            relay.startUnbonding(ids[i]);
        }
        skip(relay.UNBONDING_DELAY());
        for (uint256 i = 0; i < ids.length; ++i) {
            if (relay.getNode(ids[i]).status == NodeStatus.Unbonding) _leaveWith(ids[i]);
        }
        for (uint256 i = 0; i < WALLETS; ++i) {
            if (relay.balanceOf(wallets[i]) == 0) continue;
            vm.prank(wallets[i]);
            relay.withdraw(wallets[i]);
        }
        if (relay.balanceOf(challenger) == 0) return;
        vm.prank(challenger);
        relay.withdraw(challenger);
    }

    /// @dev The wallet gets its stake, less a fifth at most for a challenge that it had missed and nobody collected.
    function _leaveWith(bytes32 id) private {
        address who = relay.walletOf(id);
        uint256 stake = relay.getNode(id).stake;
        uint256 before = mct.balanceOf(who);
        vm.prank(who);
        relay.withdrawStake(id, who);
        assertGe(mct.balanceOf(who) - before, stake - stake / 5, "the rest of the stake");
        stakedOut += stake;
        ++exited;
    }

    function _machineFor(address who, uint256 seed) private returns (bytes32 on) {
        address of_ = seed % 3 == 2 ? who : operators[seed % 3];
        on = _machineId(of_, uint96((seed >> 2) % 2));
        if (of_ != who) _approve(who, on);
    }

    function _noteEpoch(uint40 epoch) private {
        if (epochs.length == 0 || epochs[epochs.length - 1] != epoch) epochs.push(epoch);
    }

    function _paused() private view returns (bool) {
        return block.timestamp < relay.pausedUntil();
    }

    function _isActive(bytes32 id) private view returns (bool) {
        NodeStatus status = relay.getNode(id).status;
        return status == NodeStatus.Serving || status == NodeStatus.Suspended;
    }

    function _pickActive(uint256 seed) private view returns (bytes32, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes32 id = ids[(seed % ids.length + i) % ids.length];
            if (_isActive(id)) return (id, true);
        }
        return (0, false);
    }

    function _pick(uint256 seed, NodeStatus status) private view returns (bytes32, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes32 id = ids[(seed % ids.length + i) % ids.length];
            if (relay.getNode(id).status == status) return (id, true);
        }
        return (0, false);
    }

    function _pickChallenge(uint256 seed, ChallengeStatus status) private view returns (bytes32, bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes32 id = ids[(seed % ids.length + i) % ids.length];
            if (relay.getChallenge(id).status == status) return (id, true);
        }
        return (0, false);
    }
}
