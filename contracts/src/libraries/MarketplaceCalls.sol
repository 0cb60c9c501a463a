// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IJobMarketplace} from "../interfaces/IJobMarketplace.sol";

/// @title The renter's calls to the marketplace, by what they do.
/// @dev A set of kinds is a byte of these bits. Every call of a kind takes `SessionTerms` as its first argument.
library MarketplaceCalls {
    uint8 internal constant OPEN = 1;
    uint8 internal constant TOP_UP = 2;
    uint8 internal constant CLOSE = 4;
    uint8 internal constant ALL = OPEN | TOP_UP | CLOSE;

    /// @dev Zero for a call that is none of them.
    function kindOf(bytes4 selector) internal pure returns (uint8) {
        if (selector == IJobMarketplace.createSessionJob.selector) return OPEN;
        if (selector == IJobMarketplace.topUp.selector) return TOP_UP;
        if (
            selector == IJobMarketplace.requestSessionClose.selector
                || selector == IJobMarketplace.finalizeSession.selector
                || selector == IJobMarketplace.triggerSessionTimeout.selector
        ) return CLOSE;
        return 0;
    }
}
