// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ProofFixture} from "./ProofFixture.sol";
import {Circuit, IProofSystem} from "../src/interfaces/IProofSystem.sol";
import {ProofSystem} from "../src/ProofSystem.sol";
import {FakeVerifier, OtherFakeVerifier} from "./mocks/FakeVerifier.sol";

/// @title Circuits: registered, described, retired.
contract ProofSystemTest is ProofFixture {
    Circuit private _new;

    function setUp() public override {
        super.setUp();
        _new = Circuit(address(new FakeVerifier()), keccak256("new model"), 5, 8, 7);
    }

    /// @dev External: a refused creation in a test's own frame would end the test, and pass it.
    function create(address owner_, address marketplace_) external returns (ProofSystem) {
        return new ProofSystem(owner_, marketplace_);
    }

    function test_constructorRefusesZeroAddresses() public {
        vm.expectRevert(IProofSystem.ZeroMarketplace.selector);
        this.create(owner, address(0));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.create(address(0), marketplace);
    }

    function test_constructor() public {
        ProofSystem made = new ProofSystem(owner, stranger);
        assertEq(made.owner(), owner);
        assertEq(made.MARKETPLACE(), stranger);
        assertEq(made.interfaceVersion(), keccak256("capstan.ProofSystem.v1"));
        assertEq(made.RETIREMENT_DELAY(), 7 days);
        assertEq(made.VERIFIER_GAS(), 5_000_000);
        assertEq(made.SCALAR_FIELD(), FIELD);
    }

    function test_ownerChangesInTwoSteps() public {
        vm.prank(owner);
        proofs.transferOwnership(stranger);
        assertEq(proofs.owner(), owner);
        vm.prank(stranger);
        proofs.acceptOwnership();
        assertEq(proofs.owner(), stranger);
    }

    // --- the committed files

    function test_vectorsAreOfTheCommittedVerifier() public view {
        assertEq(circuit, vm.parseJsonBytes32(vectors, ".circuit"));
        assertEq(description.verifier.codehash, vm.parseJsonBytes32(vectors, ".verifierCodeHash"));
        string memory source = vm.readFile("ezkl/verifier/Halo2Verifier.sol");
        assertEq(sha256(bytes(source)), vm.parseJsonBytes32(vectors, ".verifierSource"));
        assertEq(proofs.bindingOf(vm.parseJsonBytes32(vectors, ".job"), circuit, model), _binding(".binding"));
        assertEq(vm.parseJsonBytes32(vectors, ".job"), keccak256("capstan ezkl vector job"));
        assertEq(vm.parseJsonBytes(vectors, ".proofs.job.encoded"), _encoded(_vector("job")));
    }

    function _binding(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(vectors, path);
    }

    // --- registerCircuit

    function test_registerRefusesStrangers() public {
        bytes32 id = proofs.circuitId(_new);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        proofs.registerCircuit(id, _new);
    }

    function test_registerRefusesNoModel() public {
        _new.model = 0;
        _registerRefuses(IProofSystem.ZeroModel.selector);
    }

    function test_registerRefusesAVerifierWithoutCode() public {
        _new.verifier = stranger;
        _registerRefuses(IProofSystem.VerifierWithoutCode.selector, stranger);
        _new.verifier = address(0);
        _registerRefuses(IProofSystem.VerifierWithoutCode.selector, address(0));
    }

    function test_registerRefusesBadLayouts() public {
        _layoutRefused(0, 2, 1);
        _layoutRefused(1, 2, 0);
        _layoutRefused(1, 0, 1);
        _layoutRefused(1, 1, 1);
        _layoutRefused(1, 3, 1);
        _layoutRefused(1, 255, 1);
        _layoutRefused(1, 512, 1);
        _layoutRefused(1, type(uint16).max, 1);
    }

    function test_registerTakesAnyLimbsThatFill256Bits(uint8 power) public {
        _new.binding = uint16(1) << uint16(bound(power, 1, 8));
        _new.inputs = 1;
        _new.outputs = 1;
        bytes32 id = _register(_new);
        assertEq(proofs.getCircuit(id).binding, _new.binding);
    }

    function test_registerRefusesAnotherId(bytes32 id) public {
        bytes32 right = proofs.circuitId(_new);
        vm.assume(id != right);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.CircuitIdMismatch.selector, id, right));
        proofs.registerCircuit(id, _new);
    }

    function test_registerRefusesTwiceAndAfterRetirement() public {
        bytes memory reason = abi.encodeWithSelector(IProofSystem.CircuitExists.selector, circuit);
        vm.prank(owner);
        vm.expectRevert(reason);
        proofs.registerCircuit(circuit, description);
        vm.prank(owner);
        proofs.retireCircuit(circuit);
        vm.prank(owner);
        vm.expectRevert(reason);
        proofs.registerCircuit(circuit, description);
        // Another contract with the same code is the same circuit.
        description.verifier = _deployed(_verifierCode());
        vm.prank(owner);
        vm.expectRevert(reason);
        proofs.registerCircuit(circuit, description);
    }

    function test_registers(uint16 inputs, uint16 outputs, bytes32 model_) public {
        _new.inputs = uint16(bound(inputs, 1, type(uint16).max));
        _new.outputs = uint16(bound(outputs, 1, type(uint16).max));
        _new.model = model_ == 0 ? bytes32(uint256(1)) : model_;
        bytes32 id = keccak256(abi.encode(_new.verifier.codehash, _new.model, _new.inputs, uint16(8), _new.outputs));
        assertEq(proofs.circuitId(_new), id);
        assertFalse(proofs.isActive(id, _new.model));
        assertEq(proofs.getCircuit(id).verifier, address(0));
        vm.expectEmit(address(proofs));
        emit IProofSystem.CircuitRegistered(id, _new.model, _new.verifier, _new.inputs, 8, _new.outputs);
        vm.prank(owner);
        proofs.registerCircuit(id, _new);

        assertEq(abi.encode(proofs.getCircuit(id)), abi.encode(_new));
        assertEq(proofs.usableUntil(id), 0);
        assertTrue(proofs.isActive(id, _new.model));
        assertFalse(proofs.isActive(id, ~_new.model));
        assertFalse(proofs.isActive(bytes32(uint256(id) ^ 1), _new.model));
    }

    function test_idCommitsToEverything() public {
        bytes32 id = proofs.circuitId(_new);
        _new.verifier = address(new FakeVerifier());
        assertEq(proofs.circuitId(_new), id, "same code elsewhere");
        _new.verifier = address(new OtherFakeVerifier());
        assertNotEq(proofs.circuitId(_new), id);
    }

    // --- retireCircuit

    function test_nothingIsActiveUnregistered() public view {
        assertFalse(proofs.isActive("none", 0));
        assertFalse(proofs.isActive("none", model));
        assertTrue(proofs.isActive(circuit, model));
    }

    function test_retireRefuses() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        proofs.retireCircuit(circuit);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.CircuitUnknown.selector, bytes32("none")));
        proofs.retireCircuit("none");
    }

    function test_retiresOnce() public {
        bytes32 other = _register(_new);
        vm.expectEmit(address(proofs));
        emit IProofSystem.CircuitRetired(circuit, START + 7 days);
        vm.prank(owner);
        proofs.retireCircuit(circuit);
        assertFalse(proofs.isActive(circuit, model));
        assertEq(proofs.usableUntil(circuit), START + 7 days);
        assertEq(abi.encode(proofs.getCircuit(circuit)), abi.encode(description));
        assertTrue(proofs.isActive(other, _new.model));

        vm.warp(START + 1);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.CircuitAlreadyRetired.selector, circuit));
        proofs.retireCircuit(circuit);
    }

    // --- views

    function test_bindingNamesChainContractsAndJob() public {
        bytes32 binding = proofs.bindingOf("job", "circuit", "model");
        bytes32 domain = keccak256("capstan.ProofBinding.v1");
        assertEq(
            binding,
            keccak256(
                abi.encode(domain, 31337, marketplace, proofs, bytes32("job"), bytes32("circuit"), bytes32("model"))
            )
        );
        vm.chainId(8453);
        assertNotEq(proofs.bindingOf("job", "circuit", "model"), binding);
    }

    function test_nullifierNamesTheStatement(uint256 a, uint256 b) public view {
        uint256[] memory instances = new uint256[](2);
        (instances[0], instances[1]) = (a, b);
        bytes32 binding = proofs.bindingOf("job", "circuit", "model");
        assertEq(
            proofs.nullifierOf("job", "circuit", "model", instances),
            keccak256(abi.encode(binding, keccak256(abi.encode(a, b))))
        );
    }

    function _layoutRefused(uint16 inputs, uint16 binding, uint16 outputs) private {
        (_new.inputs, _new.binding, _new.outputs) = (inputs, binding, outputs);
        bytes32 id = proofs.circuitId(_new);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProofSystem.BadLayout.selector, inputs, binding, outputs));
        proofs.registerCircuit(id, _new);
    }

    function _registerRefuses(bytes4 reason) private {
        bytes32 id = proofs.circuitId(_new);
        vm.prank(owner);
        vm.expectRevert(reason);
        proofs.registerCircuit(id, _new);
    }

    function _registerRefuses(bytes4 reason, address who) private {
        bytes32 id = proofs.circuitId(_new);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(reason, who));
        proofs.registerCircuit(id, _new);
    }
}
