// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IHalo2Verifier, ProofFixture, ProvenJob} from "./ProofFixture.sol";
import {Circuit, IProofSystem} from "../src/interfaces/IProofSystem.sol";
import {FakeVerifier, OtherFakeVerifier} from "./mocks/FakeVerifier.sol";

/// @title Proofs made by EZKL, and everything that must not pass for one.
contract ConsumeProofTest is ProofFixture {
    // --- the real proof

    function test_consumesARealProof() public {
        ProvenJob memory job = _vector("job");
        bytes32 nullifier = _nullifier(job);
        assertFalse(proofs.isUsed(nullifier));
        assertTrue(_verifies(job, _encoded(job)));
        assertEq(
            proofs.check(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, _encoded(job)), nullifier
        );
        vm.expectEmit(address(proofs));
        emit IProofSystem.ProofConsumed(job.jobId, circuit, model, nullifier, job.resultHash);
        _consume(job);
        assertTrue(proofs.isUsed(nullifier));
    }

    function test_onlyTheMarketplaceConsumes() public {
        ProvenJob memory job = _vector("job");
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.NotMarketplace.selector, owner));
        proofs.consume(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, _encoded(job));
    }

    function test_refusesAProofTwice() public {
        ProvenJob memory job = _vector("job");
        _consume(job);
        bytes memory reason = abi.encodeWithSelector(IProofSystem.ProofAlreadyUsed.selector, _nullifier(job));
        _refuses(job, reason);
        // The same statement with a proof of its own, which is true as well.
        ProvenJob memory again = _vector("again");
        assertNotEq(keccak256(again.snark), keccak256(job.snark));
        _refuses(again, reason);
        // Another job's is another statement.
        _consume(_vector("otherJob"));
    }

    function test_anotherProofOfTheStatementCountsToo() public {
        _consume(_vector("again"));
    }

    function test_refusesADamagedProof() public {
        ProvenJob memory job = _vector("job");
        bytes memory reason = abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit);
        for (uint256 i = 0; i < 8; ++i) {
            uint256 position = i * (job.snark.length - 1) / 7;
            job.snark[position] ^= 0x01;
            _refuses(job, reason);
            job.snark[position] ^= 0x01;
        }
        assertTrue(_verifies(job, _encoded(job)));
    }

    function test_refusesAnyFlippedBit(uint256 position, uint8 bit) public {
        ProvenJob memory job = _vector("job");
        job.snark[position % job.snark.length] ^= bytes1(uint8(1 << (bit % 8)));
        _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
    }

    /// Wherever a bit of the whole argument changes: offsets, lengths, proof, instances.
    function test_noFlippedBitOfTheEncodingVerifies(uint256 position, uint8 bit) public view {
        ProvenJob memory job = _vector("job");
        bytes memory proof = _encoded(job);
        proof[position % proof.length] ^= bytes1(uint8(1 << (bit % 8)));
        assertFalse(_verifies(job, proof));
    }

    function test_refusesProofsOfAnotherLength() public {
        ProvenJob memory job = _vector("job");
        bytes memory whole = job.snark;
        bytes memory reason = abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit);
        job.snark = "";
        _refuses(job, reason);
        job.snark = _slice(whole, whole.length - 1);
        _refuses(job, reason);
        job.snark = _slice(whole, whole.length - 32);
        _refuses(job, reason);
        job.snark = abi.encodePacked(whole, uint8(0));
        _refuses(job, reason);
        job.snark = abi.encodePacked(whole, uint256(0));
        _refuses(job, reason);
    }

    // --- another statement

    function test_refusesAnotherInput(uint256 value) public {
        ProvenJob memory job = _vector("job");
        value = bound(value, 0, FIELD - 1);
        vm.assume(value != job.instances[3]);
        job.instances[3] = value;
        bytes32 hashed = keccak256(abi.encode(job.instances[0], job.instances[1], job.instances[2], value));
        _refuses(job, abi.encodeWithSelector(IProofSystem.InputMismatch.selector, hashed, job.inputHash));
        // Even if the job's input were that one.
        job.inputHash = hashed;
        _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
    }

    function test_refusesAnotherResult(uint256 value) public {
        ProvenJob memory job = _vector("job");
        value = bound(value, 0, FIELD - 1);
        vm.assume(value != job.instances[6]);
        job.instances[6] = value;
        bytes32 hashed = keccak256(abi.encode(value, job.instances[7], job.instances[8]));
        _refuses(job, abi.encodeWithSelector(IProofSystem.ResultMismatch.selector, hashed, job.resultHash));
        job.resultHash = hashed;
        _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
    }

    /// A prover that claims 12 where the model says 11 gets a proof, of nothing.
    function test_refusesAProofMadeForAFalseResult() public {
        ProvenJob memory job = _vector("falseResult");
        assertEq(job.instances[6], _vector("job").instances[6] + 1);
        _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
    }

    /// A true proof for this job, of a model with one weight changed.
    function test_refusesTheProofOfAnotherModel() public {
        _refuses(_vector("otherModel"), abi.encodeWithSelector(IProofSystem.ProofRefused.selector, circuit));
    }

    function test_refusesAnotherJob() public {
        ProvenJob memory job = _vector("job");
        job.jobId = vm.parseJsonBytes32(vectors, ".otherJob");
        _refusesUnlessBound(job);
        job.jobId = bytes32(uint256(_vector("job").jobId) ^ 1);
        _refusesUnlessBound(job);
    }

    function test_refusesAnotherChain() public {
        ProvenJob memory job = _vector("job");
        vm.chainId(1);
        _refusesUnlessBound(job);
    }

    function test_refusesAnotherMarketplace() public {
        marketplace = stranger;
        _proofSystemAt(address(proofs), stranger);
        _refusesUnlessBound(_vector("job"));
    }

    function test_refusesAnotherProofSystem() public {
        proofs = _proofSystemAt(makeAddr("elsewhere"), marketplace);
        _register(description);
        _refusesUnlessBound(_vector("job"));
    }

    function test_refusesAnotherModelOfTheSameVerifier() public {
        ProvenJob memory job = _vector("job");
        Circuit memory other = description;
        other.model = keccak256("other model");
        job.circuit = _register(other);
        _refuses(job, abi.encodeWithSelector(IProofSystem.ModelMismatch.selector, model, other.model));
        job.model = other.model;
        _refusesUnlessBound(job);
        job = _vector("job");
        job.model = other.model;
        _refuses(job, abi.encodeWithSelector(IProofSystem.ModelMismatch.selector, other.model, model));
    }

    function test_refusesTheVerifierOfAnotherCircuit() public {
        string memory digest = vm.replace(vm.parseJsonString(vectors, ".verifierDigest"), "0x", "");
        string memory changed = vm.replace(_verifierCode(), digest, vm.toLowercase(_hexOf(keccak256("other key"))));
        Circuit memory other = description;
        other.verifier = _deployed(changed);
        ProvenJob memory job = _vector("job");
        job.circuit = _register(other);
        assertNotEq(job.circuit, circuit);
        _refusesUnlessBound(job);
        // The verifier alone, without the binding.
        assertTrue(IHalo2Verifier(description.verifier).verifyProof(job.snark, _vector("job").instances));
        vm.expectRevert(bytes(""));
        IHalo2Verifier(other.verifier).verifyProof(job.snark, _vector("job").instances);
    }

    // --- instances

    function test_refusesAnotherNumberOfInstances() public {
        ProvenJob memory job = _vector("job");
        uint256[] memory whole = job.instances;
        job.instances = _resized(whole, 8);
        _refuses(job, abi.encodeWithSelector(IProofSystem.InstanceCountMismatch.selector, 8, 9));
        job.instances = _resized(whole, 10);
        _refuses(job, abi.encodeWithSelector(IProofSystem.InstanceCountMismatch.selector, 10, 9));
        job.instances = _resized(whole, 0);
        _refuses(job, abi.encodeWithSelector(IProofSystem.InstanceCountMismatch.selector, 0, 9));
    }

    /// x and x + r are one field element, and must not be two inputs, results or nullifiers.
    function test_refusesInstancesBeyondTheField(uint256 position) public {
        ProvenJob memory job = _vector("job");
        position = position % job.instances.length;
        job.instances[position] %= 1 << 250;
        job.instances[position] += FIELD;
        _refuses(
            job, abi.encodeWithSelector(IProofSystem.InstanceNotInField.selector, position, job.instances[position])
        );
    }

    function test_fieldEndsBelowItsOrder() public {
        (bytes32 id,) = _fake("model", 1, 2, 1);
        ProvenJob memory job = _faked(id, "job");
        job.instances[0] = FIELD;
        _hash(job);
        _refuses(job, abi.encodeWithSelector(IProofSystem.InstanceNotInField.selector, 0, FIELD));
        job.instances[0] = 0;
        job.instances[3] = FIELD;
        _hash(job);
        _refuses(job, abi.encodeWithSelector(IProofSystem.InstanceNotInField.selector, 3, FIELD));
        job.instances[0] = FIELD - 1;
        job.instances[3] = FIELD - 1;
        _hash(job);
        _consume(job);
    }

    function test_everyLimbIsCompared(uint8 power, uint256 position, uint256 bit) public {
        uint16 limbs = uint16(1) << uint16(bound(power, 1, 8));
        (bytes32 id,) = _fake("model", 3, limbs, 2);
        ProvenJob memory job = _faked(id, "job");
        position = position % limbs;
        uint256 right = job.instances[3 + position];
        uint256 wrong = right ^ (1 << (bit % (256 / limbs)));
        job.instances[3 + position] = wrong;
        _refuses(job, abi.encodeWithSelector(IProofSystem.BindingMismatch.selector, position, wrong, right));
        // Nor may a limb carry anything above its bits.
        wrong = right + (1 << (256 / limbs));
        job.instances[3 + position] = wrong;
        _refuses(job, abi.encodeWithSelector(IProofSystem.BindingMismatch.selector, position, wrong, right));
        job.instances[3 + position] = right;
        _consume(job);
    }

    function test_limbsAreMostSignificantFirst() public view {
        ProvenJob memory job = _vector("job");
        bytes32 binding = proofs.bindingOf(job.jobId, circuit, model);
        assertEq(job.instances[4], uint256(binding) >> 128);
        assertEq(job.instances[5], uint128(uint256(binding)));
    }

    // --- circuits

    function test_refusesAnUnknownCircuit() public {
        ProvenJob memory job = _vector("job");
        job.circuit = "none";
        _refuses(job, abi.encodeWithSelector(IProofSystem.CircuitUnknown.selector, bytes32("none")));
    }

    function test_aRetiredCircuitServesForSevenDays() public {
        vm.prank(owner);
        proofs.retireCircuit(circuit);
        ProvenJob memory job = _vector("job");
        vm.warp(START + 7 days + 1);
        _refuses(job, abi.encodeWithSelector(IProofSystem.CircuitExpired.selector, circuit, START + 7 days));
        vm.warp(START + 7 days);
        _consume(job);
    }

    // --- verifiers

    function test_verifierGetsProofAndInstances() public {
        (bytes32 id, FakeVerifier verifier) = _fake("model", 2, 4, 3);
        ProvenJob memory job = _faked(id, "job");
        verifier.expect(abi.encodeWithSignature("verifyProof(bytes,uint256[])", job.snark, job.instances));
        _consume(job);
    }

    function test_refusesEveryAnswerButTrue() public {
        (bytes32 id, FakeVerifier verifier) = _fake("model", 1, 2, 1);
        ProvenJob memory job = _faked(id, "job");
        for (uint8 i = 1; i <= uint8(type(FakeVerifier.Answer).max); ++i) {
            verifier.set(FakeVerifier.Answer(i));
            _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, id));
        }
        verifier.set(FakeVerifier.Answer.True);
        _consume(job);
    }

    function test_aLoopingVerifierIsStopped() public {
        (bytes32 id, FakeVerifier verifier) = _fake("model", 1, 2, 1);
        verifier.set(FakeVerifier.Answer.Loop);
        ProvenJob memory job = _faked(id, "job");
        bytes memory proof = _encoded(job);
        uint256 before = gasleft();
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.ProofRefused.selector, id));
        proofs.check(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, proof);
        assertLt(before - gasleft(), 5_100_000);
    }

    function test_refusesAVerifierWhoseCodeChanged() public {
        (bytes32 id, FakeVerifier verifier) = _fake("model", 1, 2, 1);
        ProvenJob memory job = _faked(id, "job");
        bytes memory reason = abi.encodeWithSelector(IProofSystem.VerifierChanged.selector, id);
        bytes memory code = address(verifier).code;
        vm.etch(address(verifier), address(new OtherFakeVerifier()).code);
        _refuses(job, reason);
        vm.etch(address(verifier), "");
        _refuses(job, reason);
        vm.etch(address(verifier), code);
        _consume(job);
    }

    // --- encoding

    function test_refusesMalformedProofs() public {
        ProvenJob memory job = _vector("job");
        bytes memory proof = _encoded(job);
        bytes memory reason = abi.encodeWithSelector(IProofSystem.MalformedProof.selector);
        _refuses(job, "", reason);
        _refuses(job, _slice(proof, proof.length - 1), reason);
        _refuses(job, _slice(proof, proof.length - 32), reason);
        _refuses(job, abi.encodePacked(proof, uint8(0)), reason);
        _refuses(job, abi.encodePacked(proof, uint256(0)), reason);
    }

    /// @dev Refuses for its binding as it is, and by the verifier if the binding is made to fit.
    function _refusesUnlessBound(ProvenJob memory job) private {
        uint256 given = job.instances[4];
        uint256 expected = uint256(proofs.bindingOf(job.jobId, job.circuit, job.model)) >> 128;
        _refuses(job, abi.encodeWithSelector(IProofSystem.BindingMismatch.selector, 0, given, expected));
        _bind(job);
        assertEq(job.instances[4], expected);
        _refuses(job, abi.encodeWithSelector(IProofSystem.ProofRefused.selector, job.circuit));
    }

    function _hexOf(bytes32 value) private pure returns (string memory) {
        return vm.replace(vm.toString(value), "0x", "");
    }

    function _slice(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = data[i];
        }
    }

    function _resized(uint256[] memory all, uint256 length) private pure returns (uint256[] memory some) {
        some = new uint256[](length);
        for (uint256 i = 0; i < length && i < all.length; ++i) {
            some[i] = all[i];
        }
    }
}
