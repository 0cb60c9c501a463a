// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Job, JobStatus} from "../src/interfaces/JobTypes.sol";
import {PackedJob, PackedJobLib} from "../src/types/PackedJob.sol";

/// @title The word a job is stored in: every change touches the fields it names and no other.
contract PackedJobTest is Test {
    function test_fieldsDoNotTouchEachOther(uint16 fee, uint16 price, address by, uint40 end, uint40 next) public pure {
        PackedJob job = PackedJobLib.posted(fee);
        _assertIs(job, JobStatus.Posted, fee, 0, 0, address(0));
        _assertIs(job.closed(), JobStatus.Closed, fee, 0, 0, address(0));
        job = job.claimed(by, price);
        _assertIs(job, JobStatus.Claimed, fee, price, 0, by);
        _assertIs(job.closed(), JobStatus.Closed, fee, price, 0, by);
        job = job.waiting(JobStatus.Completed, end);
        _assertIs(job, JobStatus.Completed, fee, price, end, by);
        job = job.waiting(JobStatus.Disputed, next);
        _assertIs(job, JobStatus.Disputed, fee, price, next, by);
        job = job.closed();
        _assertIs(job, JobStatus.Closed, fee, price, 0, by);
    }

    /// What indexers and other contracts may read from storage.
    function test_liesAsDocumented() public pure {
        PackedJob job = PackedJobLib.posted(0x1234).claimed(address(0xabcdef), 0x5678).waiting(JobStatus.Disputed, 0x9a);
        uint256 expected = 4 | 0x1234 << 8 | 0x5678 << 24 | 0x9a << 40 | uint256(0xabcdef) << 80;
        assertEq(PackedJob.unwrap(job), expected);
    }

    /// The sixteen bits above the host are free, and stay so.
    function test_usesNoBitAboveTheHost(uint16 fee, uint16 price, address by, uint40 end) public pure {
        PackedJob job = PackedJobLib.posted(fee).claimed(by, price).waiting(JobStatus.Completed, end);
        assertEq(PackedJob.unwrap(job) >> 240, 0);
    }

    function test_anUntouchedSlotIsNoJob() public pure {
        _assertIs(PackedJob.wrap(0), JobStatus.None, 0, 0, 0, address(0));
    }

    function test_sharesAreRoundedAsTheirNamesSay(uint96 amount, uint16 bps) public pure {
        bps = uint16(bound(bps, 0, 10_000));
        uint256 exact = uint256(amount) * bps;
        uint256 down = PackedJobLib.shareRoundedDown(amount, bps);
        uint256 up = PackedJobLib.shareRoundedUp(amount, bps);
        assertLe(down * 10_000, exact);
        assertGt((down + 1) * 10_000, exact);
        assertGe(up * 10_000, exact);
        assertTrue(up == 0 || (up - 1) * 10_000 < exact);
        assertLe(up, amount);
    }

    function test_sharesAtTheEnds() public pure {
        uint96 most = type(uint96).max;
        assertEq(PackedJobLib.shareRoundedDown(most, 10_000), most);
        assertEq(PackedJobLib.shareRoundedUp(most, 10_000), most);
        assertEq(PackedJobLib.shareRoundedDown(most, 0), 0);
        assertEq(PackedJobLib.shareRoundedUp(most, 0), 0);
        assertEq(PackedJobLib.shareRoundedDown(9999, 1), 0);
        assertEq(PackedJobLib.shareRoundedUp(1, 1), 1);
        assertEq(PackedJobLib.shareRoundedUp(10_000, 1), 1);
        assertEq(PackedJobLib.shareRoundedUp(10_001, 1), 2);
    }

    /// Price by what the host asked, fee by what the posting fixed.
    function test_priceAndFeeAreOfTheirOwnShares(uint96 amount, uint16 fee, uint16 price) public pure {
        fee = uint16(bound(fee, 0, 1000));
        price = uint16(bound(price, 0, 10_000));
        PackedJob job = PackedJobLib.posted(fee).claimed(address(1), price);
        assertEq(job.priceRoundedDown(amount), uint256(amount) * price / 10_000);
        assertEq(job.feeRoundedDown(amount), uint256(amount) * fee / 10_000);
    }

    function _assertIs(PackedJob job, JobStatus status, uint16 fee, uint16 price, uint40 end, address by) private pure {
        Job memory unpacked = job.unpack();
        assertEq(uint8(unpacked.status), uint8(status));
        assertEq(unpacked.feeBps, fee);
        assertEq(unpacked.priceBps, price);
        assertEq(unpacked.windowEnd, end);
        assertEq(unpacked.host, by);
    }
}
