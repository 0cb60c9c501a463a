// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC3009} from "../interfaces/IERC3009.sol";
import {IVersioned} from "../interfaces/IVersioned.sol";

/// @title A dollar for tests and local demonstrations: six decimals, EIP-2612, ERC-3009, and anyone may mint.
/// @dev Worth nothing, anywhere.
contract TestUsdc is ERC20, ERC20Permit, IERC3009, IVersioned {
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    mapping(address authorizer => mapping(bytes32 nonce => bool used)) public authorizationState;

    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    error NotPayee(address caller);
    error AuthorizationNotCurrent(uint256 validAfter, uint256 validBefore);
    error AuthorizationSpent(address authorizer, bytes32 nonce);
    error AuthorizationNotSigned(address authorizer);

    constructor() ERC20("Test USDC", "tUSDC") ERC20Permit("Test USDC") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc IERC3009
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (msg.sender != to) revert NotPayee(msg.sender);
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert AuthorizationNotCurrent(validAfter, validBefore);
        }
        if (authorizationState[from][nonce]) revert AuthorizationSpent(from, nonce);
        bytes32 structHash =
            keccak256(abi.encode(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        if (ECDSA.recover(_hashTypedDataV4(structHash), v, r, s) != from) revert AuthorizationNotSigned(from);
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.TestUsdc.v2");
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
