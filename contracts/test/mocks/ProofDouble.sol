// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A proof system that believes one proof: the job's id, input and result, as words.
/// @dev What the marketplace asks of IProofSystem and no more. The real one runs through the marketplace in
/// JobProofs.t.sol.
contract ProofDouble {
    error Unproven();

    mapping(bytes32 circuit => mapping(bytes32 model => bool)) public isActive;

    function setActive(bytes32 circuit, bytes32 model, bool active) external {
        isActive[circuit][model] = active;
    }

    function consume(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external pure {
        if (keccak256(proof) != keccak256(abi.encode(circuit, model, jobId, inputHash, resultHash))) revert Unproven();
    }
}
