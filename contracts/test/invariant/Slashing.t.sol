// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {SlashingHandler} from "./SlashingHandler.sol";

/// @title What stays true of stakes whatever anybody does.
contract SlashingInvariantTest is Test {
    SlashingHandler private _handler;

    function setUp() public {
        _handler = new SlashingHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = SlashingHandler.register.selector;
        selectors[1] = SlashingHandler.addStake.selector;
        selectors[2] = SlashingHandler.unbond.selector;
        selectors[3] = SlashingHandler.withdraw.selector;
        selectors[4] = SlashingHandler.open.selector;
        selectors[5] = SlashingHandler.complete.selector;
        selectors[6] = SlashingHandler.askToClose.selector;
        selectors[7] = SlashingHandler.equivocate.selector;
        selectors[8] = SlashingHandler.overclaim.selector;
        selectors[9] = SlashingHandler.cancel.selector;
        selectors[10] = SlashingHandler.execute.selector;
        selectors[11] = SlashingHandler.pause.selector;
        selectors[12] = SlashingHandler.passTime.selector;
        selectors[13] = SlashingHandler.trespass.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// The registry holds its hosts' stakes, the slasher what is under appeal, each to the base unit.
    function invariant_everyUnitIsAccountedFor() public view {
        assertEq(_handler.token().balanceOf(address(_handler.registry())), _handler.stakes());
        assertEq(_handler.token().balanceOf(address(_handler.slasherContract())), _handler.heldOf(address(0)));
        assertEq(_handler.paidOut(), _handler.executedInAll());
    }

    /// What a host paid in is its stake, under appeal, paid back or slashed: nobody else's report touches it.
    function invariant_eachHostHasItsOwn() public view {
        for (uint256 i = 0; i < _handler.hostCount(); ++i) {
            address host = _handler.hosts(i);
            assertEq(_handler.inside(host), _handler.registry().getNode(host).stake + _handler.heldOf(host));
        }
    }

    /// Whatever happened, every host can leave, and every report is decided in the end.
    function afterInvariant() public {
        _handler.exitAll();
        assertEq(_handler.token().balanceOf(address(_handler.slasherContract())), 0, "a slash stayed undecided");
    }
}
