// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {HostSlashingFixture} from "./HostSlashingFixture.sol";
import {Evidence} from "../src/interfaces/IHostSlashing.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";

/// @title What a report costs whoever makes it, and its execution.
contract HostSlashingGasTest is HostSlashingFixture {
    string private constant GROUP = "HostSlashing";

    function _measured(string memory name, uint256 budget) private {
        uint256 gasUsed = vm.snapshotGasLastCall(GROUP, name);
        assertLe(gasUsed, budget, name);
    }

    function test_equivocation() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _reportEquivocation(terms);
        _measured("report_equivocation", 150_000);
        vm.warp(START + 14 days);
        vm.prank(stranger);
        slashing.executeSlash(terms, Evidence.Equivocation);
        _measured("execute_slash", 110_000);
    }

    function test_overclaim() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _completeBy(terms, DEPOSIT);
        _reportOverclaim(terms, 1);
        _measured("report_overclaim", 140_000);
        vm.prank(owner);
        slashing.cancelSlash(terms, Evidence.Overclaim);
        _measured("cancel_slash", 75_000);
    }
}
