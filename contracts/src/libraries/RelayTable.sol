// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Tier} from "../interfaces/RelayTypes.sol";

/// @title What each tier asks and earns, and what sharing a machine costs: the only place of these figures.
library RelayTable {
    /// One GB of a tier is 2^30 bytes.
    uint64 internal constant GB = 1 << 30;
    /// Basis points that every further node on a machine takes from the weight of all nodes there.
    uint256 internal constant DECAY_BPS = 400;
    /// Basis points that no machine falls below. It is reached at eleven nodes; so one more node of the same tier never
    /// lowers what a machine earns altogether. One of a far smaller tier does.
    uint256 internal constant FLOOR_BPS = 6000;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @return minStake MCT at stake, base units.
    /// @return minStorage Bytes committed.
    function minimums(Tier tier) internal pure returns (uint96 minStake, uint64 minStorage) {
        if (tier == Tier.Bronze) return (100e18, 1 * GB);
        if (tier == Tier.Silver) return (500e18, 4 * GB);
        if (tier == Tier.Gold) return (1000e18, 10 * GB);
        return (5000e18, 50 * GB);
    }

    /// @dev Weight of a node among all nodes of an epoch: whole MCT of its tier times basis points. It is proportional
    /// to the tier's stake, so that one stake split over many small nodes, on as many invented machines, earns no more
    /// than one large node.
    function weightOf(Tier tier, uint256 nodesOnMachine) internal pure returns (uint32) {
        (uint96 minStake,) = minimums(tier);
        // 5,000 times 10,000 at most.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(minStake / 1e18 * concentrationBps(nodesOnMachine));
    }

    /// @dev 10,000 for one node alone (and for none), 400 less for each further, never below the floor.
    function concentrationBps(uint256 nodesOnMachine) internal pure returns (uint256) {
        if (nodesOnMachine < 2) return BASIS_POINTS;
        uint256 decay = (nodesOnMachine - 1) * DECAY_BPS;
        return decay < BASIS_POINTS - FLOOR_BPS ? BASIS_POINTS - decay : FLOOR_BPS;
    }
}
