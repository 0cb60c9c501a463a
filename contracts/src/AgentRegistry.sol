// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {CommitteeKey, IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {CommitteeKeys} from "./libraries/CommitteeKeys.sol";
import {EntryPause} from "./EntryPause.sol";

/// @title Agents.
/// @dev No function calls a stranger, so none needs a reentrancy guard.
contract AgentRegistry is IAgentRegistry, IVersioned, ERC721, EIP712, EntryPause {
    using CommitteeKeys for CommitteeKey;

    bytes32 private constant REGISTER_TYPEHASH =
        keccak256("RegisterAgent(address owner,address committee,bytes32 tweak,bytes32 policyHash)");
    bytes32 private constant ROTATE_TYPEHASH =
        keccak256("RotateCommittee(uint256 agentId,address owner,address committee,bytes32 tweak)");
    bytes32 private constant OUTPUT_TYPEHASH =
        keccak256("RecordOutput(uint256 agentId,bytes32 dataHash,uint64 executions,uint64 consensusRound)");

    /// @dev Recording an output touches the first slot alone.
    struct Agent {
        address derived;
        uint64 lastRound;
        address committee;
        bytes32 policyHash;
    }

    mapping(uint256 agentId => Agent) private _agents;
    /// @dev Agents of the addresses that came by rotation. A first address needs no entry: it is its agent's id.
    mapping(address derived => uint256 agentId) private _rotatedTo;

    constructor(address circuitBreaker)
        ERC721("Capstan Agent", "AGENT")
        EIP712("Capstan", "1")
        EntryPause(circuitBreaker)
    {}

    /// @inheritdoc IAgentRegistry
    function registerAgent(CommitteeKey calldata key, bytes32 tweak, bytes32 policyHash, bytes calldata signature)
        external
        whenEntryOpen
        returns (uint256 agentId)
    {
        address derived = _freeChildOf(key, tweak);
        address committee = key.addressOf();
        _requireSigned(derived, registrationDigest(msg.sender, committee, tweak, policyHash), signature);

        agentId = _idOf(derived);
        _agents[agentId] = Agent({derived: derived, lastRound: 0, committee: committee, policyHash: policyHash});
        emit AgentRegistered(agentId, msg.sender, committee, key, tweak, policyHash);
        // Whoever calls can hold the token: it asked for it.
        _mint(msg.sender, agentId);
    }

    /// @inheritdoc IAgentRegistry
    function setPolicyHash(uint256 agentId, bytes32 policyHash) external {
        _requireAgentOwner(agentId);
        _agents[agentId].policyHash = policyHash;
        emit PolicyHashSet(agentId, policyHash);
    }

    /// @inheritdoc IAgentRegistry
    function rotateCommittee(
        uint256 agentId,
        CommitteeKey calldata key,
        bytes32 tweak,
        bytes calldata oldSignature,
        bytes calldata newSignature
    ) external {
        _requireAgentOwner(agentId);
        address derived = _freeChildOf(key, tweak);
        address committee = key.addressOf();
        Agent storage agent = _agents[agentId];
        bytes32 digest = rotationDigest(agentId, msg.sender, committee, tweak);
        _requireSigned(agent.derived, digest, oldSignature);
        _requireSigned(derived, digest, newSignature);

        agent.derived = derived;
        agent.committee = committee;
        _rotatedTo[derived] = agentId;
        emit CommitteeRotated(agentId, derived, committee, key, tweak);
    }

    /// @inheritdoc IAgentRegistry
    function recordOutput(
        uint256 agentId,
        bytes32 dataHash,
        uint64 executions,
        uint64 consensusRound,
        bytes calldata signature
    ) external {
        Agent storage agent = _known(agentId);
        uint64 lastRound = agent.lastRound;
        if (consensusRound <= lastRound) revert RoundNotHigher(consensusRound, lastRound);
        _requireSigned(agent.derived, outputDigest(agentId, dataHash, executions, consensusRound), signature);

        agent.lastRound = consensusRound;
        emit OutputRecorded(agentId, dataHash, executions, consensusRound);
    }

    /// @inheritdoc IAgentRegistry
    function agentOf(address derived) external view returns (uint256) {
        uint256 agentId = _rotatedTo[derived];
        if (agentId == 0) agentId = _idOf(derived);
        return _agents[agentId].derived == derived ? agentId : 0;
    }

    /// @inheritdoc IAgentRegistry
    function addressOf(uint256 agentId) external view returns (address) {
        return _known(agentId).derived;
    }

    /// @inheritdoc IAgentRegistry
    function committeeOf(uint256 agentId) external view returns (address) {
        return _known(agentId).committee;
    }

    /// @inheritdoc IAgentRegistry
    function policyHashOf(uint256 agentId) external view returns (bytes32) {
        return _known(agentId).policyHash;
    }

    /// @inheritdoc IAgentRegistry
    function lastRoundOf(uint256 agentId) external view returns (uint64) {
        return _known(agentId).lastRound;
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.AgentRegistry.v1");
    }

    /// @inheritdoc ERC721
    /// @dev A data URI made of what is stored; nobody has to serve it.
    function tokenURI(uint256 agentId) public view override returns (string memory) {
        Agent storage agent = _known(agentId);
        bytes memory json = abi.encodePacked(
            '{"name":"Capstan agent ',
            Strings.toHexString(agentId, 20),
            '","address":"',
            Strings.toHexString(agent.derived),
            '","committee":"',
            Strings.toHexString(agent.committee),
            '","policyHash":"',
            Strings.toHexString(uint256(agent.policyHash), 32),
            '"}'
        );
        return string.concat("data:application/json;base64,", Base64.encode(json));
    }

    /// @inheritdoc IAgentRegistry
    function registrationDigest(address owner, address committee, bytes32 tweak, bytes32 policyHash)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(REGISTER_TYPEHASH, owner, committee, tweak, policyHash)));
    }

    /// @inheritdoc IAgentRegistry
    function rotationDigest(uint256 agentId, address owner, address committee, bytes32 tweak)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(ROTATE_TYPEHASH, agentId, owner, committee, tweak)));
    }

    /// @inheritdoc IAgentRegistry
    function outputDigest(uint256 agentId, bytes32 dataHash, uint64 executions, uint64 consensusRound)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(OUTPUT_TYPEHASH, agentId, dataHash, executions, consensusRound)));
    }

    /// @inheritdoc IAgentRegistry
    function childOf(CommitteeKey calldata key, bytes32 tweak) public pure returns (address derived) {
        if (!key.isValid()) revert InvalidCommitteeKey();
        derived = key.childOf(tweak);
        if (derived == address(0)) revert InvalidTweak();
    }

    /// @dev The child, if it never was an agent's address.
    function _freeChildOf(CommitteeKey calldata key, bytes32 tweak) private view returns (address derived) {
        derived = childOf(key, tweak);
        if (_agents[_idOf(derived)].derived != address(0) || _rotatedTo[derived] != 0) revert AddressTaken(derived);
    }

    function _requireAgentOwner(uint256 agentId) private view {
        _known(agentId);
        if (msg.sender != ownerOf(agentId)) revert NotAgentOwner(msg.sender);
    }

    function _known(uint256 agentId) private view returns (Agent storage agent) {
        agent = _agents[agentId];
        if (agent.derived == address(0)) revert UnknownAgent(agentId);
    }

    /// @dev What cannot be recovered is zero, and no agent's address is.
    function _requireSigned(address signer, bytes32 digest, bytes calldata signature) private pure {
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (recovered != signer) revert BadSignature(signer);
    }

    function _idOf(address derived) private pure returns (uint256) {
        return uint160(derived);
    }
}
