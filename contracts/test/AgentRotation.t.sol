// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommitteeKey, IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {AgentFixture} from "./AgentFixture.sol";

contract AgentRotationTest is AgentFixture {
    bytes32 private constant NEXT = keccak256("next tweak");
    uint256 private _id;
    uint256 private _child;
    uint256 private _nextChild;

    function setUp() public override {
        super.setUp();
        _id = _register();
        _child = _childSecret(secret, TWEAK);
        _nextChild = _childSecret(otherSecret, NEXT);
    }

    function test_rotateRefusesAnybodyButTheOwner(address caller) public {
        vm.assume(caller != alice);
        _refuses(caller, _id, NEXT, "", "", abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, caller));
        _refuses(alice, 7, NEXT, "", "", abi.encodeWithSelector(IAgentRegistry.UnknownAgent.selector, 7));
    }

    function test_rotateRefusesBadKeysAndTweaks() public {
        CommitteeKey memory key = CommitteeKey(0, 0);
        vm.prank(alice);
        vm.expectRevert(IAgentRegistry.InvalidCommitteeKey.selector);
        agents.rotateCommittee(_id, key, NEXT, "", "");
        _refuses(alice, _id, 0, "", "", abi.encodeWithSelector(IAgentRegistry.InvalidTweak.selector));
    }

    /// Both signatures, each by its own key and in its own place.
    function test_rotateRefusesWithoutBothSignatures() public {
        bytes32 digest = _rotationDigest(_id, alice, vm.addr(otherSecret), NEXT);
        (bytes memory old, bytes memory next) = (_sign(_child, digest), _sign(_nextChild, digest));
        _refusesOld("", next);
        _refusesOld(next, next);
        _refusesOld(next, old);
        _refusesOld(_highS(old), next);
        _refusesNew(old, "");
        _refusesNew(old, old);
        _refusesNew(old, _highS(next));
        _refusesNew(old, _sign(otherSecret, digest));
    }

    /// Signatures are for one agent, owner, committee, and tweak.
    function test_rotateRefusesSignaturesOverAnythingElse() public {
        address committee = vm.addr(otherSecret);
        bytes32[5] memory digests = [
            _rotationDigest(_id + 1, alice, committee, NEXT),
            _rotationDigest(_id, bob, committee, NEXT),
            _rotationDigest(_id, alice, vm.addr(secret), NEXT),
            _rotationDigest(_id, alice, committee, TWEAK),
            _registrationDigest(alice, committee, NEXT, POLICY)
        ];
        bytes memory next = _sign(_nextChild, _rotationDigest(_id, alice, committee, NEXT));
        bytes memory old = _sign(_child, _rotationDigest(_id, alice, committee, NEXT));
        for (uint256 i = 0; i < digests.length; ++i) {
            _refusesOld(_sign(_child, digests[i]), next);
            _refusesNew(old, _sign(_nextChild, digests[i]));
        }
    }

    /// What the last owner had signed is nothing to the next.
    function test_rotateRefusesSignaturesForTheOwnerBefore() public {
        bytes32 digest = _rotationDigest(_id, alice, vm.addr(otherSecret), NEXT);
        vm.prank(alice);
        agents.transferFrom(alice, bob, _id);
        _refuses(
            bob,
            _id,
            NEXT,
            _sign(_child, digest),
            _sign(_nextChild, digest),
            abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, vm.addr(_child))
        );
    }

    function test_rotateRefusesAddressesThatAreTaken() public {
        // Its own, another's, one that it gave up, and one that it has by rotation.
        _refusesTaken(secret, TWEAK);
        _register(bob, secret, NEXT);
        _refusesTaken(secret, NEXT);
        _rotate(_id, _child, otherSecret, NEXT);
        _refusesTaken(secret, TWEAK);
        _refusesTaken(otherSecret, NEXT);
    }

    function test_rotates() public {
        bytes32 digest = _rotationDigest(_id, alice, vm.addr(otherSecret), NEXT);
        assertEq(agents.rotationDigest(_id, alice, vm.addr(otherSecret), NEXT), digest);
        agents.recordOutput(_id, "data", 3, 9, _sign(_child, _outputDigest(_id, "data", 3, 9)));
        CommitteeKey memory key = _keyOf(otherSecret);
        bytes memory old = _sign(_child, digest);
        bytes memory next = _sign(_nextChild, digest);

        vm.expectEmit(address(agents));
        emit IAgentRegistry.CommitteeRotated(_id, vm.addr(_nextChild), vm.addr(otherSecret), key, NEXT);
        vm.prank(alice);
        agents.rotateCommittee(_id, key, NEXT, old, next);

        assertEq(agents.addressOf(_id), vm.addr(_nextChild));
        assertEq(agents.committeeOf(_id), vm.addr(otherSecret));
        assertEq(agents.agentOf(vm.addr(_nextChild)), _id);
        assertEq(agents.agentOf(vm.addr(_child)), 0, "given up");
        assertEq(agents.ownerOf(_id), alice);
        assertEq(agents.policyHashOf(_id), POLICY);
        assertEq(agents.lastRoundOf(_id), 9);
    }

    function test_rotatesWithinACommitteeAndOnwards() public {
        _rotate(_id, _child, secret, NEXT);
        assertEq(agents.committeeOf(_id), vm.addr(secret));
        _rotate(_id, _childSecret(secret, NEXT), otherSecret, TWEAK);
        assertEq(agents.addressOf(_id), _childOf(otherSecret, TWEAK));
        assertEq(agents.agentOf(_childOf(otherSecret, TWEAK)), _id);
        assertEq(agents.agentOf(_childOf(secret, NEXT)), 0);
        assertEq(agents.agentOf(_childOf(secret, TWEAK)), 0);
    }

    /// The pause keeps newcomers out. An agent that has to leave its committee is none.
    function test_rotatesWhilePaused() public {
        vm.prank(breaker);
        agents.pauseEntry();
        _rotate(_id, _child, otherSecret, NEXT);
        assertEq(agents.addressOf(_id), vm.addr(_nextChild));
    }

    /// A rotation that was signed and not sent dies with the next one.
    function test_anUnsentRotationDies() public {
        bytes32 digest = _rotationDigest(_id, alice, vm.addr(otherSecret), NEXT);
        _rotate(_id, _child, otherSecret, "elsewhere");
        _refuses(
            alice,
            _id,
            NEXT,
            _sign(_child, digest),
            _sign(_nextChild, digest),
            abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, _childOf(otherSecret, "elsewhere"))
        );
    }

    /// An address that was given up registers no agent of its own.
    function test_anAddressGivenUpStaysTaken() public {
        _rotate(_id, _child, otherSecret, NEXT);
        address[2] memory taken = [vm.addr(_child), vm.addr(_nextChild)];
        CommitteeKey[2] memory keys = [_keyOf(secret), _keyOf(otherSecret)];
        bytes32[2] memory tweaks = [TWEAK, NEXT];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(bob);
            vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AddressTaken.selector, taken[i]));
            agents.registerAgent(keys[i], tweaks[i], POLICY, "");
        }
    }

    // --- inner

    function _refuses(
        address caller,
        uint256 id,
        bytes32 tweak,
        bytes memory old,
        bytes memory next,
        bytes memory reason
    ) private {
        CommitteeKey memory key = _keyOf(otherSecret);
        vm.prank(caller);
        vm.expectRevert(reason);
        agents.rotateCommittee(id, key, tweak, old, next);
    }

    function _refusesOld(bytes memory old, bytes memory next) private {
        _refuses(
            alice, _id, NEXT, old, next, abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, vm.addr(_child))
        );
    }

    function _refusesNew(bytes memory old, bytes memory next) private {
        _refuses(
            alice,
            _id,
            NEXT,
            old,
            next,
            abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, vm.addr(_nextChild))
        );
    }

    function _refusesTaken(uint256 committeeSecret, bytes32 tweak) private {
        CommitteeKey memory key = _keyOf(committeeSecret);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AddressTaken.selector, _childOf(committeeSecret, tweak)));
        agents.rotateCommittee(_id, key, tweak, "", "");
    }
}
