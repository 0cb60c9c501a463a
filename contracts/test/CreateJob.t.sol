// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {Job, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

/// @title createJob, createJobs.
contract CreateJobTest is JobFixture {
    // --- refusals of one

    function test_refusesAnybodyButTheRenter() public {
        JobTerms memory terms = _nativeJob();
        vm.deal(stranger, MAX_PRICE);
        _refusesValue(terms, stranger, MAX_PRICE, _create(terms), _with(IJobs.NotRenter.selector, stranger));
        terms.renter = address(0);
        _refusesValue(terms, stranger, MAX_PRICE, _create(terms), _with(IJobs.NotRenter.selector, stranger));
    }

    function test_refusesZeroPrice() public {
        for (uint256 i = 0; i < 2; ++i) {
            JobTerms memory terms = _bothJobs()[i];
            terms.maxPrice = 0;
            _refuses(terms, renter, _create(terms), abi.encodeWithSelector(IJobs.ZeroPriceJob.selector));
        }
    }

    function test_refusesDeadlineThatIsNotInRange(uint40 deadline) public {
        uint40 nowAt = uint40(START);
        vm.assume(deadline <= nowAt || deadline > nowAt + 7 days);
        _refusesDeadline(deadline);
    }

    function test_refusesTheNeighboursOfTheDeadlineRange() public {
        _refusesDeadline(uint40(START));
        _refusesDeadline(uint40(START + 7 days + 1));
    }

    function test_takesBothEndsOfTheDeadlineRange() public {
        JobTerms memory terms = _nativeJob();
        terms.deadline = uint40(START + 1);
        _post(terms);
        terms.deadline = uint40(START + 7 days);
        _post(terms);
        assertEq(_board().MAX_JOB(), 7 days);
    }

    function test_refusesTermsPostedBeforeWhateverBecameOfThem() public {
        JobTerms memory terms = _nativeJob();
        vm.deal(renter, 1000 ether);
        for (uint8 status = uint8(JobStatus.Posted); status <= uint8(JobStatus.Closed); ++status) {
            uint256 snapshot = vm.snapshotState();
            _bringTo(terms, JobStatus(status));
            bytes memory exists = abi.encodeWithSelector(IJobs.JobExists.selector, _idOf(terms));
            _refusesValue(terms, renter, MAX_PRICE, _create(terms), exists);
            vm.revertToState(snapshot);
        }
    }

    function test_refusesWrongNativeValue() public {
        JobTerms memory terms = _nativeJob();
        uint256[3] memory values = [uint256(0), MAX_PRICE - 1, MAX_PRICE + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            bytes memory wrong = abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, values[i], MAX_PRICE);
            _refusesValue(terms, renter, values[i], _create(terms), wrong);
        }
    }

    function test_refusesValueWithErc20() public {
        bytes memory wrong = abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 1, 0);
        _refusesValue(_usdcJob(), renter, 1, _create(_usdcJob()), wrong);
    }

    function test_refusesMissingAllowance() public {
        vm.prank(renter);
        usdc.approve(address(market), USDC_PRICE - 1);
        bytes memory missing = abi.encodeWithSelector(
            IERC20Errors.ERC20InsufficientAllowance.selector, address(market), USDC_PRICE - 1, USDC_PRICE
        );
        _refuses(_usdcJob(), renter, _create(_usdcJob()), missing);
    }

    /// Bits above a short field would make a job whose id no later reading of its terms gives.
    function test_refusesBitsAboveAShortField() public {
        JobTerms memory terms = _nativeJob();
        terms.host = host;
        terms.arbiter = arbiter;
        uint256[6] memory fields = [uint256(0), 1, 2, 3, 4, 8];
        uint256[6] memory widths = [uint256(160), 160, 160, 96, 40, 160];
        for (uint256 i = 0; i < fields.length; ++i) {
            _refusesBit(terms, fields[i], widths[i]);
            _refusesBit(terms, fields[i], 255);
        }
        // Without such a bit, the same words are taken.
        vm.prank(renter);
        (bool done,) = address(market).call{value: MAX_PRICE}(_create(terms));
        assertTrue(done);
    }

    function test_refusesCalldataThatIsCutShort() public {
        JobTerms memory terms = _nativeJob();
        bytes memory one = _cut(_create(terms));
        _refusesValue(terms, renter, MAX_PRICE, one, "");
        JobTerms[] memory terms_ = new JobTerms[](1);
        terms_[0] = terms;
        _refusesValue(terms, renter, MAX_PRICE, _cut(abi.encodeCall(IJobs.createJobs, (terms_))), "");
    }

    // --- refusals of many

    function test_manyRefusesNone() public {
        JobTerms[] memory none = new JobTerms[](0);
        _refuses(
            _nativeJob(),
            renter,
            abi.encodeCall(IJobs.createJobs, (none)),
            abi.encodeWithSelector(IJobs.NoJobs.selector)
        );
    }

    function test_manyRefusesMixedTokens() public {
        JobTerms[] memory mixed = new JobTerms[](3);
        (mixed[0], mixed[1], mixed[2]) = (_nativeJob(), _nativeJob(), _usdcJob());
        mixed[1].salt = 0;
        bytes memory call = abi.encodeCall(IJobs.createJobs, (mixed));
        bytes memory reason = abi.encodeWithSelector(IJobs.MixedTokens.selector, NATIVE, address(usdc));
        _refusesValue(mixed[0], renter, 2 * uint256(MAX_PRICE), call, reason);
        (mixed[0], mixed[2]) = (mixed[2], mixed[0]);
        call = abi.encodeCall(IJobs.createJobs, (mixed));
        reason = abi.encodeWithSelector(IJobs.MixedTokens.selector, address(usdc), NATIVE);
        _refuses(mixed[0], renter, call, reason);
    }

    function test_manyRefusesADuplicateWithinItself() public {
        JobTerms[] memory twice = _batch(_nativeJob(), 2);
        twice[1] = twice[0];
        bytes memory call = abi.encodeCall(IJobs.createJobs, (twice));
        bytes memory exists = abi.encodeWithSelector(IJobs.JobExists.selector, _idOf(twice[0]));
        _refusesValue(twice[0], renter, 2 * uint256(MAX_PRICE), call, exists);
    }

    /// Each of a batch passes every check, not only the first.
    function test_manyIsRefusedAsAWhole() public {
        JobTerms[] memory terms = _batch(_nativeJob(), 3);
        terms[2].maxPrice = 0;
        bytes memory call = abi.encodeCall(IJobs.createJobs, (terms));
        bytes memory reason = abi.encodeWithSelector(IJobs.ZeroPriceJob.selector);
        _refusesValue(terms[0], renter, 2 * uint256(MAX_PRICE), call, reason);

        terms = _batch(_nativeJob(), 3);
        terms[2].renter = stranger;
        call = abi.encodeCall(IJobs.createJobs, (terms));
        reason = abi.encodeWithSelector(IJobs.NotRenter.selector, renter);
        _refusesValue(terms[0], renter, 3 * uint256(MAX_PRICE), call, reason);
    }

    function test_manyRefusesAnythingButTheSum() public {
        JobTerms[] memory terms = _batch(_nativeJob(), 3);
        uint256 sum = 3 * uint256(MAX_PRICE);
        bytes memory call = abi.encodeCall(IJobs.createJobs, (terms));
        uint256[3] memory values = [uint256(MAX_PRICE), sum - 1, sum + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            bytes memory wrong = abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, values[i], sum);
            _refusesValue(terms[0], renter, values[i], call, wrong);
        }
    }

    function test_manyRefusesBitsAboveAShortField() public {
        JobTerms[] memory terms = _batch(_nativeJob(), 2);
        uint256[6] memory fields = [uint256(0), 1, 2, 3, 4, 8];
        uint256[6] memory widths = [uint256(160), 160, 160, 96, 40, 160];
        for (uint256 i = 0; i < fields.length; ++i) {
            bytes memory call = abi.encodeCall(IJobs.createJobs, (terms));
            // Past the selector, offset and length, in the second of the two.
            _setBit(call, 0x40 + 0x140 + fields[i] * 0x20, widths[i]);
            _refusesValue(terms[0], renter, 2 * uint256(MAX_PRICE), call, "");
        }
    }

    // --- what is posted

    function test_postsNative(uint96 maxPrice, uint40 lifetime, bytes32 salt) public {
        JobTerms memory terms = _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 1000 ether)));
        terms.deadline = uint40(START + bound(lifetime, 1, 7 days));
        terms.salt = salt;
        _posts(terms);
    }

    function test_postsErc20(uint96 maxPrice) public {
        _posts(_jobTerms(address(usdc), uint96(bound(maxPrice, 1, 1_000_000e6))));
    }

    function test_postsTheLargestPrice() public {
        JobTerms memory terms = _jobTerms(NATIVE, type(uint96).max);
        vm.deal(renter, type(uint96).max);
        _posts(terms);
    }

    /// Every field is the renter's to choose: nothing is asked about host, model, circuit or arbiter before a claim.
    function test_postsEveryField() public {
        JobTerms memory terms = _usdcJob();
        terms.host = stranger;
        terms.model = keccak256("no such model");
        terms.circuit = keccak256("no such circuit");
        terms.arbiter = arbiter;
        terms.inputHash = 0;
        _posts(terms);
    }

    function test_keepsTheFeeOfItsPosting() public {
        JobTerms memory terms = _nativeJob();
        _post(terms);
        vm.prank(owner);
        market.setFeeBps(1000);
        assertEq(_board().jobs(_idOf(terms)).feeBps, FEE_BPS);
        terms.salt = 0;
        vm.expectEmit(address(market));
        emit IJobs.JobPosted(_idOf(terms), renter, address(0), terms, 1000);
        _post(terms);
        assertEq(_board().jobs(_idOf(terms)).feeBps, 1000);
    }

    function test_postsManyNative() public {
        _postsMany(_batch(_nativeJob(), 3));
    }

    function test_postsManyErc20() public {
        _postsMany(_batch(_usdcJob(), 3));
    }

    function test_postsABatchOfOne() public {
        _postsMany(_batch(_nativeJob(), 1));
    }

    /// Sums past 96 bits are sums still.
    function test_postsManyOfTheLargestPrice() public {
        JobTerms[] memory terms = _batch(_jobTerms(NATIVE, type(uint96).max), 3);
        vm.deal(renter, 3 * uint256(type(uint96).max));
        _postsMany(terms);
    }

    function test_anIdIsTheHashOfTheTerms(JobTerms memory terms) public view {
        assertEq(_board().jobIdOf(terms), keccak256(abi.encode(terms)));
    }

    function test_nothingIsKnownOfAJobNeverPosted() public view {
        _assertJob(_nativeJob(), Job(JobStatus.None, 0, 0, 0, address(0)));
    }

    // --- inner

    function _posts(JobTerms memory terms) private {
        Purses memory before = _purses(terms.token, renter);
        vm.expectEmit(address(market));
        emit IJobs.JobPosted(_idOf(terms), renter, terms.host, terms, FEE_BPS);
        assertEq(_post(terms), _idOf(terms));
        _assertTaken(before, terms, terms.maxPrice);
        assertEq(_board().jobIdOf(terms), _idOf(terms));
        _assertJob(terms, Job(JobStatus.Posted, FEE_BPS, 0, 0, address(0)));
    }

    function _postsMany(JobTerms[] memory terms) private {
        Purses memory before = _purses(terms[0].token, renter);
        uint256 sum;
        for (uint256 i = 0; i < terms.length; ++i) {
            sum += terms[i].maxPrice;
            vm.expectEmit(address(market));
            emit IJobs.JobPosted(_idOf(terms[i]), renter, terms[i].host, terms[i], FEE_BPS);
        }
        vm.prank(renter);
        bytes32[] memory ids = _board().createJobs{value: terms[0].token == NATIVE ? sum : 0}(terms);
        assertEq(ids.length, terms.length);
        for (uint256 i = 0; i < terms.length; ++i) {
            assertEq(ids[i], _idOf(terms[i]));
            _assertJob(terms[i], Job(JobStatus.Posted, FEE_BPS, 0, 0, address(0)));
        }
        _assertTaken(before, terms[0], sum);
    }

    function _assertTaken(Purses memory before, JobTerms memory terms, uint256 amount) private view {
        Purses memory now_ = _purses(terms.token, renter);
        assertEq(now_.renter, before.renter - amount);
        assertEq(now_.market, before.market + amount);
        assertEq(now_.renterCredit, 0);
    }

    function _refusesDeadline(uint40 deadline) private {
        JobTerms memory terms = _nativeJob();
        terms.deadline = deadline;
        bytes memory reason =
            abi.encodeWithSelector(IJobs.DeadlineOutOfRange.selector, deadline, START + 1, START + 7 days);
        _refusesValue(terms, renter, MAX_PRICE, _create(terms), reason);
    }

    function _refusesBit(JobTerms memory terms, uint256 field, uint256 bit) private {
        bytes memory call = _create(terms);
        _setBit(call, field * 0x20, bit);
        _refusesValue(terms, renter, MAX_PRICE, call, "");
    }

    /// @dev `place`: bytes past the selector.
    function _setBit(bytes memory data, uint256 place, uint256 bit) private pure {
        assembly ("memory-safe") {
            let at := add(add(data, 0x24), place)
            mstore(at, or(mload(at), shl(bit, 1)))
        }
    }

    function _cut(bytes memory data) private pure returns (bytes memory) {
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 1))
        }
        return data;
    }

    function _batch(JobTerms memory like, uint256 count) private pure returns (JobTerms[] memory terms) {
        terms = new JobTerms[](count);
        for (uint256 i = 0; i < count; ++i) {
            terms[i] = abi.decode(abi.encode(like), (JobTerms));
            terms[i].salt = bytes32(i);
        }
    }

    function _create(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.createJob, (terms));
    }

    function _with(bytes4 selector, address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, account);
    }
}
