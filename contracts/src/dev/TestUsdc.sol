// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IVersioned} from "../interfaces/IVersioned.sol";

/// @title A dollar for tests and local demonstrations: six decimals, EIP-2612, and anyone may mint.
/// @dev Worth nothing, anywhere.
contract TestUsdc is ERC20, ERC20Permit, IVersioned {
    constructor() ERC20("Test USDC", "tUSDC") ERC20Permit("Test USDC") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.TestUsdc.v1");
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
