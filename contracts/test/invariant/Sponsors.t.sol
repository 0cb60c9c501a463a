// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {SponsorHandler} from "./SponsorHandler.sol";

/// @title What stays true of the paymaster whatever anybody does.
contract SponsorsInvariantTest is Test {
    SponsorHandler private _handler;

    function setUp() public {
        _handler = new SponsorHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](10);
        selectors[0] = SponsorHandler.fund.selector;
        selectors[1] = SponsorHandler.withdraw.selector;
        selectors[2] = SponsorHandler.setPrice.selector;
        selectors[3] = SponsorHandler.creditFor.selector;
        selectors[4] = SponsorHandler.withdrawCredit.selector;
        selectors[5] = SponsorHandler.withdrawEarnings.selector;
        selectors[6] = SponsorHandler.passTime.selector;
        // What it is all about, three times as often.
        selectors[7] = SponsorHandler.operate.selector;
        selectors[8] = SponsorHandler.operate.selector;
        selectors[9] = SponsorHandler.operate.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// All balances can be paid out of the deposit, which holds little else.
    function invariant_theDepositIsTheSponsors() public view {
        assertGe(_handler.deposit(), _handler.balances());
        assertLe(_handler.deposit(), _handler.balances() + _handler.largestDust());
    }

    function invariant_tokensAreOwedToTheUnit() public view {
        assertEq(_handler.tokensHeld(), _handler.tokensOwed());
    }

    /// Nor does anybody pay for another: each balance is what its own operations left of it.
    function invariant_nobodySpendsBeyondALimit() public view {
        _handler.assertLimits();
    }

    function afterInvariant() public {
        _handler.exitAll();
        assertEq(_handler.balances(), 0);
        assertEq(_handler.tokensHeld(), 0);
        assertLe(_handler.deposit(), _handler.largestDust());
    }
}
