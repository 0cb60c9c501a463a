// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {GovernanceHandler} from "./GovernanceHandler.sol";

/// @title What stays true of governance whatever holders do.
contract DecisionsInvariantTest is Test {
    GovernanceHandler private _handler;

    function setUp() public {
        _handler = new GovernanceHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = GovernanceHandler.transfer.selector;
        selectors[1] = GovernanceHandler.delegate.selector;
        selectors[2] = GovernanceHandler.propose.selector;
        selectors[3] = GovernanceHandler.vote.selector;
        selectors[4] = GovernanceHandler.queue.selector;
        selectors[5] = GovernanceHandler.execute.selector;
        selectors[6] = GovernanceHandler.cancel.selector;
        selectors[7] = GovernanceHandler.passTime.selector;
        selectors[8] = GovernanceHandler.usurp.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// The fee is the one that was decided last. (Each decision is checked as it is executed.)
    function invariant_nothingChangesUndecided() public view {
        assertEq(_handler.fee(), _handler.decided());
    }

    /// A token has one vote in each decision, that of the second in which the vote began.
    function invariant_votesAreThoseOfTheSnapshot() public view {
        _handler.checkTallies();
    }

    function invariant_noKeyIsInPower() public view {
        _handler.requireNoKeyInPower();
    }
}
