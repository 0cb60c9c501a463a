// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SIG_VALIDATION_FAILED, _packValidationData} from "@account-abstraction/contracts/core/Helpers.sol";
import {IAccount} from "@account-abstraction/contracts/interfaces/IAccount.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Call} from "./interfaces/ISelfBatch.sol";
import {ISessionAccount, Scope, SessionKey} from "./interfaces/ISessionAccount.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {AccountCode} from "./libraries/AccountCode.sol";
import {SessionKeys} from "./SessionKeys.sol";

/// @title A renter's smart account.
/// @dev Reads only its own storage, and neither time nor balances, while an operation is validated (ERC-7562).
contract SessionAccount is SessionKeys, IAccount, IERC1271, IVersioned {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant MESSAGE_TYPEHASH = keccak256("AccountMessage(bytes32 digest)");

    /// A selector and one word: where the calldata of `executeWithKey` names the key.
    uint256 private constant KEY_END = 36;

    address private immutable IMPLEMENTATION = address(this);

    /// @dev The EntryPoint calls only what `validateUserOp` let pass, and that lets only the owner pass to anything
    /// but `executeWithKey`.
    modifier onlyOwner() {
        if (msg.sender != ENTRY_POINT && msg.sender != address(this) && msg.sender != owner()) {
            revert NotOwner(msg.sender);
        }
        _;
    }

    error ZeroAddress();

    constructor(address entryPoint, address marketplace) SessionKeys(entryPoint, marketplace) {
        if (entryPoint == address(0) || marketplace == address(0)) revert ZeroAddress();
    }

    receive() external payable {
        if (address(this) == IMPLEMENTATION) revert NotAnAccount();
    }

    /// @inheritdoc IAccount
    /// @dev A bad signature is answered and not reverted, so that gas can be estimated before anything is signed.
    function validateUserOp(PackedUserOperation calldata userOp, bytes32 userOpHash, uint256 missingAccountFunds)
        external
        returns (uint256 validationData)
    {
        if (msg.sender != ENTRY_POINT) revert NotEntryPoint(msg.sender);
        bool withKey = bytes4(userOp.callData) == ISessionAccount.executeWithKey.selector;
        validationData = withKey
            ? _validateKey(userOp, userOpHash)
            : (_isSignedBy(owner(), userOpHash, userOp.signature) ? 0 : SIG_VALIDATION_FAILED);
        if (missingAccountFunds != 0) {
            (bool paid,) = msg.sender.call{value: missingAccountFunds}("");
            if (!paid) revert PrefundFailed();
        }
    }

    /// @inheritdoc ISessionAccount
    function execute(Call[] calldata calls) external onlyOwner {
        for (uint256 i = 0; i < calls.length; ++i) {
            _call(i, calls[i]);
        }
    }

    /// @inheritdoc ISessionAccount
    function executeWithKey(address key, Call[] calldata calls) external {
        if (msg.sender != ENTRY_POINT && msg.sender != key) revert NotSessionKey(msg.sender);
        uint8 allowed = _requireActive(key);
        for (uint256 i = 0; i < calls.length; ++i) {
            _requireInScope(key, allowed, calls[i]);
            _call(i, calls[i]);
        }
    }

    /// @inheritdoc ISessionAccount
    function grantSessionKey(address key, Scope calldata scope) external onlyOwner {
        _grant(key, scope);
    }

    /// @inheritdoc ISessionAccount
    function revokeSessionKey(address key) external onlyOwner {
        _revoke(key);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        address owner_ = owner();
        bytes32 signed = owner_ == address(this) ? digest : accountDigest(digest);
        return _isSignedBy(owner_, signed, signature) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.SessionAccount.v1");
    }

    /// @inheritdoc ISessionAccount
    function accountDigest(bytes32 digest) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256("Capstan SessionAccount"), keccak256("1"), block.chainid, address(this)
            )
        );
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(MESSAGE_TYPEHASH, digest)));
    }

    /// @inheritdoc ISessionAccount
    function owner() public view returns (address) {
        return AccountCode.ownerOfThis();
    }

    function _validateKey(PackedUserOperation calldata userOp, bytes32 userOpHash) private returns (uint256) {
        if (userOp.callData.length < KEY_END) return SIG_VALIDATION_FAILED;
        address key = address(uint160(uint256(bytes32(userOp.callData[4:KEY_END]))));
        (SessionKey memory stored, bool active) = _activeKey(key);
        if (!active) return SIG_VALIDATION_FAILED;
        // With a bad signature as well, or the estimate would lack the gas of this. The EntryPoint undoes it then.
        _commitGas(key, stored.paymaster, userOp);
        bool signed = _isSignedBy(key, userOpHash, userOp.signature);
        return _packValidationData(!signed, stored.validUntil, stored.validAfter);
    }

    function _call(uint256 index, Call calldata item) private {
        (bool done, bytes memory reason) = item.to.call{value: item.value}(item.data);
        if (!done) revert CallReverted(index, reason);
    }

    /// @dev False for a signer of zero, the owner of no account.
    function _isSignedBy(address signer, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        return fault == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
