// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IVersioned} from "../src/interfaces/IVersioned.sol";

/// @title FAB, the test dollar, and the interface versions.
contract TokensTest is Fixture {
    function test_supplyIsFixed() public view {
        assertEq(fab.totalSupply(), fab.FIXED_SUPPLY());
        assertEq(fab.balanceOf(owner) + fab.balanceOf(address(nodes)), fab.FIXED_SUPPLY());
        assertEq(fab.name(), "Capstan");
        assertEq(fab.symbol(), "FAB");
        assertEq(fab.decimals(), 18);
        assertLe(fab.FIXED_SUPPLY(), type(uint96).max);
    }

    function test_votesFollowTheTokens() public {
        vm.prank(owner);
        fab.delegate(owner);
        uint256 before = fab.getVotes(owner);
        vm.prank(owner);
        fab.transfer(stranger, 100e18);
        assertEq(fab.getVotes(owner), before - 100e18);
        vm.prank(stranger);
        fab.delegate(host);
        assertEq(fab.getVotes(host), 100e18);
        vm.warp(START + 1);
        // Nobody's before they are delegated, whoever owns them.
        assertEq(fab.getVotes(stranger), 0);
        assertEq(fab.getPastVotes(host, START), 100e18);
        assertEq(fab.getPastVotes(host, START - 1), 0);
    }

    function test_votesAreDatedInSeconds(uint48 time) public {
        vm.warp(time);
        assertEq(fab.clock(), time);
        assertEq(fab.CLOCK_MODE(), "mode=timestamp");
    }

    function test_permitSetsAnAllowance() public {
        (, string memory name, string memory version, uint256 chainId, address verifier,,) = fab.eip712Domain();
        assertEq(name, "Capstan");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(fab));
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, renter, host, 5, 0, START));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(renterSecret, keccak256(abi.encodePacked(hex"1901", fab.DOMAIN_SEPARATOR(), structHash)));
        fab.permit(renter, host, 5, START, v, r, s);
        assertEq(fab.allowance(renter, host), 5);
        assertEq(fab.nonces(renter), 1);
    }

    function test_dollarHasSixDecimalsAndIsFree() public {
        assertEq(usdc.decimals(), 6);
        vm.prank(stranger);
        usdc.mint(stranger, 7);
        assertEq(usdc.balanceOf(stranger), 7);
    }

    function test_interfaceVersions() public view {
        _assertVersion(fab, "capstan.GovernanceToken.v2");
        _assertVersion(models, "capstan.ModelRegistry.v1");
        _assertVersion(nodes, "capstan.NodeRegistry.v2");
        _assertVersion(board, "capstan.JobBoard.v1");
        _assertVersion(market, "capstan.JobMarketplace.v2");
        _assertVersion(usdc, "capstan.TestUsdc.v2");
    }

    function _assertVersion(IVersioned versioned, string memory name) private view {
        assertEq(versioned.interfaceVersion(), keccak256(bytes(name)));
    }
}
