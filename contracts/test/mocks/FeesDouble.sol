// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IReputationSystem} from "../../src/interfaces/IReputationSystem.sol";

/// @title A marketplace whose hosts brought whatever a test says they did.
contract FeesDouble {
    mapping(address host => mapping(address token => uint256)) public feesBroughtBy;

    function bring(address host, address token, uint128 fees) external {
        feesBroughtBy[host][token] += fees;
    }

    function fail(IReputationSystem reputation, address host, address token, uint128 weight) external {
        reputation.recordFault(host, token, weight);
    }
}
