// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommitteeKey, IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {AgentFixture} from "./AgentFixture.sol";

/// @title Committee keys, and the addresses derived from them.
contract AgentKeysTest is AgentFixture {
    /// The field's prime.
    uint256 private constant P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;

    function test_refusesWhatIsNoPoint() public {
        CommitteeKey memory key = _keyOf(secret);
        _refuses(CommitteeKey(0, 0));
        _refuses(CommitteeKey(key.y, key.x));
        _refuses(CommitteeKey(bytes32(uint256(key.x) ^ 1), key.y));
        _refuses(CommitteeKey(key.x, bytes32(uint256(key.y) ^ 1)));
        _refuses(CommitteeKey(key.x, 0));
        _refuses(CommitteeKey(0, key.y));
    }

    function test_refusesPointsOfSimilarCurves(uint256 x, uint256 y) public {
        vm.assume(mulmod(y, y, P) != addmod(mulmod(mulmod(x, x, P), x, P), 7, P));
        _refuses(CommitteeKey(bytes32(x), bytes32(y)));
    }

    /// A coordinate has one spelling: points with a small x or y cannot be written with the prime added.
    function test_refusesCoordinatesThatWrapRound() public {
        // The two points with x = 1.
        uint256 y = 0x4218f20ae6c646b363db68605822fb14264ca8d2587fdd6fbc750d587e76a7ee;
        agents.childOf(CommitteeKey(bytes32(uint256(1)), bytes32(y)), TWEAK);
        agents.childOf(CommitteeKey(bytes32(uint256(1)), bytes32(P - y)), TWEAK);
        _refuses(CommitteeKey(bytes32(P + 1), bytes32(y)));
        _refuses(CommitteeKey(bytes32(P + 1), bytes32(P - y)));
        // One of the points with y = 1.
        bytes32 x = 0x1fe1e5ef3fceb5c135ab7741333ce5a6e80d68167653f6b2b24bcbcfaaaff507;
        agents.childOf(CommitteeKey(x, bytes32(uint256(1))), TWEAK);
        _refuses(CommitteeKey(x, bytes32(P + 1)));
    }

    /// On the curve, but recovery knows no such point.
    function test_refusesAnXFromTheOrderOn() public {
        bytes32 y = 0x98f66641cb0ae1776b463ebdee3d77fe2658f021db48e2c8ac7ab4c92f83621e;
        assertEq(
            mulmod(uint256(y), uint256(y), P), addmod(mulmod(mulmod(ORDER, ORDER, P), ORDER, P), 7, P), "on the curve"
        );
        _refuses(CommitteeKey(bytes32(ORDER), y));
    }

    function test_refusesTweaksThatAreNone(uint256 tweak) public {
        CommitteeKey memory key = _keyOf(secret);
        tweak = bound(tweak, ORDER, type(uint256).max);
        _refusesTweak(key, 0);
        _refusesTweak(key, bytes32(ORDER));
        _refusesTweak(key, bytes32(tweak));
        // Leads to the point at infinity.
        _refusesTweak(key, bytes32(ORDER - secret % ORDER));
        agents.childOf(key, bytes32(ORDER - 1));
        agents.childOf(key, bytes32(uint256(1)));
    }

    function test_addsTheTweakToTheKey(uint256 committeeSecret, uint256 tweak) public {
        committeeSecret = bound(committeeSecret, 1, ORDER - 1);
        tweak = bound(tweak, 1, ORDER - 1);
        vm.assume(addmod(committeeSecret, tweak, ORDER) != 0);
        assertEq(agents.childOf(_keyOf(committeeSecret), bytes32(tweak)), _childOf(committeeSecret, bytes32(tweak)));
    }

    /// BIP-32, test vector 2: from m to m/0, and on to m/0/5.
    function test_isTheChildOfBip32() public {
        CommitteeKey memory key = _keyOf(0x4b03d6fc340455b363f51020ad3ecca4f0850280cf436c70c727923f6db46c3e);
        assertEq(key.x, 0xcbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7);
        assertEq(key.y, 0x7bd3305d363c26f82c1e41c667e4b3561c06c60a2104d2b548e6dd059056aa51);
        assertEq(
            agents.childOf(key, 0x60e3739cc2c3950b7c4d7f32cc503e13b996d0f7a45623d0a914e1efa7f811e0),
            vm.addr(0xabe74a98f6c7eabee0428f53798f0ab8aa1bd37873999041703c742f15ac7e1e)
        );
        assertEq(
            agents.childOf(key, 0xe1addf3525618dc10c58a9c96c34c34cfc2e84923fdfee2dce7cf1f9612a2e37),
            vm.addr(0x2cb1b6315965e374704db9ea19738ff33204aa2c5fdaba62d5d225abfea85934)
        );
    }

    function _refuses(CommitteeKey memory key) private {
        vm.expectRevert(IAgentRegistry.InvalidCommitteeKey.selector);
        agents.childOf(key, TWEAK);
    }

    function _refusesTweak(CommitteeKey memory key, bytes32 tweak) private {
        vm.expectRevert(IAgentRegistry.InvalidTweak.selector);
        agents.childOf(key, tweak);
    }
}
