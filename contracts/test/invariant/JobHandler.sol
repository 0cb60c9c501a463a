// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "../Fixture.sol";
import {JobFixture} from "../JobFixture.sol";
import {IJobs} from "../../src/interfaces/IJobs.sol";
import {Job, JobStatus, JobTerms} from "../../src/interfaces/JobTypes.sol";
import {SessionHandler} from "./SessionHandler.sol";

/// @title Jobs beside sessions, on one marketplace, in any order.
/// @dev As its base: no function reverts, and each end of a job is checked to the base unit as it happens.
contract JobHandler is SessionHandler, JobFixture {
    bytes32[] private _openJobs;
    mapping(bytes32 => JobTerms) private _jobOf;
    bytes32[] public everPosted;
    mapping(bytes32 => bool) public delivered;
    mapping(bytes32 => bool) public jobClosed;
    /// What the renter put down for a dispute that is still open.
    mapping(bytes32 => uint96) public bondOf;

    function setUp() public override(Fixture, SessionHandler) {
        SessionHandler.setUp();
        proofs.setActive(CIRCUIT, MODEL, true);
    }

    // --- what the parties do

    /// One to three at a time, by one call each or all by one.
    function post(uint256 seed, uint96 maxPrice, uint40 lifetime) external {
        _lift();
        JobTerms[] memory many = new JobTerms[](1 + seed % 3);
        uint256 sum;
        for (uint256 i = 0; i < many.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            JobTerms memory terms = _jobTerms(tokens[(seed >> 8) % 3], uint96(bound(maxPrice, 1, 1e24)));
            terms.renter = renters[(seed >> 16) % 3];
            terms.host = word % 3 == 0 ? hosts[(word >> 8) % 2] : address(0);
            terms.deadline = uint40(block.timestamp + bound(lifetime, 1, 7 days));
            terms.circuit = (word >> 16) % 2 == 0 ? bytes32(0) : CIRCUIT;
            terms.arbiter = (word >> 24) % 2 == 0 ? address(0) : arbiter;
            terms.salt = bytes32(everPosted.length);
            many[i] = terms;
            sum += terms.maxPrice;
            bytes32 id = _idOf(terms);
            _jobOf[id] = terms;
            _openJobs.push(id);
            everPosted.push(id);
        }
        if ((seed >> 24) % 2 == 0) {
            for (uint256 i = 0; i < many.length; ++i) {
                _post(many[i]);
            }
            return;
        }
        vm.prank(many[0].renter);
        _board().createJobs{value: many[0].token == NATIVE ? sum : 0}(many);
    }

    function claimJob(uint256 seed, uint16 priceBps) external {
        // At the pace of one host no claim is refused.
        vm.warp(block.timestamp + nodes.CLAIM_INTERVAL());
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Posted);
        if (!found || block.timestamp > _jobOf[id].deadline) return;
        address by = _jobOf[id].host == address(0) ? hosts[seed % 2] : _jobOf[id].host;
        vm.prank(by);
        _board().claimJob(_jobOf[id], uint16(bound(priceBps, 0, 10_000)));
    }

    function deliverJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Claimed);
        if (!found || block.timestamp > _jobOf[id].deadline) return;
        vm.prank(_board().jobs(id).host);
        _board().completeJob(_jobOf[id], RESULT, _proofOf(_jobOf[id]));
        delivered[id] = true;
    }

    function failJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Claimed);
        if (!found) return;
        _end(id, _board().jobs(id).host, abi.encodeCall(IJobs.failJob, (_jobOf[id])), 0, _jobOf[id].renter);
    }

    function cancelJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Posted);
        if (!found) return;
        _end(id, _jobOf[id].renter, abi.encodeCall(IJobs.cancelJob, (_jobOf[id])), 0, _jobOf[id].renter);
    }

    function reclaimJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, seed % 2 == 0 ? JobStatus.Posted : JobStatus.Claimed);
        if (found) _reclaim(id);
    }

    /// By the renter at once, or by a stranger once the window is over.
    function settleJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Completed);
        if (found) _settle(id, seed % 2 == 0);
    }

    function disputeJob(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Completed);
        if (!found || block.timestamp >= _board().jobs(id).windowEnd) return;
        _lift();
        JobTerms memory terms = _jobOf[id];
        uint96 bond = uint96((uint256(_price(id)) + 9) / 10);
        vm.prank(terms.renter);
        _board().disputeJob{value: terms.token == NATIVE ? bond : 0}(terms);
        bondOf[id] = bond;
    }

    function resolveJob(uint256 seed, uint16 hostBps) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Disputed);
        if (!found || block.timestamp >= _board().jobs(id).windowEnd) return;
        hostBps = uint16(bound(hostBps, 0, 10_000));
        address judge = _jobOf[id].arbiter == address(0) ? owner : _jobOf[id].arbiter;
        uint96 gross = uint96(uint256(_price(id)) * hostBps / 10_000);
        address winner = hostBps >= 5000 ? _board().jobs(id).host : _jobOf[id].renter;
        _end(id, judge, abi.encodeCall(IJobs.resolveJob, (_jobOf[id], hostBps)), gross, winner);
    }

    function expireDispute(uint256 seed) external {
        (bytes32 id, bool found) = _pickJob(seed, JobStatus.Disputed);
        if (found) _expire(id);
    }

    /// Hosts and strangers that try their luck: paid before the window, by their own word, twice, or for nothing.
    function overreach(uint256 seed) external {
        if (everPosted.length == 0) return;
        bytes32 id = everPosted[seed % everPosted.length];
        Job memory job = _board().jobs(id);
        bool windowRuns = block.timestamp < job.windowEnd;
        if (job.status != JobStatus.Completed || windowRuns) {
            _refusedFor(id, abi.encodeCall(IJobs.settleJob, (_jobOf[id])));
        }
        if (job.status != JobStatus.Disputed || windowRuns) {
            _refusedFor(id, abi.encodeCall(IJobs.expireDispute, (_jobOf[id])));
        }
        _refusedFor(id, abi.encodeCall(IJobs.resolveJob, (_jobOf[id], 10_000)));
        _refusedFor(id, abi.encodeCall(IJobs.cancelJob, (_jobOf[id])));
        _refusedFor(id, abi.encodeCall(IJobs.createJob, (_jobOf[id])));
        if (job.status > JobStatus.Claimed) _refusedFor(id, abi.encodeCall(IJobs.reclaimJob, (_jobOf[id])));
        if (job.status != JobStatus.Claimed) {
            _refusedFor(id, abi.encodeCall(IJobs.completeJob, (_jobOf[id], RESULT, _proofOf(_jobOf[id]))));
            _refusedFor(id, abi.encodeCall(IJobs.failJob, (_jobOf[id])));
        }
    }

    // --- what the invariants ask

    function statusOf(bytes32 id) external view returns (JobStatus) {
        return _board().jobs(id).status;
    }

    function claimantOf(bytes32 id) external view returns (address) {
        return _board().jobs(id).host;
    }

    function everPostedCount() external view returns (uint256) {
        return everPosted.length;
    }

    /// Prices of open jobs and bonds of open disputes.
    function escrowsOf(address token) external view returns (uint256 sum) {
        for (uint256 i = 0; i < _openJobs.length; ++i) {
            bytes32 id = _openJobs[i];
            if (_jobOf[id].token == token) sum += uint256(_jobOf[id].maxPrice) + bondOf[id];
        }
    }

    /// @dev Every job ends without anybody whose word could be missing: time passes, then a stranger ends it.
    function exitJobs() external {
        while (_openJobs.length != 0) {
            bytes32 id = _openJobs[0];
            JobStatus status = _board().jobs(id).status;
            if (status == JobStatus.Completed) _settle(id, false);
            else if (status == JobStatus.Disputed) _expire(id);
            else _reclaim(id);
        }
    }

    // --- inner

    function _reclaim(bytes32 id) private {
        if (block.timestamp <= _jobOf[id].deadline) vm.warp(uint256(_jobOf[id].deadline) + 1);
        _end(id, stranger, abi.encodeCall(IJobs.reclaimJob, (_jobOf[id])), 0, _jobOf[id].renter);
    }

    function _settle(bytes32 id, bool byRenter) private {
        uint40 windowEnd = _board().jobs(id).windowEnd;
        if (!byRenter && block.timestamp < windowEnd) vm.warp(windowEnd);
        address caller = byRenter ? _jobOf[id].renter : stranger;
        _end(id, caller, abi.encodeCall(IJobs.settleJob, (_jobOf[id])), _price(id), _jobOf[id].renter);
    }

    function _expire(bytes32 id) private {
        uint40 windowEnd = _board().jobs(id).windowEnd;
        if (block.timestamp < windowEnd) vm.warp(windowEnd);
        bool proven = _jobOf[id].circuit != 0;
        uint96 gross = proven ? _price(id) : 0;
        address bondTo = proven ? _board().jobs(id).host : _jobOf[id].renter;
        _end(id, stranger, abi.encodeCall(IJobs.expireDispute, (_jobOf[id])), gross, bondTo);
    }

    /// @dev Ends a job, and checks who got what of the price and the bond.
    function _end(bytes32 id, address caller, bytes memory call, uint96 gross, address bondTo) private {
        JobTerms memory terms = _jobOf[id];
        Job memory job = _board().jobs(id);
        assertFalse(jobClosed[id], "ended twice");
        if (gross != 0) {
            assertTrue(delivered[id], "paid without a result");
            bool judged = caller == (terms.arbiter == address(0) ? owner : terms.arbiter);
            assertTrue(caller == terms.renter || judged || block.timestamp >= job.windowEnd, "paid on nobody's word");
        }
        uint96 fee = uint96(uint256(gross) * job.feeBps / 10_000);
        uint256 toHost = uint256(gross) - fee + (bondTo == job.host ? bondOf[id] : 0);
        uint256 toRenter = uint256(terms.maxPrice) - gross + (bondTo == terms.renter ? bondOf[id] : 0);
        uint256 hostBefore = market.balanceOf(job.host, terms.token);
        uint256 renterBefore = _held(terms.token, terms.renter) + market.balanceOf(terms.renter, terms.token);
        vm.prank(caller);
        (bool done,) = address(market).call(call);
        assertTrue(done, "an end was refused");
        assertEq(market.balanceOf(job.host, terms.token), hostBefore + toHost, "host");
        uint256 renterNow = _held(terms.token, terms.renter) + market.balanceOf(terms.renter, terms.token);
        assertEq(renterNow, renterBefore + toRenter, "renter");
        feesOfCloses[job.host][terms.token] += fee;
        (jobClosed[id], bondOf[id]) = (true, 0);
        for (uint256 i = 0; i < _openJobs.length; ++i) {
            if (_openJobs[i] != id) continue;
            _openJobs[i] = _openJobs[_openJobs.length - 1];
            _openJobs.pop();
            return;
        }
    }

    /// @dev Whoever is neither the renter nor the arbiter.
    function _refusedFor(bytes32 id, bytes memory call) private {
        address[3] memory callers = [stranger, hosts[0], hosts[1]];
        Job memory job = _board().jobs(id);
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            (bool done,) = address(market).call(call);
            assertFalse(done, "a stranger had its way");
        }
        assertEq(keccak256(abi.encode(_board().jobs(id))), keccak256(abi.encode(job)));
    }

    function _price(bytes32 id) private view returns (uint96) {
        return uint96(uint256(_jobOf[id].maxPrice) * _board().jobs(id).priceBps / 10_000);
    }

    function _pickJob(uint256 seed, JobStatus status) private view returns (bytes32, bool) {
        for (uint256 i = 0; i < _openJobs.length; ++i) {
            bytes32 id = _openJobs[(seed % _openJobs.length + i) % _openJobs.length];
            if (_board().jobs(id).status == status) return (id, true);
        }
        return (0, false);
    }
}
