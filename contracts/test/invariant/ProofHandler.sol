// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Circuit} from "../../src/interfaces/IProofSystem.sol";
import {ProofFixture, ProvenJob} from "../ProofFixture.sol";
import {FakeVerifier} from "../mocks/FakeVerifier.sol";

/// @title Everything governance, hosts and cheats can do to the proof system, in any order.
/// @dev No function here may revert: each first makes sure that what it does is allowed, and returns if it is not.
contract ProofHandler is ProofFixture {
    FakeVerifier private _verifier;
    bytes32[] public circuits;
    mapping(bytes32 circuit => uint40) public retiredAt;
    bytes32[] public consumed;
    /// How often each nullifier was consumed.
    mapping(bytes32 nullifier => uint256) public uses;
    /// Nullifiers of what was tried and refused, and has not been taken since.
    bytes32[] public refused;

    function setUp() public override {
        super.setUp();
        _verifier = new FakeVerifier();
        register(3, 1);
    }

    function register(uint16 inputs, uint16 outputs) public {
        if (circuits.length == 8) return;
        Circuit memory made =
            Circuit(address(_verifier), keccak256(abi.encode(circuits.length)), inputs % 4 + 1, 2, outputs % 4 + 1);
        circuits.push(_register(made));
    }

    function retire(uint256 seed) external {
        bytes32 id = circuits[seed % circuits.length];
        if (retiredAt[id] != 0) return;
        retiredAt[id] = uint40(block.timestamp);
        vm.prank(owner);
        proofs.retireCircuit(id);
    }

    function passTime(uint40 length) external {
        vm.warp(block.timestamp + bound(length, 1, 4 days));
    }

    /// One of a few jobs, so that they come again.
    function prove(uint256 seed, uint8 job) external {
        bytes32 id = circuits[seed % circuits.length];
        ProvenJob memory made = _faked(id, bytes32(uint256(job % 16)));
        bytes32 nullifier = _nullifier(made);
        if (expired(id) || uses[nullifier] != 0) {
            require(!_accepted(made), "taken twice, or of an expired circuit");
            return;
        }
        _consume(made);
        ++uses[nullifier];
        consumed.push(nullifier);
    }

    /// A proof of one job for another.
    function replay(uint256 seed, uint8 job, uint8 another) external {
        bytes32 id = circuits[seed % circuits.length];
        ProvenJob memory made = _faked(id, bytes32(uint256(job)));
        made.jobId = bytes32(uint256(another) + 256);
        _cheat(made);
    }

    /// A result that the verifier denies.
    function lie(uint256 seed, uint16 job) external {
        bytes32 id = circuits[seed % circuits.length];
        _verifier.set(FakeVerifier.Answer.False);
        _cheat(_faked(id, bytes32(uint256(job) + 512)));
        _verifier.set(FakeVerifier.Answer.True);
    }

    function circuitCount() external view returns (uint256) {
        return circuits.length;
    }

    function consumedCount() external view returns (uint256) {
        return consumed.length;
    }

    function refusedCount() external view returns (uint256) {
        return refused.length;
    }

    function isUsed(bytes32 nullifier) external view returns (bool) {
        return proofs.isUsed(nullifier);
    }

    function isActive(bytes32 id) external view returns (bool) {
        return proofs.isActive(id, proofs.getCircuit(id).model);
    }

    function expired(bytes32 id) public view returns (bool) {
        return retiredAt[id] != 0 && block.timestamp > retiredAt[id] + 7 days;
    }

    function _cheat(ProvenJob memory made) private {
        require(!_accepted(made), "a cheat got through");
        refused.push(_nullifier(made));
    }

    function _accepted(ProvenJob memory made) private returns (bool accepted) {
        vm.prank(marketplace);
        (accepted,) = address(proofs)
            .call(
                abi.encodeCall(
                    proofs.consume,
                    (made.circuit, made.model, made.jobId, made.inputHash, made.resultHash, _encoded(made))
                )
            );
    }
}
