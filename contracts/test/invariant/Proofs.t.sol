// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {ProofHandler} from "./ProofHandler.sol";

contract ProofInvariants is Test {
    ProofHandler private _handler;

    function setUp() public {
        _handler = new ProofHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = ProofHandler.register.selector;
        selectors[1] = ProofHandler.retire.selector;
        selectors[2] = ProofHandler.passTime.selector;
        selectors[3] = ProofHandler.prove.selector;
        selectors[4] = ProofHandler.replay.selector;
        selectors[5] = ProofHandler.lie.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// What was taken is marked, and was taken once.
    function invariant_aStatementCountsOnce() public view {
        for (uint256 i = 0; i < _handler.consumedCount(); ++i) {
            bytes32 nullifier = _handler.consumed(i);
            assertTrue(_handler.isUsed(nullifier));
            assertEq(_handler.uses(nullifier), 1);
        }
    }

    /// What was refused left nothing behind.
    function invariant_aRefusalUsesNothingUp() public view {
        for (uint256 i = 0; i < _handler.refusedCount(); ++i) {
            assertFalse(_handler.isUsed(_handler.refused(i)));
        }
    }

    /// A circuit is active from its registration to its retirement.
    function invariant_circuitsAreActiveUntilRetired() public view {
        for (uint256 i = 0; i < _handler.circuitCount(); ++i) {
            bytes32 id = _handler.circuits(i);
            assertEq(_handler.isActive(id), _handler.retiredAt(id) == 0);
        }
    }
}
