// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {AgentFixture} from "./AgentFixture.sol";

contract AgentOutputsTest is AgentFixture {
    bytes32 private constant DATA = keccak256("data");
    address private _relayer = makeAddr("relayer");
    uint256 private _id;
    uint256 private _child;

    function setUp() public override {
        super.setUp();
        _id = _register();
        _child = _childSecret(secret, TWEAK);
    }

    function test_recordRefusesUnknownAgents(uint256 id) public {
        vm.assume(id != _id);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.UnknownAgent.selector, id));
        agents.recordOutput(id, DATA, 1, 1, "");
    }

    function test_recordRefusesOtherSigners(uint256 signer) public {
        signer = bound(signer, 1, ORDER - 1);
        vm.assume(signer != _child);
        bytes32 digest = _outputDigest(_id, DATA, 1, 1);
        _refusesSignature(_sign(signer, digest));
        _refusesSignature(_sign(secret, digest));
        _refusesSignature(_highS(_sign(_child, digest)));
        _refusesSignature("");
    }

    /// A signature is for one agent, output, number of executions, round, contract, and chain.
    function test_recordRefusesSignaturesOverAnythingElse() public {
        _refusesSignature(_sign(_child, _outputDigest(_id + 1, DATA, 1, 1)));
        _refusesSignature(_sign(_child, _outputDigest(_id, "other", 1, 1)));
        _refusesSignature(_sign(_child, _outputDigest(_id, DATA, 2, 1)));
        _refusesSignature(_sign(_child, _outputDigest(_id, DATA, 1, 2)));
        bytes32 typeHash =
            keccak256("RecordOutput(uint256 agentId,bytes32 dataHash,uint64 executions,uint64 consensusRound)");
        bytes32 structHash = keccak256(abi.encode(typeHash, _id, DATA, 1, 1));
        _refusesSignature(_sign(_child, _typed(structHash, block.chainid + 1, address(agents))));
        _refusesSignature(_sign(_child, _typed(structHash, block.chainid, address(this))));
    }

    /// Under a fork the old chain's signatures stay where they were made.
    function test_recordRefusesSignaturesOfAForkedChain() public {
        bytes memory signature = _sign(_child, _outputDigest(_id, DATA, 1, 1));
        vm.chainId(block.chainid + 1);
        _refusesSignature(signature);
        agents.recordOutput(_id, DATA, 1, 1, _sign(_child, _outputDigest(_id, DATA, 1, 1)));
    }

    function test_recordRefusesRoundsThatAreNotHigher(uint64 last, uint64 round) public {
        last = uint64(bound(last, 1, type(uint64).max));
        round = uint64(bound(round, 0, last));
        _refusesRound(0, 0);
        _record(last);
        _refusesRound(round, last);
        _refusesRound(last, last);
    }

    function test_recordRefusesAReplay() public {
        bytes memory signature = _sign(_child, _outputDigest(_id, DATA, 1, 1));
        agents.recordOutput(_id, DATA, 1, 1, signature);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.RoundNotHigher.selector, 1, 1));
        agents.recordOutput(_id, DATA, 1, 1, signature);
    }

    function test_recordRefusesTheAddressGivenUp() public {
        _rotate(_id, _child, otherSecret, TWEAK);
        bytes32 digest = _outputDigest(_id, DATA, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, _childOf(otherSecret, TWEAK)));
        agents.recordOutput(_id, DATA, 1, 1, _sign(_child, digest));
        agents.recordOutput(_id, DATA, 1, 1, _sign(_childSecret(otherSecret, TWEAK), digest));
    }

    function test_records(bytes32 dataHash, uint64 executions, uint64 round) public {
        round = uint64(bound(round, 1, type(uint64).max));
        bytes32 digest = _outputDigest(_id, dataHash, executions, round);
        assertEq(agents.outputDigest(_id, dataHash, executions, round), digest);
        vm.expectEmit(address(agents));
        emit IAgentRegistry.OutputRecorded(_id, dataHash, executions, round);
        vm.prank(_relayer);
        agents.recordOutput(_id, dataHash, executions, round, _sign(_child, digest));
        assertEq(agents.lastRoundOf(_id), round);
        assertEq(agents.addressOf(_id), vm.addr(_child));
    }

    function test_roundsGoOnAndMayBeLeftOut() public {
        _record(1);
        _record(2);
        _record(40);
        assertEq(agents.lastRoundOf(_id), 40);
    }

    function test_roundsAreEachAgentsOwn() public {
        uint256 other = _register(bob, secret, "other");
        _record(5);
        assertEq(agents.lastRoundOf(other), 0);
        agents.recordOutput(other, DATA, 1, 1, _sign(_childSecret(secret, "other"), _outputDigest(other, DATA, 1, 1)));
        assertEq(agents.lastRoundOf(_id), 5);
        assertEq(agents.lastRoundOf(other), 1);
    }

    function test_recordsWhilePaused() public {
        vm.prank(breaker);
        agents.pauseEntry();
        _record(1);
        vm.prank(alice);
        agents.setPolicyHash(_id, "new");
        assertEq(agents.policyHashOf(_id), "new");
    }

    // --- inner

    function _record(uint64 round) private {
        vm.prank(_relayer);
        agents.recordOutput(_id, DATA, 1, round, _sign(_child, _outputDigest(_id, DATA, 1, round)));
    }

    function _refusesSignature(bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.BadSignature.selector, vm.addr(_child)));
        agents.recordOutput(_id, DATA, 1, 1, signature);
    }

    function _refusesRound(uint64 round, uint64 last) private {
        bytes memory signature = _sign(_child, _outputDigest(_id, DATA, 1, round));
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.RoundNotHigher.selector, round, last));
        agents.recordOutput(_id, DATA, 1, round, signature);
    }
}
