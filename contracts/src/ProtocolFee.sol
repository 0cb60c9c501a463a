// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IProtocolFee} from "./interfaces/IProtocolFee.sol";
import {EntryPause} from "./EntryPause.sol";
import {PaymentEscrow} from "./PaymentEscrow.sol";

/// @title The protocol fee.
/// @dev All the owner (a timelock) can do to the marketplace is in this file, but to decide the disputes of
/// jobs that leave it to the owner: the fee of future sessions and jobs, and who collects it. It can neither move a
/// deposit nor stop an exit.
abstract contract ProtocolFee is IProtocolFee, PaymentEscrow, Ownable2Step, EntryPause {
    /// @inheritdoc IProtocolFee
    uint16 public constant MAX_FEE_BPS = 1000;

    /// @inheritdoc IProtocolFee
    /// @dev In one slot with `pausedUntil`, which every opening reads too.
    uint16 public feeBps;
    /// @inheritdoc IProtocolFee
    address public feeRecipient;

    constructor(address feeRecipient_, uint16 feeBps_) {
        _setFeeBps(feeBps_);
        _setFeeRecipient(feeRecipient_);
    }

    /// @inheritdoc IProtocolFee
    function setFeeBps(uint16 feeBps_) external onlyOwner {
        _setFeeBps(feeBps_);
    }

    /// @inheritdoc IProtocolFee
    function setFeeRecipient(address recipient) external onlyOwner {
        _setFeeRecipient(recipient);
    }

    /// @inheritdoc IProtocolFee
    function withdrawFees(address token, address[] calldata hosts, address to)
        external
        nonReentrant
        returns (uint256 amount)
    {
        if (msg.sender != feeRecipient) revert NotFeeRecipient(msg.sender);
        for (uint256 i = 0; i < hosts.length; ++i) {
            uint256 fees = _takeFees(hosts[i], token);
            if (fees == 0) continue;
            amount += fees;
            emit FeesWithdrawn(hosts[i], token, to, fees);
        }
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);
        _send(token, to, amount);
    }

    /// @inheritdoc IProtocolFee
    function feesOf(address host, address token) external view returns (uint256) {
        return _feesOf(host, token);
    }

    /// @inheritdoc IProtocolFee
    function feesBroughtBy(address host, address token) external view returns (uint256) {
        return _feesBroughtBy(host, token);
    }

    function _setFeeBps(uint16 feeBps_) private {
        if (feeBps_ > MAX_FEE_BPS) revert FeeAboveCap(feeBps_, MAX_FEE_BPS);
        feeBps = feeBps_;
        emit FeeBpsSet(feeBps_);
    }

    function _setFeeRecipient(address recipient) private {
        if (recipient == address(0)) revert ZeroAddress();
        feeRecipient = recipient;
        emit FeeRecipientSet(recipient);
    }
}
