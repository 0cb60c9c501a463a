// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {JobMarketplace} from "../../src/JobMarketplace.sol";
import {SessionStatus} from "../../src/interfaces/SessionTypes.sol";
import {SessionHandler} from "./SessionHandler.sol";

/// @title What stays true whatever anybody does.
contract SessionsInvariantTest is Test {
    SessionHandler private _handler;

    function setUp() public {
        _handler = new SessionHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = SessionHandler.open.selector;
        selectors[1] = SessionHandler.topUp.selector;
        selectors[2] = SessionHandler.signVoucher.selector;
        selectors[3] = SessionHandler.complete.selector;
        selectors[4] = SessionHandler.completeBatch.selector;
        selectors[5] = SessionHandler.requestClose.selector;
        selectors[6] = SessionHandler.present.selector;
        selectors[7] = SessionHandler.finalize.selector;
        selectors[8] = SessionHandler.timeOut.selector;
        selectors[9] = SessionHandler.withdraw.selector;
        selectors[10] = SessionHandler.withdrawFees.selector;
        selectors[11] = SessionHandler.setFee.selector;
        selectors[12] = SessionHandler.passTime.selector;
        selectors[13] = SessionHandler.misbehave.selector;
        selectors[14] = SessionHandler.overclaim.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// Per token, what the contract holds is the open deposits plus the ledger, to the base unit.
    function invariant_moneyIsConserved() public view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.tokens(i);
            assertEq(_handler.heldOf(token), _handler.depositsOf(token) + _handler.ledgerOf(token));
        }
    }

    /// A closed session stays closed, and paid no more than was signed for or acknowledged (checked as it closes).
    function invariant_aSessionClosesOnce() public view {
        for (uint256 i = 0; i < _handler.everOpenedCount(); ++i) {
            bytes32 id = _handler.everOpened(i);
            SessionStatus status = _market().sessions(id).status;
            assertEq(_handler.closed(id), status == SessionStatus.Closed);
            assertTrue(status != SessionStatus.None);
        }
    }

    /// What was presented of an open session never exceeds what its renter owes, nor what it put in.
    function invariant_presentedIsCovered() public view {
        for (uint256 i = 0; i < _handler.openCount(); ++i) {
            bytes32 id = _handler.openAt(i);
            uint96 presented = _market().sessions(id).presented;
            assertLe(presented, _handler.owed(id));
            assertLe(presented, _handler.totalOf(id));
        }
    }

    /// Whatever happened, everybody can leave, and then nothing is left.
    function afterInvariant() public {
        _handler.exitAll();
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(_handler.heldOf(_handler.tokens(i)), 0, "money stayed behind");
        }
    }

    function _market() private view returns (JobMarketplace) {
        return _handler.marketplace();
    }
}
