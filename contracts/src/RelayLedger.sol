// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IRelayManager} from "./interfaces/IRelayManager.sol";
import {IRelayRewards} from "./interfaces/IRelayRewards.sol";

/// @title What moves the token, and the accounts of wallets and challengers.
/// @dev Functions that call the token are `nonReentrant` and call it last. The others make no call at all; entered from
/// a token with hooks they find state that is complete.
abstract contract RelayLedger is IRelayManager, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Stake, bonds and rewards are all in this token.
    IERC20 public immutable STAKE_TOKEN;

    /// @dev One slot: money of the account that is not its node's, and which node that is.
    struct Account {
        uint96 balance;
        /// The part of the node id above the wallet's address.
        bytes12 nodePrefix;
        bool hasNode;
    }

    mapping(address account => Account) internal _accounts;

    /// @dev What future epochs' pots are taken from.
    uint96 internal _reserve;

    constructor(IERC20 stakeToken) {
        if (address(stakeToken) == address(0)) revert ZeroAddress();
        STAKE_TOKEN = stakeToken;
    }

    /// @inheritdoc IRelayRewards
    function rewardReserve() external view returns (uint96) {
        return _reserve;
    }

    function _credit(address account, uint96 amount) internal {
        _accounts[account].balance += amount;
        emit Credited(account, amount);
    }

    /// @dev Takes exactly `amount` from the caller, who has approved it.
    function _pull(uint96 amount) internal {
        uint256 before = STAKE_TOKEN.balanceOf(address(this));
        STAKE_TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = STAKE_TOKEN.balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransferAmount(received, amount);
    }

    function _send(address to, uint96 amount) internal {
        // Sent to nobody or to this contract, the money would be lost.
        if (to == address(0) || to == address(this)) revert WithdrawalFailed(to);
        STAKE_TOKEN.safeTransfer(to, amount);
    }
}
