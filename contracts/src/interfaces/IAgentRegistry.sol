// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev The public key of a threshold-signing committee: a point of secp256k1, affine.
struct CommitteeKey {
    bytes32 x;
    bytes32 y;
}

/// @title Agents: ERC-721 identities, each bound to a committee and to an address of its own.
/// @notice Nobody holds an agent's key: its committee signs for it with a child of the committee's key. The registry
/// proves three things of each agent: that its address is such a child, that whoever can sign for it agreed to this
/// owner, and that an output recorded under its name was signed by it.
///
/// **The address.** The key of an agent is committee key + tweak * G. By BIP-32 the tweak of a path without hardened
/// steps is the sum, modulo the group's order, of the left halves (I_L) of its steps; it is found off chain from
/// public key and chain code. The addition is checked here. So nobody can register a key of his own as a stranger
/// committee's: to sign for the child is to know the parent's key. The address is the same on every EVM chain, and so
/// is the agent's id there.
///
/// **The id** of an agent is its first address, as a number: known before it is registered. An address is one agent's
/// for ever, also after the agent has moved on from it.
///
/// Assumes and warns:
/// - That a key is held by a committee cannot be seen here: a single holder's key looks the same.
/// - A tweak is public from here on, as it is for all who know the extended public key. If a child's secret key were
///   ever put together, it and the tweak would give the committee's.
/// - Messages a committee signs here name their tweak. It must: for a free choice of tweak any signature fits any
///   message. For the same reason a committee signs nothing but hashes whose preimage it made itself.
/// - A committee that lost its key cannot be replaced: rotation needs the old key's signature. A new committee can
///   register a new agent. A committee that changes members and keeps its key has nothing to do here.
/// - A signature for a registration or a rotation has no deadline. It is worthless once the address is taken, or the
///   token is another owner's, or the agent has rotated.
/// - The policy hash says what the owner wants its committee to allow. It is the committee that obeys.
/// - Nobody owns this contract. Guardians can pause registration for a while (IEntryPause), and nothing else.
interface IAgentRegistry {
    /// `tweak` and `key` give the agent's address, which is its id.
    event AgentRegistered(
        uint256 indexed agentId,
        address indexed owner,
        address indexed committee,
        CommitteeKey key,
        bytes32 tweak,
        bytes32 policyHash
    );
    event PolicyHashSet(uint256 indexed agentId, bytes32 policyHash);
    event CommitteeRotated(
        uint256 indexed agentId, address indexed derived, address indexed committee, CommitteeKey key, bytes32 tweak
    );
    event OutputRecorded(uint256 indexed agentId, bytes32 indexed dataHash, uint64 executions, uint64 consensusRound);

    error InvalidCommitteeKey();
    error InvalidTweak();
    error AddressTaken(address derived);
    error UnknownAgent(uint256 agentId);
    error NotAgentOwner(address caller);
    /// The signature is not `signer`'s, or not 65 bytes with the lower s.
    error BadSignature(address signer);
    error RoundNotHigher(uint64 consensusRound, uint64 lastRound);

    /// @notice Makes an agent of the child of `key` by `tweak`, and the caller its owner.
    /// @param signature The child's, over `registrationDigest` with the caller as owner.
    /// @return agentId The child's address.
    function registerAgent(CommitteeKey calldata key, bytes32 tweak, bytes32 policyHash, bytes calldata signature)
        external
        returns (uint256 agentId);

    /// @notice Owner of the agent only.
    function setPolicyHash(uint256 agentId, bytes32 policyHash) external;

    /// @notice Owner of the agent only: binds the agent to another committee, or to another child of the same one.
    /// Policy, outputs and their rounds go on.
    /// @param oldSignature That of the agent's address of now, over `rotationDigest` with the caller as owner.
    /// @param newSignature That of the child of `key` by `tweak`, over the same.
    function rotateCommittee(
        uint256 agentId,
        CommitteeKey calldata key,
        bytes32 tweak,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external;

    /// @notice Records an output; anybody may bring it.
    /// @param dataHash Of the output, which is not stored.
    /// @param executions How often the committee's members computed it.
    /// @param consensusRound Above that of every output of this agent before, 1 at least; rounds may be left out.
    /// @param signature The agent's, over `outputDigest`.
    function recordOutput(
        uint256 agentId,
        bytes32 dataHash,
        uint64 executions,
        uint64 consensusRound,
        bytes calldata signature
    ) external;

    /// @notice The agent whose address this is now; 0 if it is nobody's or was given up.
    function agentOf(address derived) external view returns (uint256 agentId);

    /// @notice The address the agent signs with now.
    function addressOf(uint256 agentId) external view returns (address derived);

    /// @notice The committee's own address: that of its public key.
    function committeeOf(uint256 agentId) external view returns (address committee);

    function policyHashOf(uint256 agentId) external view returns (bytes32);

    /// @notice Round of the newest output; 0 if there is none.
    function lastRoundOf(uint256 agentId) external view returns (uint64);

    /// @notice Address of the child of `key` by `tweak`, by the same checks as on registration.
    function childOf(CommitteeKey calldata key, bytes32 tweak) external pure returns (address derived);

    /// @notice EIP-712 digest of `RegisterAgent(address owner,address committee,bytes32 tweak,bytes32 policyHash)`.
    function registrationDigest(address owner, address committee, bytes32 tweak, bytes32 policyHash)
        external
        view
        returns (bytes32);

    /// @notice EIP-712 digest of `RotateCommittee(uint256 agentId,address owner,address committee,bytes32 tweak)`.
    function rotationDigest(uint256 agentId, address owner, address committee, bytes32 tweak)
        external
        view
        returns (bytes32);

    /// @notice EIP-712 digest of
    /// `RecordOutput(uint256 agentId,bytes32 dataHash,uint64 executions,uint64 consensusRound)`.
    function outputDigest(uint256 agentId, bytes32 dataHash, uint64 executions, uint64 consensusRound)
        external
        view
        returns (bytes32);
}
