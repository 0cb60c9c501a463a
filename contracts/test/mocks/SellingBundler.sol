// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IBaseAccountIntegration, Policy} from "../../src/interfaces/IBaseAccountIntegration.sol";

/// @title A sponsor that is its own bundler, and can do both in one transaction.
contract SellingBundler {
    IBaseAccountIntegration private immutable PAYMASTER;

    constructor(IBaseAccountIntegration paymaster) {
        PAYMASTER = paymaster;
    }

    receive() external payable {}

    function setPolicy(Policy calldata policy) external {
        PAYMASTER.setPolicy(policy);
    }

    function takeEarningsAndHandle(address token, PackedUserOperation[] calldata ops) external {
        PAYMASTER.withdrawEarnings(token, address(this));
        IEntryPoint(PAYMASTER.ENTRY_POINT()).handleOps(ops, payable(address(this)));
    }
}
