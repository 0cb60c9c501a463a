// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {GovernanceToken} from "../../src/GovernanceToken.sol";

/// @title Borrows tokens, uses their votes, and gives them back, all in one call.
contract VoteBorrower {
    GovernanceToken private immutable FAB;
    IGovernor private immutable GOVERNANCE;

    constructor(GovernanceToken fab, IGovernor governance) {
        FAB = fab;
        GOVERNANCE = governance;
        fab.delegate(address(this));
    }

    function borrow(address lender, uint256 amount) external {
        FAB.transferFrom(lender, address(this), amount);
        FAB.transfer(lender, amount);
    }

    function borrowAndVote(address lender, uint256 amount, uint256 id) external returns (uint256 weight) {
        FAB.transferFrom(lender, address(this), amount);
        weight = GOVERNANCE.castVote(id, 1);
        FAB.transfer(lender, amount);
    }

    function borrowAndPropose(address lender, uint256 amount, address[] calldata targets, bytes[] calldata calls)
        external
    {
        FAB.transferFrom(lender, address(this), amount);
        GOVERNANCE.propose(targets, new uint256[](targets.length), calls, "Borrowed.");
    }
}
