// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Script} from "forge-std/Script.sol";
import {DeployAll, DeployParams, Deployment} from "./DeployAll.sol";

/// @title The deployment by forge, for those who have forge and not capstan.
/// @dev `capstan deploy` does the same, and checks the parameters of the chain, writes the addresses into its file and
/// tests what it made. Here: TOKEN_HOLDER, GUARDIANS (comma-separated), FEE_BPS, ENTRY_POINT from the environment; the
/// key by forge's own options.
contract Deploy is Script, DeployAll {
    error NoEntryPoint(address entryPoint);

    function run() external returns (Deployment memory made) {
        DeployParams memory params = DeployParams({
            tokenHolder: vm.envAddress("TOKEN_HOLDER"),
            guardians: vm.envOr("GUARDIANS", ",", new address[](0)),
            feeBps: SafeCast.toUint16(vm.envUint("FEE_BPS")),
            entryPoint: vm.envAddress("ENTRY_POINT")
        });
        if (params.entryPoint.code.length == 0) revert NoEntryPoint(params.entryPoint);
        vm.startBroadcast();
        (, address deployer,) = vm.readCallers();
        made = _deployAll(deployer, params);
        vm.stopBroadcast();
    }
}
