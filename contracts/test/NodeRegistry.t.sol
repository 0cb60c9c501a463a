// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Fixture} from "./Fixture.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {INodeRegistry, Node, Offer, Price} from "../src/interfaces/INodeRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";

contract NodeRegistryTest is Fixture {
    string private constant ENDPOINT = "https://new.example.org";
    address private _new = makeAddr("new host");

    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        fab.transfer(_new, 10 * STAKE);
        vm.prank(_new);
        fab.approve(address(nodes), type(uint256).max);
    }

    function test_constructorRefusesZeroAddresses() public {
        vm.expectRevert(NodeRegistry.ZeroAddress.selector);
        this.makeRegistry(IERC20(address(0)), models, address(market), slasher, address(breaker));
        vm.expectRevert(NodeRegistry.ZeroAddress.selector);
        this.makeRegistry(fab, IModelRegistry(address(0)), address(market), slasher, address(breaker));
        vm.expectRevert(NodeRegistry.ZeroAddress.selector);
        this.makeRegistry(fab, models, address(0), slasher, address(breaker));
    }

    // --- registerNode

    function test_registerRefusesTwice() public {
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.AlreadyRegistered.selector, host));
        nodes.registerNode(STAKE, ENDPOINT, "", 0, _offers(1));
    }

    function test_registerRefusesLowStake(uint96 stake) public {
        stake = uint96(bound(stake, 0, STAKE - 1));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeTooLow.selector, stake, STAKE));
        _register(stake, ENDPOINT, "", _offers(1));
    }

    function test_registerRefusesBadTexts() public {
        vm.expectRevert(INodeRegistry.EmptyEndpoint.selector);
        _register(STAKE, "", "", _offers(1));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.EndpointTooLong.selector, 257, 256));
        _register(STAKE, string(new bytes(257)), "", _offers(1));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.RegionTooLong.selector, 65, 64));
        _register(STAKE, ENDPOINT, string(new bytes(65)), _offers(1));
    }

    function test_registerTakesTheLongestTexts() public {
        string memory endpoint = string(new bytes(256));
        string memory region = string(new bytes(64));
        vm.expectEmit(address(nodes));
        emit INodeRegistry.NodeInfo(_new, endpoint, region, 0);
        _register(STAKE, endpoint, region, _offers(1));
        assertEq(nodes.getNode(_new).stake, STAKE);
    }

    function test_registerRefusesBadOffers() public {
        vm.expectRevert(INodeRegistry.NoOffers.selector);
        _register(STAKE, ENDPOINT, "", _offers(0));

        Offer[] memory offers = _offers(2);
        offers[1] = offers[0];
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DuplicateOffer.selector, MODEL, offers[0].token));
        _register(STAKE, ENDPOINT, "", offers);

        offers = _offers(2);
        offers[1].price = Price(0, 0);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ZeroPrice.selector, MODEL, offers[1].token));
        _register(STAKE, ENDPOINT, "", offers);

        offers = _offers(1);
        offers[0].model = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ModelNotApproved.selector, offers[0].model));
        _register(STAKE, ENDPOINT, "", offers);
    }

    function test_registerRefusesADuplicateAnywhereInTheList() public {
        Offer[] memory offers = _offers(4);
        offers[3].token = offers[1].token;
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DuplicateOffer.selector, MODEL, offers[1].token));
        _register(STAKE, ENDPOINT, "", offers);
    }

    /// Two models for one token, like one model for two tokens, are two lines of the list.
    function test_offersOfOneTokenDifferByModel() public {
        bytes32 other = keccak256("other weights");
        vm.prank(owner);
        models.approveModel(other, "");
        Offer[] memory offers = new Offer[](2);
        offers[0] = _offer(MODEL, NATIVE);
        offers[1] = Offer(other, NATIVE, Price(0, 7));
        _register(STAKE, ENDPOINT, "", offers);
        assertTrue(nodes.isServing(_new, MODEL, NATIVE));
        // What is free on the way in is offered all the same.
        assertTrue(nodes.isServing(_new, other, NATIVE));
        assertEq(nodes.priceOf(_new, MODEL, NATIVE).output, 2e6);
        assertEq(nodes.priceOf(_new, other, NATIVE).output, 7);
        vm.prank(_new);
        nodes.removeOffer(MODEL, NATIVE);
        assertFalse(nodes.isServing(_new, MODEL, NATIVE));
        assertTrue(nodes.isServing(_new, other, NATIVE));
    }

    function test_registerRefusesWithoutTheMoney() public {
        vm.startPrank(stranger);
        fab.approve(address(nodes), STAKE);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, stranger, 0, STAKE));
        nodes.registerNode(STAKE, ENDPOINT, "", 0, _offers(1));
    }

    function test_registers(uint96 stake, uint128 input, uint128 output) public {
        stake = uint96(bound(stake, STAKE, 10 * STAKE));
        vm.assume(input != 0 || output != 0);
        Offer[] memory offers = _offers(2);
        offers[0].price = Price(input, output);
        vm.roll(777);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.NodeRegistered(_new, stake);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.NodeInfo(_new, ENDPOINT, "eu", "meta");
        vm.expectEmit(address(nodes));
        emit INodeRegistry.OfferSet(_new, MODEL, offers[0].token, input, output);
        vm.prank(_new);
        nodes.registerNode(stake, ENDPOINT, "eu", "meta", offers);

        Node memory node = nodes.getNode(_new);
        assertEq(node.stake, stake);
        assertEq(node.unbondsAt, 0);
        assertEq(node.infoBlock, 777);
        assertEq(fab.balanceOf(address(nodes)), uint256(STAKE) + stake);
        Price memory price = nodes.priceOf(_new, MODEL, offers[0].token);
        assertEq(price.input, input);
        assertEq(price.output, output);
        assertTrue(nodes.isServing(_new, MODEL, offers[0].token));
        assertTrue(nodes.isServing(_new, MODEL, offers[1].token));
        assertFalse(nodes.isServing(_new, MODEL, address(usdc)));
    }

    // --- updateInfo, offers

    function test_changesRefuseStrangers() public {
        bytes memory reason = abi.encodeWithSelector(INodeRegistry.NotRegistered.selector, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(reason);
        nodes.updateInfo(ENDPOINT, "", 0);
        vm.expectRevert(reason);
        nodes.setOffers(_offers(1));
        vm.expectRevert(reason);
        nodes.removeOffer(MODEL, NATIVE);
        vm.expectRevert(reason);
        nodes.addStake(1);
        vm.expectRevert(reason);
        nodes.startUnbonding();
        vm.expectRevert(reason);
        nodes.cancelUnbonding();
        vm.expectRevert(reason);
        nodes.withdrawStake();
    }

    function test_updateInfoNamesItsBlock() public {
        vm.roll(4321);
        vm.startPrank(host);
        vm.expectRevert(INodeRegistry.EmptyEndpoint.selector);
        nodes.updateInfo("", "", 0);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.NodeInfo(host, "wss://moved", "us", "m");
        nodes.updateInfo("wss://moved", "us", "m");
        assertEq(nodes.getNode(host).infoBlock, 4321);
        assertEq(nodes.getNode(host).stake, STAKE);
    }

    function test_setOffersChangesAPrice() public {
        Offer[] memory offers = _offers(1);
        offers[0].price = Price(5, 0);
        vm.startPrank(host);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.OfferSet(host, MODEL, offers[0].token, 5, 0);
        nodes.setOffers(offers);
        assertEq(nodes.priceOf(host, MODEL, offers[0].token).input, 5);
        assertEq(nodes.priceOf(host, MODEL, offers[0].token).output, 0);
        assertTrue(nodes.isServing(host, MODEL, offers[0].token));
        vm.expectRevert(INodeRegistry.NoOffers.selector);
        nodes.setOffers(_offers(0));
    }

    function test_removeOfferWithdrawsIt() public {
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.OfferNotFound.selector, MODEL, stranger));
        nodes.removeOffer(MODEL, stranger);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.OfferSet(host, MODEL, NATIVE, 0, 0);
        nodes.removeOffer(MODEL, NATIVE);
        assertFalse(nodes.isServing(host, MODEL, NATIVE));
        assertTrue(nodes.isServing(host, MODEL, address(usdc)));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.OfferNotFound.selector, MODEL, NATIVE));
        nodes.removeOffer(MODEL, NATIVE);
    }

    function test_revokedModelStaysOfferedAndIsNotOfferedAnew() public {
        vm.prank(owner);
        models.revokeModel(MODEL);
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ModelNotApproved.selector, MODEL));
        nodes.setOffers(_offers(1));
    }

    // --- stake

    function test_addStake() public {
        vm.prank(owner);
        fab.transfer(host, 5);
        vm.prank(host);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeAdded(host, 5, STAKE + 5);
        nodes.addStake(5);
        assertEq(nodes.getNode(host).stake, STAKE + 5);
        assertEq(fab.balanceOf(address(nodes)), STAKE + 5);
    }

    function test_unbondingStopsServingAndCanBeCancelled() public {
        vm.startPrank(host);
        vm.expectRevert(INodeRegistry.NotUnbonding.selector);
        nodes.cancelUnbonding();
        vm.expectRevert(INodeRegistry.NotUnbonding.selector);
        nodes.withdrawStake();
        vm.expectEmit(address(nodes));
        emit INodeRegistry.UnbondingStarted(host, uint40(START + 32 days));
        nodes.startUnbonding();
        assertFalse(nodes.isServing(host, MODEL, NATIVE));
        vm.warp(START + 1 days);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.Unbonding.selector, START + 32 days));
        nodes.startUnbonding();
        vm.expectEmit(address(nodes));
        emit INodeRegistry.UnbondingCancelled(host);
        nodes.cancelUnbonding();
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
        // The delay starts over.
        nodes.startUnbonding();
        assertEq(nodes.getNode(host).unbondsAt, START + 33 days);
    }

    function test_withdrawPaysAfterTheDelayAndOnce() public {
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
        vm.warp(START + 32 days);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeWithdrawn(host, STAKE);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(host), STAKE);
        assertEq(fab.balanceOf(address(nodes)), 0);
        assertEq(nodes.getNode(host).stake, 0);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotRegistered.selector, host));
        nodes.withdrawStake();
    }

    /// Prices of an earlier registration do not come back with a new one.
    function test_registeringAgainStartsWithAnEmptyPriceList() public {
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        nodes.withdrawStake();
        assertFalse(nodes.isServing(host, MODEL, address(usdc)));
        Offer[] memory offers = _offers(1);
        offers[0].token = stranger;
        nodes.registerNode(STAKE, ENDPOINT, "", 0, offers);
        assertTrue(nodes.isServing(host, MODEL, stranger));
        assertFalse(nodes.isServing(host, MODEL, NATIVE));
        assertFalse(nodes.isServing(host, MODEL, address(usdc)));
        assertEq(nodes.priceOf(host, MODEL, NATIVE).input, 0);
    }

    function _register(uint96 stake, string memory endpoint, string memory region, Offer[] memory offers) private {
        vm.prank(_new);
        nodes.registerNode(stake, endpoint, region, 0, offers);
    }

    function _offers(uint256 count) private pure returns (Offer[] memory offers) {
        offers = new Offer[](count);
        for (uint160 i = 0; i < count; ++i) {
            offers[i] = _offer(MODEL, address(i));
        }
    }

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeRegistry(IERC20 token, IModelRegistry models_, address market_, address slasher_, address breaker_)
        external
        returns (NodeRegistry)
    {
        return new NodeRegistry(token, models_, market_, slasher_, breaker_);
    }
}
