// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Votes} from "@openzeppelin/contracts/governance/utils/Votes.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title FAB: stake and votes.
/// @notice The whole supply exists from the first block. Nobody can mint, pause, or seize.
/// @dev Votes are dated in seconds (ERC-6372), because blocks take another time on every chain.
contract GovernanceToken is ERC20, ERC20Permit, ERC20Votes, IVersioned {
    /// One billion, 18 decimals: small enough that any stake fits the registry's 96 bits.
    uint256 public constant FIXED_SUPPLY = 1_000_000_000e18;

    /// @param receiver Gets the whole supply.
    constructor(address receiver) ERC20("Capstan", "FAB") ERC20Permit("Capstan") {
        _mint(receiver, FIXED_SUPPLY);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.GovernanceToken.v2");
    }

    /// @inheritdoc Votes
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc Votes
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
