// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IHalo2Verifier, ProofFixture, ProvenJob} from "./ProofFixture.sol";
import {Circuit} from "../src/interfaces/IProofSystem.sol";

/// @title What a proof costs, whole transactions, with the verifier that EZKL generated.
contract ProofSystemGasTest is ProofFixture {
    string private constant GROUP = "ProofSystem";

    function test_consume() public {
        ProvenJob memory job = _vector("job");
        _consume(job, _encoded(job));
        _measured("consume_ezkl", 460_000);
    }

    /// The verifier alone, called directly.
    function test_verifierAlone() public {
        ProvenJob memory job = _vector("job");
        IHalo2Verifier(description.verifier).verifyProof(job.snark, job.instances);
        _measured("verifier_ezkl", 400_000);
    }

    function test_register() public {
        Circuit memory other = description;
        other.model = keccak256("other model");
        _register(other);
        _measured("register_circuit", 90_000);
    }

    function _measured(string memory name, uint256 budget) private {
        uint256 gasUsed = vm.snapshotGasLastCall(GROUP, name);
        assertLe(gasUsed, budget, name);
    }
}
