// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Deploy} from "../script/Deploy.s.sol";
import {Deployment} from "../script/DeployAll.sol";
import {NoKeyInPower} from "./NoKeyInPower.sol";

/// @title The deployment by forge, from the environment to the last contract.
contract DeployScriptTest is NoKeyInPower {
    address private _holder = makeAddr("holder");
    address private _entryPoint = makeAddr("entry point");
    address[2] private _guardians = [makeAddr("guardian"), makeAddr("other guardian")];

    /// @dev One test, as the environment is everybody's.
    function test_deploysWhatTheEnvironmentSays() public {
        vm.setEnv("TOKEN_HOLDER", vm.toString(_holder));
        vm.setEnv("GUARDIANS", string.concat(vm.toString(_guardians[0]), ",", vm.toString(_guardians[1])));
        vm.setEnv("FEE_BPS", "65536");
        vm.setEnv("ENTRY_POINT", vm.toString(_entryPoint));
        Deploy script = new Deploy();
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 16, 65536));
        script.run();
        vm.setEnv("FEE_BPS", "123");
        vm.expectRevert(abi.encodeWithSelector(Deploy.NoEntryPoint.selector, _entryPoint));
        script.run();

        vm.etch(_entryPoint, hex"00");
        Deployment memory made = script.run();
        assertEq(made.governanceToken.balanceOf(_holder), made.governanceToken.totalSupply());
        assertEq(made.relayToken.balanceOf(_holder), made.relayToken.totalSupply());
        assertEq(made.jobMarketplace.feeBps(), 123);
        assertEq(made.baseAccountIntegration.ENTRY_POINT(), _entryPoint);
        assertTrue(made.circuitBreaker.isGuardian(_guardians[0]));
        assertTrue(made.circuitBreaker.isGuardian(_guardians[1]));

        address[] memory keys = new address[](5);
        (keys[0], keys[1], keys[2]) = (DEFAULT_SENDER, _holder, _guardians[0]);
        (keys[3], keys[4]) = (address(this), address(script));
        _requireNoKeyInPower(address(made.timelock), _contractsOf(made), keys);
    }
}
