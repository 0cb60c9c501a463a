// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {RelayManager} from "../../src/RelayManager.sol";
import {NodeStatus, RelayNode, Upkeep} from "../../src/interfaces/RelayTypes.sol";
import {RelayHandler} from "./RelayHandler.sol";

/// @title What stays true of relay nodes whatever anybody does.
contract RelayInvariantTest is Test {
    RelayHandler private _handler;
    RelayManager private _relay;

    function setUp() public {
        _handler = new RelayHandler();
        _handler.setUp();
        _relay = _handler.manager();
        bytes4[] memory selectors = new bytes4[](18);
        selectors[0] = RelayHandler.register.selector;
        selectors[1] = RelayHandler.migrate.selector;
        selectors[2] = RelayHandler.addStake.selector;
        selectors[3] = RelayHandler.changeTier.selector;
        selectors[4] = RelayHandler.startUnbonding.selector;
        selectors[5] = RelayHandler.withdrawStake.selector;
        selectors[6] = RelayHandler.setMachineCap.selector;
        selectors[7] = RelayHandler.commit.selector;
        selectors[8] = RelayHandler.fund.selector;
        selectors[9] = RelayHandler.claim.selector;
        selectors[10] = RelayHandler.withdraw.selector;
        selectors[11] = RelayHandler.challenge.selector;
        selectors[12] = RelayHandler.pin.selector;
        selectors[13] = RelayHandler.answer.selector;
        selectors[14] = RelayHandler.fail.selector;
        selectors[15] = RelayHandler.lapse.selector;
        selectors[16] = RelayHandler.passTime.selector;
        selectors[17] = RelayHandler.pause.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// What the contract holds is stakes, bonds, reserve, pots and what is owed to accounts, to the base unit.
    function invariant_moneyIsConserved() public view {
        uint256 owed =
            _handler.stakes() + _handler.bonds() + _relay.rewardReserve() + _handler.pots() + _handler.accounts();
        assertEq(_handler.held(), owed);
    }

    /// Stakes change by what is paid in, slashed and paid out, and by nothing else.
    function invariant_stakesAreAccountedFor() public view {
        assertEq(_handler.stakes(), _handler.stakedIn() - _handler.stakedOut());
    }

    /// An epoch's weight is that of the nodes not settled yet; without any, nothing of its pot is left.
    function invariant_weightsAddUp() public view {
        for (uint256 i = 0; i < _handler.epochCount(); ++i) {
            uint40 epoch = _handler.epochs(i);
            (uint96 pot, uint64 weight) = _relay.epochRewards(epoch);
            assertEq(weight, _handler.weightsOf(epoch));
            if (weight == 0) assertEq(pot, 0);
        }
    }

    /// Every active node is at its place on its machine; no other is on any. A node out of grace earns nothing.
    function invariant_machinesAreWhole() public view {
        uint256 active = 0;
        for (uint256 i = 0; i < _handler.idCount(); ++i) {
            bytes32 id = _handler.ids(i);
            RelayNode memory node = _relay.getNode(id);
            Upkeep memory upkeep = _relay.getUpkeep(id);
            if (node.status == NodeStatus.Suspended && upkeep.epoch == _relay.currentEpoch()) {
                assertEq(upkeep.weight, 0);
            }
            if (node.status == NodeStatus.Exited) assertEq(node.stake, 0);
            if (node.status != NodeStatus.Serving && node.status != NodeStatus.Suspended) {
                assertEq(node.machineIdHash, 0);
                continue;
            }
            ++active;
            bytes32[] memory list = _relay.machineNodeIds(node.machineIdHash);
            assertEq(list[upkeep.machineIndex], id);
            assertLe(list.length, _relay.MAX_MACHINE_CAP());
            assertEq(_relay.nodeOf(_relay.walletOf(id)), id);
        }
        uint256 counted = _relay.operatorNodeCount(_handler.operators(0));
        counted += _relay.operatorNodeCount(_handler.operators(1));
        for (uint256 i = 0; i < 6; ++i) {
            counted += _relay.operatorNodeCount(_handler.wallets(i));
        }
        assertEq(counted, active);
    }

    /// Whatever happened, everybody can leave; then only the reserve is left.
    function afterInvariant() public {
        _handler.exitAll();
        assertEq(_handler.stakes(), 0);
        assertEq(_handler.pots(), 0);
        assertEq(_handler.bonds(), 0);
        assertEq(_handler.held(), _relay.rewardReserve(), "money stayed behind");
    }
}
