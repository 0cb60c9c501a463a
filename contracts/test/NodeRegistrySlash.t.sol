// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Fixture} from "./Fixture.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {EntryPause} from "../src/EntryPause.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {INodeRegistry, Node, Offer} from "../src/interfaces/INodeRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";

/// @title Stakes that are slashed, and entry that is paused: neither holds up an exit.
contract NodeRegistrySlashTest is Fixture {
    // --- who may

    function test_constructorRefusesZeroAddresses() public {
        vm.expectRevert(NodeRegistry.ZeroAddress.selector);
        this.makeRegistry(fab, models, address(market), address(0), address(breaker));
        vm.expectRevert(EntryPause.ZeroCircuitBreaker.selector);
        this.makeRegistry(fab, models, address(market), slasher, address(0));
    }

    function test_constructorSetsWhatItWasGiven() public view {
        assertEq(address(nodes.STAKE_TOKEN()), address(fab));
        assertEq(address(nodes.MODELS()), address(models));
        assertEq(nodes.SLASHER(), slasher);
        assertEq(nodes.CIRCUIT_BREAKER(), address(breaker));
        assertEq(nodes.interfaceVersion(), keccak256("capstan.NodeRegistry.v2"));
    }

    function test_slashRefusesOthersThanTheSlasher(address caller) public {
        vm.assume(caller != slasher);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, caller));
        nodes.slash(host, 1, stranger);
    }

    function test_slashRefusesNothingAndMoreThanTheStake(uint96 amount) public {
        vm.startPrank(slasher);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SlashOutOfRange.selector, 0, STAKE));
        nodes.slash(host, 0, stranger);
        amount = uint96(bound(amount, STAKE + 1, type(uint96).max));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SlashOutOfRange.selector, amount, STAKE));
        nodes.slash(host, amount, stranger);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SlashOutOfRange.selector, STAKE + 1, STAKE));
        nodes.slash(host, STAKE + 1, stranger);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SlashOutOfRange.selector, 1, 0));
        nodes.slash(stranger, 1, stranger);
    }

    // --- what it does

    function test_slashMovesPartOfTheStakeAndNothingElse(uint96 amount) public {
        amount = uint96(bound(amount, 1, STAKE));
        address second = makeAddr("second host");
        _register(second, NATIVE, NATIVE);
        vm.prank(host);
        nodes.startUnbonding();
        Node memory before = nodes.getNode(host);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeSlashed(host, amount, STAKE - amount, stranger);
        vm.prank(slasher);
        nodes.slash(host, amount, stranger);
        Node memory node = nodes.getNode(host);
        assertEq(node.stake, STAKE - amount);
        assertEq(node.unbondsAt, before.unbondsAt);
        assertEq(node.infoBlock, before.infoBlock);
        assertEq(nodes.getNode(second).stake, STAKE);
        assertEq(fab.balanceOf(stranger), amount);
        assertEq(fab.balanceOf(address(nodes)), 2 * uint256(STAKE) - amount);
    }

    function test_slashTakesTheWholeStakeAndNoExitIsLost() public {
        vm.prank(slasher);
        nodes.slash(host, STAKE, stranger);
        assertEq(nodes.getNode(host).stake, 0);
        assertEq(fab.balanceOf(stranger), STAKE);
        vm.warp(START + 1 days);
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 33 days);
        vm.prank(host);
        nodes.withdrawStake();
        assertEq(nodes.getNode(host).infoBlock, 0);
    }

    function test_aHostServesWithTheLeastStakeAndNoLess() public {
        vm.prank(owner);
        fab.transfer(host, 1);
        vm.prank(host);
        nodes.addStake(1);
        vm.startPrank(slasher);
        nodes.slash(host, 1, stranger);
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
        nodes.slash(host, 1, stranger);
        assertFalse(nodes.isServing(host, MODEL, NATIVE));
        vm.stopPrank();
        vm.prank(stranger);
        fab.transfer(host, 1);
        vm.prank(host);
        nodes.addStake(1);
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
    }

    function test_aSlashedHostLeavesWithTheRest(uint96 amount) public {
        amount = uint96(bound(amount, 1, STAKE));
        vm.prank(slasher);
        nodes.slash(host, amount, stranger);
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeWithdrawn(host, STAKE - amount);
        vm.prank(host);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(host), STAKE - amount);
        assertEq(fab.balanceOf(address(nodes)), 0);
        assertEq(nodes.getNode(host).infoBlock, 0);
    }

    // --- the pause

    function test_aPauseKeepsHostsAndStakesOut() public {
        address newcomer = makeAddr("newcomer");
        vm.prank(owner);
        fab.transfer(newcomer, STAKE);
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        vm.prank(newcomer);
        fab.approve(address(nodes), STAKE);
        vm.prank(address(breaker));
        nodes.pauseEntry();
        vm.warp(START + 3 days - 1);
        bytes memory reason = abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, START + 3 days);
        vm.prank(newcomer);
        vm.expectRevert(reason);
        nodes.registerNode(STAKE, "https://host.example.org", "", 0, offers);
        vm.prank(host);
        vm.expectRevert(reason);
        nodes.addStake(0);
        vm.warp(START + 3 days);
        vm.prank(newcomer);
        nodes.registerNode(STAKE, "https://host.example.org", "", 0, offers);
        vm.prank(host);
        nodes.addStake(0);
    }

    function test_aPauseStopsNothingElse() public {
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        vm.stopPrank();
        vm.prank(address(breaker));
        nodes.pauseEntry();
        vm.prank(slasher);
        nodes.slash(host, 1, stranger);
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        vm.startPrank(host);
        nodes.setOffers(offers);
        nodes.removeOffer(MODEL, NATIVE);
        nodes.updateInfo("https://moved.example.org", "", 0);
        nodes.cancelUnbonding();
        assertFalse(nodes.isServing(host, MODEL, address(usdc)));
        assertEq(nodes.getNode(host).unbondsAt, 0);
        nodes.startUnbonding();
        vm.stopPrank();
        assertEq(nodes.getNode(host).unbondsAt, START + 64 days);
    }

    function test_aPauseStopsNoWithdrawal() public {
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        vm.prank(address(breaker));
        nodes.pauseEntry();
        vm.prank(host);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(host), STAKE);
    }

    function test_onlyTheBreakerPauses() public {
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.NotCircuitBreaker.selector, address(this)));
        nodes.pauseEntry();
        vm.expectRevert(abi.encodeWithSelector(IEntryPause.NotCircuitBreaker.selector, address(this)));
        nodes.resumeEntry();
    }

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeRegistry(IERC20 token, IModelRegistry models_, address market_, address slasher_, address breaker_)
        external
        returns (NodeRegistry)
    {
        return new NodeRegistry(token, models_, market_, slasher_, breaker_);
    }
}
