// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Circuit} from "../src/interfaces/IProofSystem.sol";
import {ProofSystem} from "../src/ProofSystem.sol";
import {FakeVerifier} from "./mocks/FakeVerifier.sol";

/// @dev What EZKL generates.
interface IHalo2Verifier {
    function verifyProof(bytes calldata proof, uint256[] calldata instances) external returns (bool);
}

/// @dev A job and a proof for it: the arguments of `consume`.
struct ProvenJob {
    bytes32 circuit;
    bytes32 model;
    bytes32 jobId;
    bytes32 inputHash;
    bytes32 resultHash;
    bytes snark;
    uint256[] instances;
}

/// @title Proof system, real verifier and real proofs, standing where the proofs were made for: see ezkl/README.md.
abstract contract ProofFixture is Test {
    string private constant VECTORS = "ezkl/vectors.json";
    string private constant VERIFIER = "ezkl/verifier/Halo2Verifier.json";
    uint256 internal constant FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint40 internal constant START = 1_800_000_000;

    address internal owner = makeAddr("timelock");
    address internal stranger = makeAddr("stranger");
    address internal marketplace;
    ProofSystem internal proofs;
    /// The circuit of the vectors.
    bytes32 internal circuit;
    bytes32 internal model;
    Circuit internal description;

    string internal vectors;

    function setUp() public virtual {
        vm.warp(START);
        vm.chainId(31337);
        vectors = vm.readFile(VECTORS);
        marketplace = vm.parseJsonAddress(vectors, ".marketplace");
        proofs = _proofSystemAt(vm.parseJsonAddress(vectors, ".proofSystem"), marketplace);
        model = vm.parseJsonBytes32(vectors, ".model");
        description = Circuit({verifier: _deployed(_verifierCode()), model: model, inputs: 4, binding: 2, outputs: 3});
        circuit = _register(description);
    }

    function _proofSystemAt(address place, address marketplace_) internal returns (ProofSystem) {
        deployCodeTo("ProofSystem.sol:ProofSystem", abi.encode(owner, marketplace_), place);
        return ProofSystem(place);
    }

    function _register(Circuit memory description_) internal returns (bytes32 id) {
        id = proofs.circuitId(description_);
        vm.prank(owner);
        proofs.registerCircuit(id, description_);
    }

    /// @dev The creation code of the committed verifier, in hexadecimal.
    function _verifierCode() internal view returns (string memory) {
        return vm.parseJsonString(vm.readFile(VERIFIER), ".bytecode");
    }

    function _deployed(string memory creationCode) internal returns (address place) {
        bytes memory code = vm.parseBytes(creationCode);
        assembly {
            place := create(0, add(code, 0x20), mload(code))
        }
        assertGt(place.code.length, 0, "the verifier does not deploy");
    }

    /// @dev A proof of the vectors as if it were for the job that it was made for.
    function _vector(string memory name) internal view returns (ProvenJob memory job) {
        string memory path = string.concat(".proofs.", name);
        job.circuit = circuit;
        job.model = model;
        job.jobId = vm.parseJsonBytes32(vectors, keccak256(bytes(name)) == keccak256("otherJob") ? ".otherJob" : ".job");
        job.inputHash = vm.parseJsonBytes32(vectors, string.concat(path, ".inputHash"));
        job.resultHash = vm.parseJsonBytes32(vectors, string.concat(path, ".resultHash"));
        job.snark = vm.parseJsonBytes(vectors, string.concat(path, ".proof"));
        job.instances = vm.parseJsonUintArray(vectors, string.concat(path, ".instances"));
    }

    /// @dev A job of any circuit, with a proof that only a fake verifier takes.
    function _faked(bytes32 circuit_, bytes32 jobId) internal view returns (ProvenJob memory job) {
        Circuit memory layout = proofs.getCircuit(circuit_);
        job.circuit = circuit_;
        job.model = layout.model;
        job.jobId = jobId;
        job.snark = "snark";
        job.instances = new uint256[](uint256(layout.inputs) + layout.binding + layout.outputs);
        for (uint256 i = 0; i < job.instances.length; ++i) {
            job.instances[i] = uint256(keccak256(abi.encode(jobId, i))) >> 3;
        }
        _bind(job);
        _hash(job);
    }

    /// @dev Writes the binding that the job should have into the instances.
    function _bind(ProvenJob memory job) internal view {
        Circuit memory layout = proofs.getCircuit(job.circuit);
        uint256 left = uint256(proofs.bindingOf(job.jobId, job.circuit, job.model));
        for (uint256 i = layout.binding; i > 0; --i) {
            job.instances[layout.inputs + i - 1] = left % (1 << (256 / layout.binding));
            left >>= 256 / layout.binding;
        }
    }

    /// @dev Sets the job's hashes to those of the instances.
    function _hash(ProvenJob memory job) internal view {
        Circuit memory layout = proofs.getCircuit(job.circuit);
        job.inputHash = keccak256(_words(job.instances, 0, layout.inputs));
        job.resultHash = keccak256(_words(job.instances, uint256(layout.inputs) + layout.binding, job.instances.length));
    }

    function _encoded(ProvenJob memory job) internal pure returns (bytes memory) {
        return abi.encode(job.snark, job.instances);
    }

    function _consume(ProvenJob memory job) internal {
        _consume(job, _encoded(job));
    }

    function _consume(ProvenJob memory job, bytes memory proof) internal {
        vm.prank(marketplace);
        proofs.consume(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, proof);
    }

    function _refuses(ProvenJob memory job, bytes memory reason) internal {
        _refuses(job, _encoded(job), reason);
    }

    /// @dev `consume` and `check` refuse with this reason, and `verify` says false.
    function _refuses(ProvenJob memory job, bytes memory proof, bytes memory reason) internal {
        vm.expectRevert(reason);
        _consume(job, proof);
        vm.expectRevert(reason);
        proofs.check(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, proof);
        assertFalse(_verifies(job, proof));
    }

    function _verifies(ProvenJob memory job, bytes memory proof) internal view returns (bool) {
        return proofs.verify(job.circuit, job.model, job.jobId, job.inputHash, job.resultHash, proof);
    }

    function _nullifier(ProvenJob memory job) internal view returns (bytes32) {
        return proofs.nullifierOf(job.jobId, job.circuit, job.model, job.instances);
    }

    function _fake(bytes32 model_, uint16 inputs, uint16 binding, uint16 outputs)
        internal
        returns (bytes32 id, FakeVerifier verifier)
    {
        verifier = new FakeVerifier();
        id = _register(Circuit(address(verifier), model_, inputs, binding, outputs));
    }

    function _words(uint256[] memory all, uint256 from, uint256 to) private pure returns (bytes memory packed) {
        for (uint256 i = from; i < to; ++i) {
            packed = abi.encodePacked(packed, all[i]);
        }
    }
}
