// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {JobMarketplace} from "../../src/JobMarketplace.sol";
import {JobStatus} from "../../src/interfaces/JobTypes.sol";
import {JobHandler} from "./JobHandler.sol";
import {SessionHandler} from "./SessionHandler.sol";

/// @title What stays true of jobs and sessions together, whatever anybody does.
contract JobsInvariantTest is Test {
    JobHandler private _handler;

    function setUp() public {
        _handler = new JobHandler();
        _handler.setUp();
        // What happens to jobs comes about twice as often as what happens to sessions beside them.
        bytes4[] memory selectors = new bytes4[](28);
        selectors[0] = JobHandler.post.selector;
        selectors[1] = JobHandler.claimJob.selector;
        selectors[2] = JobHandler.deliverJob.selector;
        selectors[3] = JobHandler.failJob.selector;
        selectors[4] = JobHandler.cancelJob.selector;
        selectors[5] = JobHandler.reclaimJob.selector;
        selectors[6] = JobHandler.settleJob.selector;
        selectors[7] = JobHandler.disputeJob.selector;
        selectors[8] = JobHandler.resolveJob.selector;
        selectors[9] = JobHandler.expireDispute.selector;
        selectors[10] = JobHandler.overreach.selector;
        selectors[11] = JobHandler.post.selector;
        selectors[12] = JobHandler.claimJob.selector;
        selectors[13] = JobHandler.claimJob.selector;
        selectors[14] = JobHandler.deliverJob.selector;
        selectors[15] = JobHandler.deliverJob.selector;
        selectors[16] = JobHandler.disputeJob.selector;
        selectors[17] = SessionHandler.open.selector;
        selectors[18] = SessionHandler.complete.selector;
        selectors[19] = SessionHandler.timeOut.selector;
        selectors[20] = SessionHandler.withdraw.selector;
        selectors[21] = SessionHandler.withdrawFees.selector;
        selectors[22] = SessionHandler.setFee.selector;
        selectors[23] = SessionHandler.passTime.selector;
        selectors[24] = SessionHandler.misbehave.selector;
        selectors[25] = SessionHandler.requestClose.selector;
        selectors[26] = SessionHandler.finalize.selector;
        selectors[27] = SessionHandler.completeBatch.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// Per token, what the contract holds is deposits, escrows and bonds that are open, plus the ledger, to the base
    /// unit.
    function invariant_moneyIsConserved() public view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.tokens(i);
            uint256 open = _handler.depositsOf(token) + _handler.escrowsOf(token);
            assertEq(_handler.heldOf(token), open + _handler.ledgerOf(token));
        }
    }

    /// A closed job stays closed; what each end paid is checked as it happens.
    function invariant_aJobEndsOnce() public view {
        for (uint256 i = 0; i < _handler.everPostedCount(); ++i) {
            bytes32 id = _handler.everPosted(i);
            JobStatus status = _handler.statusOf(id);
            assertEq(_handler.jobClosed(id), status == JobStatus.Closed);
            assertTrue(status != JobStatus.None);
            if (status == JobStatus.Posted) assertEq(_handler.claimantOf(id), address(0));
            if (status == JobStatus.Completed || status == JobStatus.Disputed) assertTrue(_handler.delivered(id));
        }
    }

    /// What a host's work brought is the sum of the fees of all its closes, whoever collected what: it never falls.
    function invariant_feesBroughtAreThoseOfTheCloses() public view {
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                (address host, address token) = (_handler.hosts(i), _handler.tokens(j));
                uint256 brought = _market().feesBroughtBy(host, token);
                assertEq(brought, _handler.feesOfCloses(host, token));
                assertLe(_market().feesOf(host, token), brought);
            }
        }
    }

    /// Whatever happened, everybody can leave, and then nothing is left.
    function afterInvariant() public {
        _handler.exitJobs();
        _handler.exitAll();
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(_handler.heldOf(_handler.tokens(i)), 0, "money stayed behind");
        }
    }

    function _market() private view returns (JobMarketplace) {
        return _handler.marketplace();
    }
}
