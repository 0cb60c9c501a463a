// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRelayChallenges} from "../src/interfaces/IRelayChallenges.sol";
import {Commitment, Tier} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";
import {Trees} from "./mocks/Trees.sol";

/// @title What each transaction costs, whole: 21,000 and calldata included, every slot and account cold.
/// @dev Upkeep is that of a node in its third day and later, rewards of the day before settled on the way.
contract RelayManagerGasTest is RelayFixture {
    using Trees for Trees.Sparse;

    string private constant GROUP = "RelayManager";
    bytes32[] private _ids;

    function _measured(string memory name, uint256 budget) private returns (uint256 gasUsed) {
        gasUsed = vm.snapshotGasLastCall(GROUP, name);
        assertLe(gasUsed, budget, name);
    }

    function _measuredEach(string memory name, uint256 count, uint256 budget) private {
        uint256 each = vm.lastCallGas().gasTotalUsed / count;
        vm.snapshotValue(GROUP, name, each);
        assertLe(each, budget, name);
    }

    function _roots(uint256 count) private view returns (bytes32[] memory roots) {
        roots = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            roots[i] = keccak256(abi.encode(relay.currentEpoch(), i));
        }
    }

    /// @dev Two days of upkeep, and the beginning of the third.
    function _settleIn(bytes32[] memory ids, address who, uint64 leafCount) private {
        mct.approve(address(relay), type(uint256).max);
        relay.fundRewards(30_000e18);
        for (uint256 i = 0; i < 2; ++i) {
            bytes32[] memory roots = _roots(ids.length);
            vm.prank(who);
            relay.commitRoots(ids, roots, _same(leafCount, ids.length));
            _nextEpoch();
        }
    }

    function test_register() public {
        address first = makeAddr("gas wallet");
        _fund(first, BRONZE_STAKE + 1);
        vm.prank(first);
        relay.registerNodeWithId(_nodeId(first, 1), _machineId(first, 1), Tier.Bronze, GB, ENDPOINT);
        _measured("relay_register", 240_000);
    }

    function test_registerNext() public {
        _fleet(1, Tier.Bronze);
        address next = makeAddr("gas wallet");
        bytes32 on = _machineId(operator, 1);
        _fund(next, BRONZE_STAKE + 1);
        _approve(next, on);
        _measured("relay_approve_node", 50_000);
        vm.prank(next);
        relay.registerNodeWithId(_nodeId(next, 1), on, Tier.Bronze, GB, ENDPOINT);
        _measured("relay_register_next_on_machine", 205_000);
    }

    function test_commitOne() public {
        _settleIn(_one(node), wallet, BRONZE_LEAVES);
        bytes32[] memory roots = _roots(1);
        vm.prank(wallet);
        relay.commitRoots(_one(node), roots, _one(BRONZE_LEAVES));
        _measured("relay_commit_roots", 83_000);
    }

    function test_commitTen() public {
        _ids = _fleet(10, Tier.Bronze);
        _settleIn(_ids, operator, BRONZE_LEAVES);
        bytes32[] memory roots = _roots(10);
        vm.prank(operator);
        relay.commitRoots(_ids, roots, _same(BRONZE_LEAVES, 10));
        _measuredEach("relay_commit_roots_each_of_10", 10, 33_000);
    }

    function test_claimTen() public {
        _ids = _fleet(10, Tier.Bronze);
        _settleIn(_ids, operator, BRONZE_LEAVES);
        relay.claimRewards(_ids);
        _measuredEach("relay_claim_each_of_10", 10, 12_000);
        address member = relay.walletOf(_ids[0]);
        mct.transfer(member, 1);
        vm.prank(member);
        relay.withdraw(member);
        _measured("relay_withdraw", 50_000);
    }

    function test_challengeAndMiss() public {
        Commitment memory commitment = _commitUniform(node);
        _challenge(node, commitment);
        _measured("relay_challenge", 100_000);
        _pin(node, "seed");
        _measured("relay_pin_seed", 54_000);
        skip(12 hours + 1);
        relay.failChallenge(node);
        _measured("relay_slash", 71_000);
    }

    /// Five leaves of a tree of ten GB: 41,943,040 leaves, depth 26.
    function test_storageProof() public {
        address gold = makeAddr("gold");
        bytes32 id = _register(gold, _machineId(gold, 1), Tier.Gold);
        uint64 leafCount = 10 * GB / 256;
        assertEq(Trees.depth(leafCount), 26);
        Trees.Sparse memory tree = _sparse(id, leafCount, keccak256("seed"));
        Commitment memory commitment = _commit(id, tree.root(), leafCount);
        _challenge(id, commitment);
        _pin(id, keccak256("seed"));
        bytes memory leaves = tree.answersOf();
        bytes32[] memory siblings = tree.proofOf();
        relay.answerChallenge(id, commitment, leaves, siblings);
        uint256 gasUsed = _measured("storage_proof_k5_d26", 230_000);
        uint256 floor = _floor(abi.encodeCall(IRelayChallenges.answerChallenge, (id, commitment, leaves, siblings)));
        assertEq(gasUsed, floor, "more than what its calldata costs anyway");
    }

    /// EIP-7623: what a transaction pays at least for its calldata.
    function _floor(bytes memory data) private pure returns (uint256 gas) {
        gas = 21_000;
        for (uint256 i = 0; i < data.length; ++i) {
            gas += data[i] == 0 ? 10 : 40;
        }
    }

    function test_exit() public {
        vm.prank(wallet);
        relay.startUnbonding(node);
        _measured("relay_start_unbonding", 45_000);
        skip(7 days);
        mct.transfer(wallet, 1);
        vm.prank(wallet);
        relay.withdrawStake(node, wallet);
        _measured("relay_withdraw_stake", 53_000);
    }
}
