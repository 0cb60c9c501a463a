// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INodeRegistry, Node} from "../src/interfaces/INodeRegistry.sol";
import {Fixture} from "./Fixture.sol";

/// @title admitClaim: how fast one host takes jobs on.
contract AdmitClaimTest is Fixture {
    function test_refusesAnybodyButTheMarketplace() public {
        address[4] memory callers = [host, stranger, owner, address(board)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotMarketplace.selector, callers[i]));
            nodes.admitClaim(host, MODEL, NATIVE);
        }
        assertEq(nodes.MARKETPLACE(), address(market));
    }

    function test_refusesAHostThatDoesNotServe() public {
        _refusesAsNotServing(stranger, MODEL, NATIVE);
        _refusesAsNotServing(host, keccak256("another model"), NATIVE);
        _refusesAsNotServing(host, MODEL, address(fab));
        vm.prank(host);
        nodes.startUnbonding();
        _refusesAsNotServing(host, MODEL, NATIVE);
        vm.prank(host);
        nodes.cancelUnbonding();
        _admit(host);
    }

    function test_admitsABurstAndThenOneByOne() public {
        assertEq(nodes.CLAIM_BURST(), 60);
        assertEq(nodes.CLAIM_INTERVAL(), 10);
        _admits(60);
        for (uint256 second = 0; second < 30; ++second) {
            vm.warp(START + second);
            // One more every ten seconds, in the first of them and in no other.
            if (second != 0 && second % 10 == 0) _admit(host);
            _refusesAsTooFast(host, 10 - second % 10);
        }
    }

    function test_aRefusalCostsNothing() public {
        _admits(60);
        for (uint256 i = 0; i < 10; ++i) {
            _refusesAsTooFast(host, 10);
        }
        vm.warp(START + 10);
        _admit(host);
    }

    function test_restBringsTheBurstBackAndNoMore(uint32 rest) public {
        _admits(60);
        rest = uint32(bound(rest, 0, 1200));
        vm.warp(START + rest);
        uint256 regained = rest / 10 < 60 ? rest / 10 : 60;
        _admits(regained);
        // What was rested past the last whole interval counts too, up to a full burst.
        _refusesAsTooFast(host, rest < 600 ? 10 - rest % 10 : 10);
    }

    function test_aHostThatKeepsThePaceIsNeverRefused() public {
        _admits(60);
        for (uint256 i = 1; i <= 200; ++i) {
            vm.warp(START + 10 * i);
            _admit(host);
        }
    }

    /// One of many claims a minute apart never comes near its bound, and none is held against it later.
    function test_aSlowHostKeepsItsWholeBurst() public {
        for (uint256 i = 0; i < 100; ++i) {
            vm.warp(START + 60 * i);
            _admit(host);
        }
        vm.warp(START + 60 * 100);
        _admits(60);
        _refusesAsTooFast(host, 10);
    }

    /// All models and tokens of a host share its pace; another host's is its own.
    function test_everyHostHasItsOwnPace() public {
        address other = makeAddr("other host");
        _register(other, NATIVE, NATIVE);
        _admits(60);
        vm.prank(address(market));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ClaimsTooFast.selector, host, 10));
        nodes.admitClaim(host, MODEL, address(usdc));
        for (uint256 i = 0; i < 60; ++i) {
            _admit(other);
        }
        _refusesAsTooFast(other, 10);
    }

    function test_touchesNothingElseOfTheHost() public {
        vm.roll(2000);
        Node memory before = nodes.getNode(host);
        _admits(3);
        assertEq(keccak256(abi.encode(nodes.getNode(host))), keccak256(abi.encode(before)));
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
        assertTrue(nodes.isServing(host, MODEL, address(usdc)));
        assertEq(nodes.priceOf(host, MODEL, NATIVE).input, 1e6);
    }

    /// Nothing else a host does gives it its burst back.
    function test_nothingButRestBringsTheBurstBack() public {
        _admits(60);
        vm.prank(owner);
        fab.transfer(host, 1);
        vm.startPrank(host);
        nodes.startUnbonding();
        nodes.cancelUnbonding();
        nodes.updateInfo("https://elsewhere.example.org", "", 0);
        nodes.addStake(1);
        vm.stopPrank();
        _serveToken(address(fab));
        _refusesAsTooFast(host, 10);
    }

    function test_aNewRegistrationStartsRested() public {
        _admits(60);
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        nodes.withdrawStake();
        vm.stopPrank();
        _refusesAsNotServing(host, MODEL, NATIVE);
        _register(host, NATIVE, NATIVE);
        _admits(60);
        _refusesAsTooFast(host, 10);
    }

    function _admits(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            _admit(host);
        }
    }

    function _admit(address who) private {
        vm.prank(address(market));
        nodes.admitClaim(who, MODEL, NATIVE);
    }

    function _refusesAsTooFast(address who, uint256 wait) private {
        vm.prank(address(market));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ClaimsTooFast.selector, who, wait));
        nodes.admitClaim(who, MODEL, NATIVE);
    }

    function _refusesAsNotServing(address who, bytes32 model, address token) private {
        vm.prank(address(market));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotServing.selector, who, model, token));
        nodes.admitClaim(who, model, token);
    }
}
