// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev A circuit: a model, the contract that verifies proofs about it, and how its instances (the proof's public
/// numbers) are laid out: first the input, then the binding, then the output.
struct Circuit {
    /// Answers `verifyProof(bytes,uint256[])` with true or false, or reverts.
    address verifier;
    /// SHA-256 of the model's file.
    bytes32 model;
    /// Instances that hold the model's input.
    uint16 inputs;
    /// Instances that hold the binding: limbs of 256 / binding bits, the most significant first.
    uint16 binding;
    /// Instances that hold the model's output.
    uint16 outputs;
}

/// @title Proofs that a job's result is what its model computes.
/// @notice Governance registers circuits; each has a verifier contract such as EZKL makes for Halo2. The marketplace
/// hands in a host's proof when a job is completed, and each statement counts once.
/// @dev A proof is about one job. Among its instances is a digest of chain, marketplace, this contract, job, circuit and
/// model (`bindingOf`), which a verifier takes into its transcript with all the others: a proof with another
/// digest is another proof, and has to be made anew.
///
/// Assumptions:
/// - A verifier is plain code, generated from the circuit: no proxy and no delegation. Its code hash is part of the
///   circuit's id and is compared at every use, but whom it calls is not.
/// - A verifier is sound for its circuit and its set-up; whoever knows the secret of a set-up can prove anything.
/// - The circuit makes every number that it calls public an instance, in the layout registered.
/// - Instances are elements of the BN254 scalar field; a negative number -n is the element r - n.
///
/// Worst cases:
/// - An owner that registers a bad verifier lets hosts that claim jobs of that circuit complete them with anything. Who
///   posts a job names its circuit, so nobody else is touched.
/// - A circuit found to be unsound can be retired, but proofs of jobs already claimed count for RETIREMENT_DELAY.
/// - The digest names the job and not the host: a job claimed again can be completed with an earlier host's proof, as the
///   result is as right as it was.
/// - A caller with little gas makes a verification fail. So a refusal proves nothing against anybody.
interface IProofSystem {
    event CircuitRegistered(
        bytes32 indexed circuit, bytes32 indexed model, address verifier, uint16 inputs, uint16 binding, uint16 outputs
    );
    /// Proofs count until `usableUntil`, Unix seconds, that second included.
    event CircuitRetired(bytes32 indexed circuit, uint40 usableUntil);
    event ProofConsumed(
        bytes32 indexed jobId, bytes32 indexed circuit, bytes32 indexed model, bytes32 nullifier, bytes32 resultHash
    );

    error ZeroMarketplace();
    error NotMarketplace(address caller);
    error ZeroModel();
    error VerifierWithoutCode(address verifier);
    /// Input or output of no instances, or limbs that do not fill 256 bits or do not fit into a field element.
    error BadLayout(uint16 inputs, uint16 binding, uint16 outputs);
    error CircuitIdMismatch(bytes32 given, bytes32 computed);
    error CircuitExists(bytes32 circuit);
    error CircuitUnknown(bytes32 circuit);
    error CircuitAlreadyRetired(bytes32 circuit);
    error CircuitExpired(bytes32 circuit, uint40 usableUntil);
    error ModelMismatch(bytes32 given, bytes32 expected);
    /// Not the canonical layout of (bytes, uint256[]).
    error MalformedProof();
    error InstanceCountMismatch(uint256 given, uint256 expected);
    error InstanceNotInField(uint256 index, uint256 instance);
    error InputMismatch(bytes32 given, bytes32 expected);
    error ResultMismatch(bytes32 given, bytes32 expected);
    error BindingMismatch(uint256 limb, uint256 given, uint256 expected);
    error VerifierChanged(bytes32 circuit);
    /// The verifier said no, reverted, ran out of VERIFIER_GAS, or answered something that is not true.
    error ProofRefused(bytes32 circuit);
    error ProofAlreadyUsed(bytes32 nullifier);

    /// @notice Owner only. `circuit` must be `circuitId(description)`; a circuit is registered once and for ever.
    function registerCircuit(bytes32 circuit, Circuit calldata description) external;

    /// @notice Owner only: no new job with this circuit from now on; proofs count for RETIREMENT_DELAY more, so that who
    /// claimed a job before can finish it. There is no way back: register the same model with another verifier.
    function retireCircuit(bytes32 circuit) external;

    /// @notice Marketplace only: checks a proof and marks its statement as used, or reverts with the reason.
    /// @param inputHash keccak256 over the input's instances, 32 bytes each.
    /// @param resultHash keccak256 over the output's instances, 32 bytes each.
    /// @param proof abi.encode(bytes proof, uint256[] instances)
    function consume(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external;

    /// @notice What `consume` would check, for anybody: reverts with its reason, or returns the nullifier it would store.
    function check(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external view returns (bytes32 nullifier);

    /// @notice Whether `consume` would take this proof now. It may also answer false for lack of gas.
    function verify(
        bytes32 circuit,
        bytes32 model,
        bytes32 jobId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes calldata proof
    ) external view returns (bool);

    /// @notice True while jobs may be posted and claimed with this circuit: registered for this model and not retired.
    function isActive(bytes32 circuit, bytes32 model) external view returns (bool);

    /// @notice What is registered under this id. All zero if nothing is.
    function getCircuit(bytes32 circuit) external view returns (Circuit memory);

    /// @notice Last second in which proofs of a retired circuit count; 0 unless it is retired.
    function usableUntil(bytes32 circuit) external view returns (uint40);

    /// @notice Id of a circuit: keccak256 over the verifier's code hash, model and layout. The verifier's address is not
    /// part of it, so a circuit has one id on every chain.
    function circuitId(Circuit calldata description) external view returns (bytes32);

    /// @notice The digest that a proof for this job has among its instances.
    function bindingOf(bytes32 jobId, bytes32 circuit, bytes32 model) external view returns (bytes32);

    /// @notice Names one statement of one job, whatever the bytes of its proof, of which there are many.
    function nullifierOf(bytes32 jobId, bytes32 circuit, bytes32 model, uint256[] calldata instances)
        external
        view
        returns (bytes32);

    function isUsed(bytes32 nullifier) external view returns (bool);

    function MARKETPLACE() external view returns (address);
    /// Seconds.
    function RETIREMENT_DELAY() external view returns (uint40);
    function VERIFIER_GAS() external view returns (uint256);
}
