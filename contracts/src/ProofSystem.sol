// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Circuit, IProofSystem} from "./interfaces/IProofSystem.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {EncodedProof} from "./libraries/EncodedProof.sol";

/// @title Circuits, their verifiers, and the nullifiers of proofs.
/// @dev The owner is meant to be a timelock. It decides which circuits there are; it can neither pass a proof nor use one
/// up. The only calls out are static and to verifiers, so nothing can be re-entered.
contract ProofSystem is IProofSystem, IVersioned, Ownable2Step {
    /// @inheritdoc IProofSystem
    /// @dev The longest that a job may take after it was claimed.
    uint40 public constant RETIREMENT_DELAY = 7 days;
    /// @inheritdoc IProofSystem
    /// @dev The sample circuit's takes about 340,000, and a larger circuit's more for every column and instance. What
    /// loops is stopped well below the 16.7 million that a transaction may use (EIP-7825).
    uint256 public constant VERIFIER_GAS = 5_000_000;

    /// Order of the BN254 scalar field (EIP-197). A verifier that reduced its instances would take x + r for x.
    uint256 public constant SCALAR_FIELD =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    bytes32 private constant BINDING_DOMAIN = keccak256("capstan.ProofBinding.v1");
    bytes4 private constant VERIFY_PROOF = bytes4(keccak256("verifyProof(bytes,uint256[])"));

    /// @inheritdoc IProofSystem
    address public immutable MARKETPLACE;

    /// @dev A `Circuit` and its retirement, in two slots.
    struct Record {
        address verifier;
        uint16 inputs;
        uint16 binding;
        uint16 outputs;
        uint40 usableUntil;
        bytes32 model;
    }

    mapping(bytes32 circuit => Record) private _records;
    /// @inheritdoc IProofSystem
    mapping(bytes32 nullifier => bool) public isUsed;

    constructor(address owner_, address marketplace) Ownable(owner_) {
        if (marketplace == address(0)) revert ZeroMarketplace();
        MARKETPLACE = marketplace;
    }

    /// @inheritdoc IProofSystem
    function registerCircuit(bytes32 circuit, Circuit calldata description) external onlyOwner {
        (uint16 inputs, uint16 binding, uint16 outputs) = (description.inputs, description.binding, description.outputs);
        if (description.model == bytes32(0)) revert ZeroModel();
        if (description.verifier.code.length == 0) revert VerifierWithoutCode(description.verifier);
        if (inputs == 0 || outputs == 0 || !_areLimbs(binding)) revert BadLayout(inputs, binding, outputs);
        bytes32 computed = circuitId(description);
        if (circuit != computed) revert CircuitIdMismatch(circuit, computed);
        if (_isRegistered(_records[circuit])) revert CircuitExists(circuit);

        _records[circuit] = Record({
            verifier: description.verifier,
            inputs: inputs,
            binding: binding,
            outputs: outputs,
            usableUntil: 0,
            model: description.model
        });
        emit CircuitRegistered(circuit, description.model, description.verifier, inputs, binding, outputs);
    }

    /// @inheritdoc IProofSystem
    function retireCircuit(bytes32 circuit) external onlyOwner {
        Record storage record = _registered(circuit);
        if (record.usableUntil != 0) revert CircuitAlreadyRetired(circuit);
        uint40 last = uint40(block.timestamp) + RETIREMENT_DELAY;
        record.usableUntil = last;
        emit CircuitRetired(circuit, last);
    }

    /// @inheritdoc IProofSystem
    function consume(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external {
        if (msg.sender != MARKETPLACE) revert NotMarketplace(msg.sender);
        bytes32 nullifier = check(circuit, model, jobId, inputHash, resultHash, proof);
        isUsed[nullifier] = true;
        emit ProofConsumed(jobId, circuit, model, nullifier, resultHash);
    }

    /// @inheritdoc IProofSystem
    function verify(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external view returns (bool) {
        try this.check(circuit, model, jobId, inputHash, resultHash, proof) returns (bytes32) {
            return true;
        } catch {
            return false;
        }
    }

    /// @inheritdoc IProofSystem
    function isActive(bytes32 circuit, bytes32 model) external view returns (bool) {
        Record storage record = _records[circuit];
        return _isRegistered(record) && record.usableUntil == 0 && record.model == model;
    }

    /// @inheritdoc IProofSystem
    function getCircuit(bytes32 circuit) external view returns (Circuit memory) {
        return _describe(_records[circuit]);
    }

    /// @inheritdoc IProofSystem
    function usableUntil(bytes32 circuit) external view returns (uint40) {
        return _records[circuit].usableUntil;
    }

    /// @inheritdoc IProofSystem
    function nullifierOf(bytes32 jobId, bytes32 circuit, bytes32 model, uint256[] calldata instances)
        external
        view
        returns (bytes32)
    {
        return _nullifier(bindingOf(jobId, circuit, model), instances);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.ProofSystem.v1");
    }

    /// @inheritdoc IProofSystem
    function check(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) public view returns (bytes32 nullifier) {
        Record memory record = _registered(circuit);
        if (record.usableUntil != 0 && block.timestamp > record.usableUntil) {
            revert CircuitExpired(circuit, record.usableUntil);
        }
        if (model != record.model) revert ModelMismatch(model, record.model);
        (bool canonical, uint256[] calldata instances) = EncodedProof.instancesOf(proof);
        if (!canonical) revert MalformedProof();
        bytes32 binding = bindingOf(jobId, circuit, model);
        _checkInstances(record, instances, binding, inputHash, resultHash);
        nullifier = _nullifier(binding, instances);
        if (isUsed[nullifier]) revert ProofAlreadyUsed(nullifier);
        if (_circuitId(_describe(record)) != circuit) revert VerifierChanged(circuit);
        if (!_isTrue(record.verifier, bytes.concat(VERIFY_PROOF, proof))) revert ProofRefused(circuit);
    }

    /// @inheritdoc IProofSystem
    function circuitId(Circuit calldata description) public view returns (bytes32) {
        return _circuitId(description);
    }

    /// @inheritdoc IProofSystem
    function bindingOf(bytes32 jobId, bytes32 circuit, bytes32 model) public view returns (bytes32) {
        return keccak256(abi.encode(BINDING_DOMAIN, block.chainid, MARKETPLACE, address(this), jobId, circuit, model));
    }

    function _checkInstances(
        Record memory record,
        uint256[] calldata instances,
        bytes32 binding,
        bytes32 inputHash,
        bytes32 resultHash
    ) private pure {
        uint256 inputs = record.inputs;
        uint256 limbs = record.binding;
        uint256 count = inputs + limbs + record.outputs;
        if (instances.length != count) revert InstanceCountMismatch(instances.length, count);
        for (uint256 i = 0; i < count; ++i) {
            if (instances[i] >= SCALAR_FIELD) revert InstanceNotInField(i, instances[i]);
        }
        bytes32 hashed = _hash(instances[:inputs]);
        if (hashed != inputHash) revert InputMismatch(hashed, inputHash);
        hashed = _hash(instances[inputs + limbs:]);
        if (hashed != resultHash) revert ResultMismatch(hashed, resultHash);
        uint256 bits = 256 / limbs;
        for (uint256 i = 0; i < limbs; ++i) {
            uint256 expected = uint256(binding) << (i * bits) >> (256 - bits);
            uint256 given = instances[inputs + i];
            if (given != expected) revert BindingMismatch(i, given, expected);
        }
    }

    /// @dev Whether a verifier answers `data` with the word 1 and nothing else. What it returns is not copied beyond
    /// that, and what it may use is bounded, so a hostile one can refuse and nothing more.
    function _isTrue(address verifier, bytes memory data) private view returns (bool answer) {
        uint256 gasLimit = VERIFIER_GAS;
        assembly ("memory-safe") {
            // Scratch space holds the answer's first word.
            answer := staticcall(gasLimit, verifier, add(data, 0x20), mload(data), 0, 0x20)
            answer := and(answer, and(eq(returndatasize(), 0x20), eq(mload(0), 1)))
        }
    }

    function _registered(bytes32 circuit) private view returns (Record storage record) {
        record = _records[circuit];
        if (!_isRegistered(record)) revert CircuitUnknown(circuit);
    }

    function _circuitId(Circuit memory description) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                description.verifier.codehash,
                description.model,
                description.inputs,
                description.binding,
                description.outputs
            )
        );
    }

    function _isRegistered(Record storage record) private view returns (bool) {
        return record.verifier != address(0);
    }

    function _describe(Record memory record) private pure returns (Circuit memory) {
        return Circuit({
            verifier: record.verifier,
            model: record.model,
            inputs: record.inputs,
            binding: record.binding,
            outputs: record.outputs
        });
    }

    /// @dev Limbs of equal size that make 256 bits together. One limb alone would not fit into a field element.
    function _areLimbs(uint16 count) private pure returns (bool) {
        return count > 1 && 256 % count == 0;
    }

    /// @dev Over the statement and not over the proof's bytes: whoever has a proof can make others of the same thing.
    function _nullifier(bytes32 binding, uint256[] calldata instances) private pure returns (bytes32) {
        return keccak256(abi.encode(binding, _hash(instances)));
    }

    function _hash(uint256[] calldata instances) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(instances));
    }
}
