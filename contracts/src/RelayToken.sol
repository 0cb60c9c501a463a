// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title MCT: stake, bonds and rewards of relay nodes.
/// @notice The whole supply exists from the first block. Nobody can mint, pause, or seize.
contract RelayToken is ERC20, ERC20Permit, IVersioned {
    /// One billion, 18 decimals: whatever RelayManager can ever hold fits its 96 bits.
    uint256 public constant FIXED_SUPPLY = 1_000_000_000e18;

    /// @param receiver Gets the whole supply.
    constructor(address receiver) ERC20("Capstan Relay", "MCT") ERC20Permit("Capstan Relay") {
        _mint(receiver, FIXED_SUPPLY);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.RelayToken.v1");
    }
}
