// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRelayChallenges} from "./IRelayChallenges.sol";
import {IRelayNodes} from "./IRelayNodes.sol";
import {IRelayRewards} from "./IRelayRewards.sol";
import {NodeSignals, SharedTraits} from "./RelayTypes.sol";

/// @title Relay nodes of fleets: registration, upkeep, rewards, storage challenges.
/// @notice What the contract holds is stakes, bonds of open challenges, the reward reserve, what is left of pots, and
/// what nodes and accounts have not withdrawn; never less. The owner sets the cap of nodes per machine and can touch
/// none of it.
/// @dev Assumptions:
/// - The stake token's supply fits 96 bits and it moves exactly the amount asked (a fee on transfer is refused when
///   it comes in). A token that takes balances away by itself would leave the last to withdraw short; MCT does not.
/// - A pause (IEntryPause) stops registrations, stake, funding and new challenges. It stops no upkeep, no answer, no
///   end of a challenge, and no withdrawal.
interface IRelayManager is IRelayNodes, IRelayRewards, IRelayChallenges {
    error ZeroAddress();
    error ZeroAmount();
    error UnexpectedTransferAmount(uint256 received, uint256 expected);
    error WithdrawalFailed(address to);

    /// @notice A node among its machine's, its operator's, and all nodes.
    function signalsOf(bytes32 nodeId) external view returns (NodeSignals memory);

    /// @notice How many of `others` have the same machine, operator, newest commitment, or endpoint as the node. The
    /// node itself is not counted.
    function sharedTraits(bytes32 nodeId, bytes32[] calldata others) external view returns (SharedTraits memory);
}
