// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test, Vm} from "forge-std/Test.sol";
import {AgentRegistry} from "../src/AgentRegistry.sol";
import {CommitteeKey} from "../src/interfaces/IAgentRegistry.sol";

/// @title A registry of agents, and committees whose secret keys a test may know.
abstract contract AgentFixture is Test {
    uint256 internal constant START = 1_800_000_000;
    /// The order of secp256k1.
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    bytes32 internal constant POLICY = keccak256("policy");
    bytes32 internal constant TWEAK = keccak256("tweak");

    address internal breaker = makeAddr("breaker");
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    uint256 internal secret = uint256(keccak256("committee"));
    uint256 internal otherSecret = uint256(keccak256("other committee"));

    AgentRegistry internal agents;

    function setUp() public virtual {
        vm.warp(START);
        agents = new AgentRegistry(breaker);
    }

    function _keyOf(uint256 committeeSecret) internal returns (CommitteeKey memory) {
        Vm.Wallet memory wallet = vm.createWallet(committeeSecret);
        return CommitteeKey(bytes32(wallet.publicKeyX), bytes32(wallet.publicKeyY));
    }

    function _childSecret(uint256 committeeSecret, bytes32 tweak) internal pure returns (uint256) {
        return addmod(committeeSecret, uint256(tweak), ORDER);
    }

    function _childOf(uint256 committeeSecret, bytes32 tweak) internal pure returns (address) {
        return vm.addr(_childSecret(committeeSecret, tweak));
    }

    /// @dev Alice's agent: child of the first committee by the first tweak.
    function _register() internal returns (uint256 id) {
        return _register(alice, secret, TWEAK);
    }

    function _register(address owner, uint256 committeeSecret, bytes32 tweak) internal returns (uint256 id) {
        CommitteeKey memory key = _keyOf(committeeSecret);
        bytes memory signature = _registration(owner, committeeSecret, tweak);
        vm.prank(owner);
        return agents.registerAgent(key, tweak, POLICY, signature);
    }

    function _rotate(uint256 id, uint256 oldChild, uint256 committeeSecret, bytes32 tweak) internal {
        CommitteeKey memory key = _keyOf(committeeSecret);
        address owner = agents.ownerOf(id);
        bytes32 digest = _rotationDigest(id, owner, vm.addr(committeeSecret), tweak);
        bytes memory oldSignature = _sign(oldChild, digest);
        bytes memory newSignature = _sign(_childSecret(committeeSecret, tweak), digest);
        vm.prank(owner);
        agents.rotateCommittee(id, key, tweak, oldSignature, newSignature);
    }

    function _registration(address owner, uint256 committeeSecret, bytes32 tweak) internal view returns (bytes memory) {
        return _sign(
            _childSecret(committeeSecret, tweak), _registrationDigest(owner, vm.addr(committeeSecret), tweak, POLICY)
        );
    }

    // --- digests by the EIP, not by the contract under test

    function _registrationDigest(address owner, address committee, bytes32 tweak, bytes32 policyHash)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256("RegisterAgent(address owner,address committee,bytes32 tweak,bytes32 policyHash)");
        return _typed(keccak256(abi.encode(typeHash, owner, committee, tweak, policyHash)));
    }

    function _rotationDigest(uint256 id, address owner, address committee, bytes32 tweak)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256("RotateCommittee(uint256 agentId,address owner,address committee,bytes32 tweak)");
        return _typed(keccak256(abi.encode(typeHash, id, owner, committee, tweak)));
    }

    function _outputDigest(uint256 id, bytes32 dataHash, uint64 executions, uint64 round)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash =
            keccak256("RecordOutput(uint256 agentId,bytes32 dataHash,uint64 executions,uint64 consensusRound)");
        return _typed(keccak256(abi.encode(typeHash, id, dataHash, executions, round)));
    }

    function _typed(bytes32 structHash) internal view returns (bytes32) {
        return _typed(structHash, block.chainid, address(agents));
    }

    function _typed(bytes32 structHash, uint256 chainId, address verifier) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan"),
                keccak256("1"),
                chainId,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The other signature over the same: s mirrored, v flipped.
    function _highS(bytes memory signature) internal pure returns (bytes memory) {
        bytes32 r;
        uint256 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        return abi.encodePacked(r, ORDER - s, uint8(signature[64]) == 27 ? uint8(28) : uint8(27));
    }
}
