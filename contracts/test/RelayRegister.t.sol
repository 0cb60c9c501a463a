// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EntryPause} from "../src/EntryPause.sol";
import {RelayManager} from "../src/RelayManager.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IRelayManager} from "../src/interfaces/IRelayManager.sol";
import {IRelayNodes} from "../src/interfaces/IRelayNodes.sol";
import {NodeStatus, RelayNode, Tier, Upkeep} from "../src/interfaces/RelayTypes.sol";
import {RelayFixture} from "./RelayFixture.sol";

/// @title The constructor, the owner, registerNodeWithId and approveNodes.
contract RelayRegisterTest is RelayFixture {
    address private _new = makeAddr("new wallet");

    function setUp() public override {
        super.setUp();
        _fund(_new, 100_000e18);
    }

    // --- constructor, owner

    function test_constructorRefusesZeroAddresses() public {
        vm.expectRevert(IRelayManager.ZeroAddress.selector);
        this.make(IERC20(address(0)), owner, breaker);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.make(mct, address(0), breaker);
        vm.expectRevert(EntryPause.ZeroCircuitBreaker.selector);
        this.make(mct, owner, address(0));
    }

    /// @dev A call of its own: an expected revert of a contract made in the test's own frame ends the test there.
    function make(IERC20 token, address owner_, address breaker_) external returns (RelayManager) {
        return new RelayManager(token, owner_, breaker_);
    }

    function test_constructorSetsWhatIsFixed() public view {
        assertEq(address(relay.STAKE_TOKEN()), address(mct));
        assertEq(relay.owner(), owner);
        assertEq(relay.CIRCUIT_BREAKER(), breaker);
        assertEq(relay.machineCap(), 10);
        assertEq(relay.interfaceVersion(), keccak256("capstan.RelayManager.v1"));
    }

    function test_constants() public view {
        assertEq(relay.MAX_MACHINE_CAP(), 100);
        assertEq(relay.MAX_ENDPOINT(), 256);
        assertEq(relay.MAX_STORAGE(), 2 ** 40);
        assertEq(relay.MIGRATION_COOLDOWN(), 7 days);
        assertEq(relay.UNBONDING_DELAY(), 7 days);
        assertEq(relay.EPOCH(), 1 days);
        assertEq(relay.REWARD_SPREAD(), 30);
        assertEq(relay.LEAF_SIZE(), 256);
        assertEq(relay.CHALLENGE_BOND(), 5e18);
        assertEq(relay.MAX_CHALLENGES_PER_DAY(), 4);
        assertEq(relay.SEED_DELAY(), 4);
        assertEq(relay.PIN_WINDOW(), 1 hours);
        assertEq(relay.ANSWER_WINDOW(), 12 hours);
        assertEq(relay.REPEAT_WINDOW(), 30 days);
        assertEq(relay.FIRST_MISS_BPS(), 500);
        assertEq(relay.REPEAT_MISS_BPS(), 2000);
        assertEq(relay.SAMPLES(), 5);
    }

    /// Whatever a node committed, and any challenge on it, is over before its stake can leave.
    function test_unbondingOutlivesEveryChallenge() public view {
        assertGt(relay.UNBONDING_DELAY(), 2 * relay.EPOCH() + relay.ANSWER_WINDOW());
        assertGt(relay.ANSWER_WINDOW(), relay.PIN_WINDOW());
    }

    function test_ownerAloneSetsTheCap() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        vm.prank(stranger);
        relay.setMachineCap(5);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MachineCapOutOfRange.selector, 0, 100));
        relay.setMachineCap(0);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MachineCapOutOfRange.selector, 101, 100));
        relay.setMachineCap(101);
        relay.setMachineCap(1);
        vm.expectEmit(address(relay));
        emit IRelayNodes.MachineCapSet(100);
        relay.setMachineCap(100);
        assertEq(relay.machineCap(), 100);
    }

    function test_tierTable() public view {
        _assertTier(Tier.Bronze, 100e18, 1 * GB, 1_000_000);
        _assertTier(Tier.Silver, 500e18, 4 * GB, 5_000_000);
        _assertTier(Tier.Gold, 1000e18, 10 * GB, 10_000_000);
        _assertTier(Tier.Platinum, 5000e18, 50 * GB, 50_000_000);
    }

    function _assertTier(Tier tier, uint96 minStake, uint64 minStorage, uint32 weight) private view {
        (uint96 stake, uint64 storageBytes, uint32 tierWeight) = relay.tierTerms(tier);
        assertEq(stake, minStake);
        assertEq(storageBytes, minStorage);
        assertEq(tierWeight, weight);
    }

    // --- registerNodeWithId

    function test_refusesAnIdOfAnotherWallet() public {
        bytes32 id = _nodeId(stranger, 1);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.ForeignNodeId.selector, id, _new));
        _call(id, _machineId(_new, 1), Tier.Bronze, GB, ENDPOINT);
    }

    function test_refusesASecondNode() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NodeIdUsed.selector, node));
        vm.prank(wallet);
        relay.registerNodeWithId(node, machine, Tier.Bronze, GB, ENDPOINT);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.WalletHasNode.selector, wallet, node));
        vm.prank(wallet);
        relay.registerNodeWithId(_nodeId(wallet, 2), machine, Tier.Bronze, GB, ENDPOINT);
    }

    function test_refusesStorageOutOfRange(uint8 which) public {
        Tier tier = Tier(which % 4);
        uint64 minimum = _storageOf(tier);
        vm.expectRevert(
            abi.encodeWithSelector(IRelayNodes.StorageOutOfRange.selector, minimum - 1, minimum, uint64(2 ** 40))
        );
        _call(_nodeId(_new, 1), _machineId(_new, 1), tier, minimum - 1, ENDPOINT);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRelayNodes.StorageOutOfRange.selector, uint64(2 ** 40 + 1), minimum, uint64(2 ** 40)
            )
        );
        _call(_nodeId(_new, 1), _machineId(_new, 1), tier, 2 ** 40 + 1, ENDPOINT);
        _call(_nodeId(_new, 1), _machineId(_new, 1), tier, 2 ** 40, ENDPOINT);
    }

    function test_refusesBadEndpoints() public {
        vm.expectRevert(IRelayNodes.EmptyEndpoint.selector);
        _call(_nodeId(_new, 1), _machineId(_new, 1), Tier.Bronze, GB, "");
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.EndpointTooLong.selector, 257, 256));
        _call(_nodeId(_new, 1), _machineId(_new, 1), Tier.Bronze, GB, string(new bytes(257)));
        _call(_nodeId(_new, 1), _machineId(_new, 1), Tier.Bronze, GB, string(new bytes(256)));
    }

    function test_refusesAnUnknownTier() public {
        bytes memory data =
            abi.encodeWithSelector(IRelayNodes.registerNodeWithId.selector, _nodeId(_new, 1), machine, 4, GB, ENDPOINT);
        vm.prank(_new);
        (bool ok,) = address(relay).call(data);
        assertFalse(ok);
    }

    function test_refusesWithoutTheMoney() public {
        vm.startPrank(stranger);
        mct.approve(address(relay), BRONZE_STAKE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, stranger, 0, BRONZE_STAKE)
        );
        relay.registerNodeWithId(_nodeId(stranger, 1), _machineId(stranger, 1), Tier.Bronze, GB, ENDPOINT);
    }

    function test_refusesWhilePaused() public {
        vm.prank(breaker);
        relay.pauseEntry();
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, uint40(block.timestamp + 3 days)));
        _call(_nodeId(_new, 1), _machineId(_new, 1), Tier.Bronze, GB, ENDPOINT);
    }

    /// Nobody can put a node on somebody else's machine: it would fill the machine or lower its weight.
    function test_refusesAStrangersMachine() public {
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotApproved.selector, machine, _new));
        _call(_nodeId(_new, 1), machine, Tier.Bronze, GB, ENDPOINT);
        // Approved for another machine of the operator.
        _approve(_new, _machineId(wallet, 2));
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotApproved.selector, machine, _new));
        _call(_nodeId(_new, 1), machine, Tier.Bronze, GB, ENDPOINT);
        // A machine of nobody.
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotApproved.selector, bytes32(0), _new));
        _call(_nodeId(_new, 1), bytes32(0), Tier.Bronze, GB, ENDPOINT);
    }

    function test_refusesAFullMachine() public {
        bytes32[] memory ids = _fleet(10, Tier.Bronze);
        assertEq(ids.length, 10);
        bytes32 full = _machineId(operator, 1);
        _approve(_new, full);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MachineFull.selector, full, 10));
        _call(_nodeId(_new, 1), full, Tier.Bronze, GB, ENDPOINT);
        vm.prank(owner);
        relay.setMachineCap(11);
        _call(_nodeId(_new, 1), full, Tier.Bronze, GB, ENDPOINT);
        assertEq(relay.machineNodeIds(full).length, 11);
        assertEq(relay.operatorNodeCount(operator), 11);
        assertEq(relay.getUpkeep(_nodeId(_new, 1)).machineIndex, 10);
    }

    /// A lower cap keeps new nodes out and the present ones in.
    function test_loweredCapEvictsNobody() public {
        _fleet(3, Tier.Bronze);
        vm.prank(owner);
        relay.setMachineCap(2);
        assertEq(relay.machineNodeIds(_machineId(operator, 1)).length, 3);
        _approve(_new, _machineId(operator, 1));
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.MachineFull.selector, _machineId(operator, 1), 2));
        _call(_nodeId(_new, 1), _machineId(operator, 1), Tier.Bronze, GB, ENDPOINT);
    }

    function test_registers(uint8 which, uint64 storageBytes, uint96 prefix, uint96 machinePrefix) public {
        Tier tier = Tier(which % 4);
        storageBytes = uint64(bound(storageBytes, _storageOf(tier), 2 ** 40));
        bytes32 id = _nodeId(_new, prefix);
        bytes32 on = _machineId(_new, machinePrefix);
        uint256 before = mct.balanceOf(_new);
        vm.roll(777);
        vm.expectEmit(address(relay));
        emit IRelayNodes.NodeRegistered(id, on, tier, storageBytes, _stakeOf(tier));
        vm.expectEmit(address(relay));
        emit IRelayNodes.EndpointUpdated(id, "wss://new.example.org");
        vm.expectEmit(address(mct));
        emit IERC20.Transfer(_new, address(relay), _stakeOf(tier));
        _call(id, on, tier, storageBytes, "wss://new.example.org");

        RelayNode memory stored = relay.getNode(id);
        assertEq(stored.stake, _stakeOf(tier));
        assertEq(stored.storageBytes, storageBytes);
        assertEq(stored.unbondsAt, 0);
        assertEq(stored.missedAt, 0);
        assertEq(uint8(stored.tier), uint8(tier));
        assertEq(uint8(stored.status), uint8(NodeStatus.Serving));
        assertEq(stored.machineIdHash, on);
        Upkeep memory upkeep = relay.getUpkeep(id);
        assertEq(upkeep.earned, 0);
        assertEq(upkeep.epoch, 0);
        assertEq(upkeep.weight, 0);
        assertEq(upkeep.machineIndex, 0);
        assertEq(upkeep.movedAt, block.timestamp);
        assertEq(upkeep.endpointBlock, 777);
        assertEq(relay.endpointHash(id), keccak256("wss://new.example.org"));
        assertEq(relay.nodeOf(_new), id);
        assertEq(relay.walletOf(id), _new);
        assertEq(relay.operatorOf(on), _new);
        assertEq(relay.operatorNodeCount(_new), 1);
        assertEq(relay.machineNodeIds(on).length, 1);
        assertEq(relay.machineNodeIds(on)[0], id);
        assertEq(before - mct.balanceOf(_new), _stakeOf(tier));
        assertEq(mct.balanceOf(address(relay)), uint256(BRONZE_STAKE) + _stakeOf(tier));
        assertEq(relay.nodeOf(stranger), 0);
    }

    // --- approveNodes

    function test_onlyTheOperatorApproves() public {
        address[] memory wallets = new address[](1);
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotOperator.selector, machine, stranger));
        vm.prank(stranger);
        relay.approveNodes(machine, wallets, true);
    }

    function test_approvalIsUsedUpByJoining() public {
        _approve(_new, machine);
        assertTrue(relay.isApproved(machine, _new));
        _call(_nodeId(_new, 1), machine, Tier.Bronze, GB, ENDPOINT);
        assertFalse(relay.isApproved(machine, _new));
        assertEq(relay.machineNodeIds(machine)[1], _nodeId(_new, 1));
        assertEq(relay.getUpkeep(_nodeId(_new, 1)).machineIndex, 1);
        assertEq(relay.operatorNodeCount(wallet), 2);
    }

    function test_approvalCanBeTakenBack() public {
        address[] memory wallets = new address[](2);
        (wallets[0], wallets[1]) = (_new, stranger);
        vm.startPrank(wallet);
        vm.expectEmit(address(relay));
        emit IRelayNodes.ApprovalSet(machine, _new, true);
        vm.expectEmit(address(relay));
        emit IRelayNodes.ApprovalSet(machine, stranger, true);
        relay.approveNodes(machine, wallets, true);
        assertTrue(relay.isApproved(machine, stranger));
        vm.expectEmit(address(relay));
        emit IRelayNodes.ApprovalSet(machine, _new, false);
        relay.approveNodes(machine, wallets, false);
        vm.stopPrank();
        assertFalse(relay.isApproved(machine, stranger));
        vm.expectRevert(abi.encodeWithSelector(IRelayNodes.NotApproved.selector, machine, _new));
        _call(_nodeId(_new, 1), machine, Tier.Bronze, GB, ENDPOINT);
    }

    /// The operator needs no approval on its own machine, and keeps one that it gave itself.
    function test_operatorJoinsFreely() public {
        address[] memory wallets = new address[](1);
        wallets[0] = _new;
        vm.prank(_new);
        relay.approveNodes(_machineId(_new, 1), wallets, true);
        _call(_nodeId(_new, 1), _machineId(_new, 1), Tier.Bronze, GB, ENDPOINT);
        assertTrue(relay.isApproved(_machineId(_new, 1), _new));
    }

    function _call(bytes32 id, bytes32 on, Tier tier, uint64 storageBytes, string memory endpoint) private {
        vm.prank(_new);
        relay.registerNodeWithId(id, on, tier, storageBytes, endpoint);
    }
}
