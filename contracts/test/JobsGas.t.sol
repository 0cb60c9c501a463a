// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

/// @title What each transaction of a job costs, whole: 21,000 and calldata included, every slot and account cold.
contract JobsGasTest is JobFixture {
    string private constant MARKET = "JobMarketplace";

    function _measured(string memory name, uint256 budget) private {
        assertLe(vm.snapshotGasLastCall(MARKET, name), budget, name);
    }

    function _salted(JobTerms memory terms, uint256 salt) private pure returns (JobTerms memory) {
        terms.salt = keccak256(abi.encode(salt));
        return terms;
    }

    /// @dev A job of before, paid: renter and host have posted, claimed and been credited once.
    function _earlier(JobTerms memory terms) private {
        terms = _salted(terms, 7777);
        _toCompleted(terms);
        vm.prank(renter);
        _board().settleJob(terms);
    }

    function test_firstJobOfBoth() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        _measured("job_create_first", 75_000);
        _claim(terms);
        _measured("job_claim_first", 55_000);
    }

    function test_job() public {
        _earlier(_nativeJob());
        JobTerms memory terms = _nativeJob();
        _post(terms);
        _measured("job_create", 75_000);
        _claim(terms);
        _measured("job_claim", 55_000);
        _deliver(terms);
        _measured("job_complete_no_proof", 90_000);
        vm.warp(block.timestamp + 1 days);
        vm.prank(stranger);
        _board().settleJob(terms);
        _measured("job_settle", 90_000);
    }
}
