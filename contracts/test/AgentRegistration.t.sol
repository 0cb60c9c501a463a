// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {AgentRegistry} from "../src/AgentRegistry.sol";
import {EntryPause} from "../src/EntryPause.sol";
import {CommitteeKey, IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {AgentFixture} from "./AgentFixture.sol";

contract AgentRegistrationTest is AgentFixture {
    function test_constructorRefusesNoCircuitBreaker() public {
        vm.expectRevert(EntryPause.ZeroCircuitBreaker.selector);
        new AgentRegistry(address(0));
    }

    function test_constructorNamesItself() public view {
        assertEq(agents.CIRCUIT_BREAKER(), breaker);
        assertEq(agents.name(), "Capstan Agent");
        assertEq(agents.symbol(), "AGENT");
        assertEq(agents.interfaceVersion(), keccak256("capstan.AgentRegistry.v1"));
        assertTrue(agents.supportsInterface(type(IERC721).interfaceId));
        (, string memory name, string memory version,,,,) = agents.eip712Domain();
        assertEq(name, "Capstan");
        assertEq(version, "1");
    }

    // --- registerAgent

    function test_registerRefusesWhilePaused() public {
        bytes memory signature = _registration(alice, secret, TWEAK);
        vm.prank(breaker);
        agents.pauseEntry();
        _refuses(alice, TWEAK, signature, abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, START + 3 days));
        vm.warp(START + 3 days);
        _register();
    }

    function test_registerRefusesBadKeysAndTweaks() public {
        CommitteeKey memory key = _keyOf(secret);
        (key.x, key.y) = (key.y, key.x);
        vm.expectRevert(IAgentRegistry.InvalidCommitteeKey.selector);
        agents.registerAgent(key, TWEAK, POLICY, "");
        _refuses(alice, 0, "", abi.encodeWithSelector(IAgentRegistry.InvalidTweak.selector));
        _refuses(alice, bytes32(ORDER), "", abi.encodeWithSelector(IAgentRegistry.InvalidTweak.selector));
    }

    /// The committee's key alone does not sign for its child, nor any other key.
    function test_registerRefusesOtherSigners(uint256 signer) public {
        signer = bound(signer, 1, ORDER - 1);
        vm.assume(signer != _childSecret(secret, TWEAK));
        bytes32 digest = _registrationDigest(alice, vm.addr(secret), TWEAK, POLICY);
        _refusesSignature(alice, _sign(signer, digest));
        _refusesSignature(alice, _sign(secret, digest));
    }

    function test_registerRefusesMalleatedAndMalformedSignatures() public {
        bytes memory signature = _registration(alice, secret, TWEAK);
        _refusesSignature(alice, _highS(signature));
        _refusesSignature(alice, "");
        _refusesSignature(alice, new bytes(65));
        _refusesSignature(alice, abi.encodePacked(signature, uint8(0)));
        signature[64] = bytes1(uint8(signature[64]) - 27);
        _refusesSignature(alice, signature);
    }

    /// A signature is for one owner, committee, tweak, policy, contract, and chain.
    function test_registerRefusesSignaturesOverAnythingElse() public {
        uint256 child = _childSecret(secret, TWEAK);
        address committee = vm.addr(secret);
        _refusesSignature(bob, _registration(alice, secret, TWEAK));
        _refusesSignature(alice, _sign(child, _registrationDigest(alice, bob, TWEAK, POLICY)));
        _refusesSignature(alice, _sign(child, _registrationDigest(alice, committee, "other", POLICY)));
        _refusesSignature(alice, _sign(child, _registrationDigest(alice, committee, TWEAK, "other")));
        bytes32 typeHash = keccak256("RegisterAgent(address owner,address committee,bytes32 tweak,bytes32 policyHash)");
        bytes32 structHash = keccak256(abi.encode(typeHash, alice, committee, TWEAK, POLICY));
        _refusesSignature(alice, _sign(child, _typed(structHash, block.chainid + 1, address(agents))));
        _refusesSignature(alice, _sign(child, _typed(structHash, block.chainid, bob)));
        typeHash = keccak256("RotateCommittee(uint256 agentId,address owner,address committee,bytes32 tweak)");
        structHash = keccak256(abi.encode(typeHash, alice, committee, TWEAK, POLICY));
        _refusesSignature(alice, _sign(child, _typed(structHash)));
    }

    /// With a free choice of tweak, a signature over one hash fits any other, under another child of the same
    /// committee. It is of no use: the hash names the tweak.
    function test_registerRefusesASignatureBentToAnotherTweak() public {
        bytes32 signedHash = keccak256("anything the committee signed");
        uint256 child = _childSecret(secret, TWEAK);
        bytes memory signature = _sign(child, signedHash);
        (, bytes32 r,) = vm.sign(child, signedHash);
        bytes32 wanted = _registrationDigest(bob, vm.addr(secret), TWEAK, POLICY);
        // tweak' = tweak + (h - h') / r
        uint256 difference = addmod(uint256(signedHash), ORDER - uint256(wanted) % ORDER, ORDER);
        bytes32 bent = bytes32(addmod(uint256(TWEAK), mulmod(difference, _inverse(uint256(r)), ORDER), ORDER));
        address fake = _childOf(secret, bent);
        assertEq(ecrecover(wanted, uint8(signature[64]), r, _sOf(signature)), fake, "it fits that hash");

        _refuses(bob, bent, signature, abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, fake));
    }

    function test_registerRefusesAnAddressThatIsTaken() public {
        _register();
        address child = _childOf(secret, TWEAK);
        bytes memory taken = abi.encodeWithSelector(IAgentRegistry.AddressTaken.selector, child);
        _refuses(alice, TWEAK, _registration(alice, secret, TWEAK), taken);
        _refuses(bob, TWEAK, _registration(bob, secret, TWEAK), taken);
        // The same address as the child of another committee.
        bytes32 way = bytes32(addmod(_childSecret(secret, TWEAK), ORDER - otherSecret % ORDER, ORDER));
        CommitteeKey memory key = _keyOf(otherSecret);
        assertEq(agents.childOf(key, way), child);
        bytes memory signature = _registration(bob, otherSecret, way);
        vm.prank(bob);
        vm.expectRevert(taken);
        agents.registerAgent(key, way, POLICY, signature);
    }

    function test_registers(uint256 committeeSecret, uint256 tweak, bytes32 policyHash, address owner) public {
        committeeSecret = bound(committeeSecret, 1, ORDER - 1);
        tweak = bound(tweak, 1, ORDER - 1);
        vm.assume(addmod(committeeSecret, tweak, ORDER) != 0 && owner != address(0));
        CommitteeKey memory key = _keyOf(committeeSecret);
        address committee = vm.addr(committeeSecret);
        address child = _childOf(committeeSecret, bytes32(tweak));
        uint256 id = uint160(child);
        bytes32 digest = _registrationDigest(owner, committee, bytes32(tweak), policyHash);
        assertEq(agents.registrationDigest(owner, committee, bytes32(tweak), policyHash), digest);
        bytes memory signature = _sign(_childSecret(committeeSecret, bytes32(tweak)), digest);
        assertEq(agents.agentOf(child), 0);

        vm.expectEmit(address(agents));
        emit IAgentRegistry.AgentRegistered(id, owner, committee, key, bytes32(tweak), policyHash);
        vm.expectEmit(address(agents));
        emit IERC721.Transfer(address(0), owner, id);
        vm.prank(owner);
        assertEq(agents.registerAgent(key, bytes32(tweak), policyHash, signature), id);

        assertEq(agents.ownerOf(id), owner);
        assertEq(agents.agentOf(child), id);
        assertEq(agents.addressOf(id), child);
        assertEq(agents.committeeOf(id), committee);
        assertEq(agents.policyHashOf(id), policyHash);
        assertEq(agents.lastRoundOf(id), 0);
    }

    function test_oneCommitteeHasManyAgents() public {
        uint256 first = _register();
        uint256 second = _register(bob, secret, "second");
        assertNotEq(first, second);
        assertEq(agents.committeeOf(first), agents.committeeOf(second));
        assertEq(agents.ownerOf(first), alice);
        assertEq(agents.ownerOf(second), bob);
    }

    // --- setPolicyHash

    function test_setPolicyHashRefusesAnybodyButTheOwner(address caller) public {
        vm.assume(caller != alice);
        uint256 id = _register();
        vm.prank(alice);
        agents.approve(bob, id);
        _refusesPolicy(caller, id, abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, caller));
        _refusesPolicy(bob, id, abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, bob));
        _refusesPolicy(alice, 1, abi.encodeWithSelector(IAgentRegistry.UnknownAgent.selector, 1));
    }

    function test_setPolicyHashFollowsTheToken(bytes32 policyHash) public {
        uint256 id = _register();
        vm.prank(alice);
        agents.transferFrom(alice, bob, id);
        assertEq(agents.policyHashOf(id), POLICY);
        _refusesPolicy(alice, id, abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, alice));
        vm.expectEmit(address(agents));
        emit IAgentRegistry.PolicyHashSet(id, policyHash);
        vm.prank(bob);
        agents.setPolicyHash(id, policyHash);
        assertEq(agents.policyHashOf(id), policyHash);
    }

    // --- views

    function test_viewsRefuseUnknownAgents(uint256 id) public {
        bytes memory unknown = abi.encodeWithSelector(IAgentRegistry.UnknownAgent.selector, id);
        vm.expectRevert(unknown);
        agents.addressOf(id);
        vm.expectRevert(unknown);
        agents.committeeOf(id);
        vm.expectRevert(unknown);
        agents.policyHashOf(id);
        vm.expectRevert(unknown);
        agents.lastRoundOf(id);
        vm.expectRevert(unknown);
        agents.tokenURI(id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id));
        agents.ownerOf(id);
        assertEq(agents.agentOf(address(0)), 0);
        assertEq(agents.agentOf(address(uint160(id))), 0);
    }

    function test_tokenUriSaysWhatIsStored() public {
        uint256 id = _register();
        string memory child = vm.toLowercase(vm.toString(_childOf(secret, TWEAK)));
        string memory committee = vm.toLowercase(vm.toString(vm.addr(secret)));
        string memory json = string.concat(
            '{"name":"Capstan agent ',
            child,
            '","address":"',
            child,
            '","committee":"',
            committee,
            '","policyHash":"',
            vm.toString(POLICY),
            '"}'
        );
        assertEq(agents.tokenURI(id), string.concat("data:application/json;base64,", vm.toBase64(json)));
        _rotate(id, _childSecret(secret, TWEAK), otherSecret, TWEAK);
        json = string.concat(
            '{"name":"Capstan agent ',
            child,
            '","address":"',
            vm.toLowercase(vm.toString(_childOf(otherSecret, TWEAK))),
            '","committee":"',
            vm.toLowercase(vm.toString(vm.addr(otherSecret))),
            '","policyHash":"',
            vm.toString(POLICY),
            '"}'
        );
        assertEq(agents.tokenURI(id), string.concat("data:application/json;base64,", vm.toBase64(json)));
    }

    // --- inner

    function _refuses(address owner, bytes32 tweak, bytes memory signature, bytes memory reason) private {
        CommitteeKey memory key = _keyOf(secret);
        vm.prank(owner);
        vm.expectRevert(reason);
        agents.registerAgent(key, tweak, POLICY, signature);
    }

    function _refusesSignature(address owner, bytes memory signature) private {
        _refuses(
            owner,
            TWEAK,
            signature,
            abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, _childOf(secret, TWEAK))
        );
    }

    function _refusesPolicy(address caller, uint256 id, bytes memory reason) private {
        vm.prank(caller);
        vm.expectRevert(reason);
        agents.setPolicyHash(id, "new");
    }

    function _sOf(bytes memory signature) private pure returns (bytes32 s) {
        assembly ("memory-safe") {
            s := mload(add(signature, 0x40))
        }
    }

    /// @dev By Fermat, as the order is a prime.
    function _inverse(uint256 value) private pure returns (uint256 result) {
        result = 1;
        for (uint256 exponent = ORDER - 2; exponent != 0; exponent >>= 1) {
            if (exponent & 1 == 1) result = mulmod(result, value, ORDER);
            value = mulmod(value, value, ORDER);
        }
    }
}
