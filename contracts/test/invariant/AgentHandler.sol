// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommitteeKey} from "../../src/interfaces/IAgentRegistry.sol";
import {AgentRegistry} from "../../src/AgentRegistry.sol";
import {AgentFixture} from "../AgentFixture.sol";

/// @dev What the handler knows of an agent without asking the registry.
struct KnownAgent {
    address owner;
    uint256 committee;
    uint256 child;
    bytes32 policyHash;
    uint64 lastRound;
    bytes lastSignature;
}

/// @title Owners, committees and strangers who use the registry in any order. No action may revert.
contract AgentHandler is AgentFixture {
    bytes32 private constant DATA = keccak256("data");
    uint256 private constant TWEAKS = 6;

    uint256[] private _committees;
    address[] private _owners;
    uint256[] public ids;
    /// Addresses that some agent gave up.
    address[] public former;
    mapping(address child => bool) private _taken;
    mapping(uint256 id => KnownAgent) private _known;

    function setUp() public override {
        super.setUp();
        _committees = [secret, otherSecret, uint256(keccak256("third committee"))];
        _owners = [alice, bob, makeAddr("carol")];
    }

    // --- actions

    function register(uint256 seed, bytes32 policyHash) external {
        (uint256 committee, bytes32 tweak) = _pickChild(seed);
        uint256 child = _childSecret(committee, tweak);
        address owner = _owners[(seed >> 64) % 3];
        CommitteeKey memory key = _keyOf(committee);
        bytes memory signature = _sign(child, _registrationDigest(owner, vm.addr(committee), tweak, policyHash));
        bool refused = _taken[vm.addr(child)] || block.timestamp < agents.pausedUntil();
        vm.prank(owner);
        (bool success,) =
            address(agents).call(abi.encodeCall(agents.registerAgent, (key, tweak, policyHash, signature)));
        assertEq(success, !refused, "registered");
        if (!success) return;
        uint256 id = uint160(vm.addr(child));
        _taken[vm.addr(child)] = true;
        ids.push(id);
        _known[id] = KnownAgent(owner, committee, child, policyHash, 0, "");
    }

    function rotate(uint256 seed, uint256 agentSeed) external {
        if (ids.length == 0) return;
        uint256 id = ids[agentSeed % ids.length];
        KnownAgent storage agent = _known[id];
        (uint256 committee, bytes32 tweak) = _pickChild(seed);
        uint256 child = _childSecret(committee, tweak);
        bytes32 digest = _rotationDigest(id, agent.owner, vm.addr(committee), tweak);
        CommitteeKey memory key = _keyOf(committee);
        bytes memory call =
            abi.encodeCall(agents.rotateCommittee, (id, key, tweak, _sign(agent.child, digest), _sign(child, digest)));
        vm.prank(agent.owner);
        (bool success,) = address(agents).call(call);
        assertEq(success, !_taken[vm.addr(child)], "rotated");
        if (!success) return;
        former.push(vm.addr(agent.child));
        _taken[vm.addr(child)] = true;
        (agent.committee, agent.child) = (committee, child);
    }

    function record(uint256 agentSeed, uint64 executions, uint32 step) external {
        if (ids.length == 0) return;
        uint256 id = ids[agentSeed % ids.length];
        KnownAgent storage agent = _known[id];
        uint64 round = agent.lastRound + 1 + step;
        bytes memory signature = _sign(agent.child, _outputDigest(id, DATA, executions, round));
        agents.recordOutput(id, DATA, executions, round, signature);
        (agent.lastRound, agent.lastSignature) = (round, abi.encode(executions, signature));
    }

    function setPolicy(uint256 agentSeed, bytes32 policyHash) external {
        if (ids.length == 0) return;
        uint256 id = ids[agentSeed % ids.length];
        vm.prank(_known[id].owner);
        agents.setPolicyHash(id, policyHash);
        _known[id].policyHash = policyHash;
    }

    function transfer(uint256 agentSeed, uint256 toSeed) external {
        if (ids.length == 0) return;
        uint256 id = ids[agentSeed % ids.length];
        address to = _owners[toSeed % 3];
        vm.prank(_known[id].owner);
        agents.transferFrom(_known[id].owner, to, id);
        _known[id].owner = to;
    }

    /// Somebody who is not the owner, or has not the key, or says again what was said.
    function misbehave(uint256 agentSeed, uint256 otherSeed) external {
        if (ids.length == 0) return;
        uint256 id = ids[agentSeed % ids.length];
        KnownAgent storage agent = _known[id];
        address other = _owners[otherSeed % 3];
        if (other != agent.owner) {
            vm.prank(other);
            (bool changed,) = address(agents).call(abi.encodeCall(agents.setPolicyHash, (id, "mine")));
            assertFalse(changed, "a stranger set a policy");
        }
        uint256 otherChild = _known[ids[otherSeed % ids.length]].child;
        uint64 round = agent.lastRound + 1;
        if (otherChild != agent.child) {
            bytes memory forged = _sign(otherChild, _outputDigest(id, DATA, 1, round));
            (bool recorded,) = address(agents).call(abi.encodeCall(agents.recordOutput, (id, DATA, 1, round, forged)));
            assertFalse(recorded, "an output was recorded under a strange key");
        }
        if (agent.lastSignature.length == 0) return;
        (uint64 executions, bytes memory signature) = abi.decode(agent.lastSignature, (uint64, bytes));
        (bool replayed,) = address(agents)
            .call(abi.encodeCall(agents.recordOutput, (id, DATA, executions, agent.lastRound, signature)));
        assertFalse(replayed, "an output was recorded twice");
    }

    function pause() external {
        if (agents.pausedUntil() != 0 && block.timestamp < agents.pausedUntil() + agents.PAUSE_COOLDOWN()) return;
        vm.prank(breaker);
        agents.pauseEntry();
    }

    function passTime(uint32 time) external {
        vm.warp(block.timestamp + time % 2 days);
    }

    // --- what the invariants ask

    function registry() external view returns (AgentRegistry) {
        return agents;
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function formerCount() external view returns (uint256) {
        return former.length;
    }

    function known(uint256 id) external view returns (KnownAgent memory) {
        return _known[id];
    }

    function _pickChild(uint256 seed) private view returns (uint256 committee, bytes32 tweak) {
        return (_committees[seed % 3], keccak256(abi.encode((seed >> 32) % TWEAKS)));
    }
}
