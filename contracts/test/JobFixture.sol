// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {Job, JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {Fixture} from "./Fixture.sol";

/// @title Jobs of the fixture's renter, and the ways to bring one to each of its states.
abstract contract JobFixture is Fixture {
    uint96 internal constant MAX_PRICE = 1 ether;
    uint96 internal constant USDC_PRICE = 5e6;
    uint16 internal constant ASKED_BPS = 8000;
    bytes32 internal constant INPUT = keccak256("input");
    bytes32 internal constant RESULT = keccak256("result");
    bytes32 internal constant CIRCUIT = keccak256("circuit");

    address internal arbiter = makeAddr("arbiter");

    /// @dev How a job is expected to end. `host` is zero where nobody had claimed; `faults` counts the work's weight.
    struct Close {
        JobOutcome outcome;
        address host;
        uint96 hostPaid;
        uint96 fee;
        uint96 refund;
        uint96 bond;
        /// The host's if nobody is named.
        address bondTo;
        uint128 faults;
    }

    /// @dev Where the money of one token is.
    struct Purses {
        uint256 renter;
        uint256 market;
        uint256 hostCredit;
        uint256 renterCredit;
        uint256 fees;
        uint128 fault;
    }

    function _board() internal view returns (IJobs) {
        return IJobs(address(market));
    }

    function _jobTerms(address token, uint96 maxPrice) internal view returns (JobTerms memory) {
        return JobTerms({
            renter: renter,
            host: address(0),
            token: token,
            maxPrice: maxPrice,
            deadline: uint40(START + 1 days),
            model: MODEL,
            inputHash: INPUT,
            circuit: 0,
            arbiter: address(0),
            salt: keccak256("job salt")
        });
    }

    function _nativeJob() internal view returns (JobTerms memory) {
        return _jobTerms(NATIVE, MAX_PRICE);
    }

    function _usdcJob() internal view returns (JobTerms memory) {
        return _jobTerms(address(usdc), USDC_PRICE);
    }

    function _provenJob() internal returns (JobTerms memory terms) {
        terms = _nativeJob();
        terms.circuit = CIRCUIT;
        proofs.setActive(CIRCUIT, MODEL, true);
    }

    function _idOf(JobTerms memory terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    function _valueOf(JobTerms memory terms) internal pure returns (uint256) {
        return terms.token == NATIVE ? terms.maxPrice : 0;
    }

    function _post(JobTerms memory terms) internal returns (bytes32) {
        vm.prank(terms.renter);
        return _board().createJob{value: _valueOf(terms)}(terms);
    }

    function _claim(JobTerms memory terms) internal {
        vm.prank(host);
        _board().claimJob(terms, ASKED_BPS);
    }

    function _proofOf(JobTerms memory terms) internal pure returns (bytes memory) {
        if (terms.circuit == 0) return "";
        return abi.encode(terms.circuit, terms.model, _idOf(terms), terms.inputHash, RESULT);
    }

    function _deliver(JobTerms memory terms) internal {
        vm.prank(host);
        _board().completeJob(terms, RESULT, _proofOf(terms));
    }

    function _priceOf(JobTerms memory terms) internal pure returns (uint96) {
        return uint96(uint256(terms.maxPrice) * ASKED_BPS / 10_000);
    }

    /// @dev A tenth of the price, rounded up.
    function _bondOf(JobTerms memory terms) internal pure returns (uint96) {
        return uint96((uint256(_priceOf(terms)) * 1000 + 9999) / 10_000);
    }

    function _dispute(JobTerms memory terms) internal {
        vm.prank(terms.renter);
        _board().disputeJob{value: terms.token == NATIVE ? _bondOf(terms) : 0}(terms);
    }

    function _toClaimed(JobTerms memory terms) internal {
        _post(terms);
        _claim(terms);
    }

    function _toCompleted(JobTerms memory terms) internal {
        _toClaimed(terms);
        _deliver(terms);
    }

    function _toDisputed(JobTerms memory terms) internal {
        _toCompleted(terms);
        _dispute(terms);
    }

    /// @dev Brings a job into a state; None leaves it unposted.
    function _bringTo(JobTerms memory terms, JobStatus status) internal {
        if (status >= JobStatus.Posted) _post(terms);
        if (status >= JobStatus.Claimed) _claim(terms);
        if (status >= JobStatus.Completed) _deliver(terms);
        if (status == JobStatus.Disputed) _dispute(terms);
        if (status == JobStatus.Closed) {
            vm.prank(terms.renter);
            _board().settleJob(terms);
        }
    }

    function _assertJob(JobTerms memory terms, JobStatus expected) internal view {
        assertEq(uint8(_board().jobs(_idOf(terms)).status), uint8(expected), "job status");
    }

    /// @dev Every state but the ones in `allowed` (a bit each) refuses `call` by `caller`.
    function _refusedOutside(uint8 allowed, address caller, JobTerms memory terms, bytes memory call) internal {
        for (uint8 status = 0; status <= uint8(JobStatus.Closed); ++status) {
            if (allowed & (1 << status) != 0) continue;
            uint256 snapshot = vm.snapshotState();
            _bringTo(terms, JobStatus(status));
            vm.prank(caller);
            (bool done, bytes memory reason) = address(market).call(call);
            assertFalse(done, "accepted in a wrong state");
            assertEq(reason, abi.encodeWithSelector(IJobs.WrongJobStatus.selector, _idOf(terms)), "reason");
            vm.revertToState(snapshot);
        }
    }

    function _assertJob(JobTerms memory terms, Job memory expected) internal view {
        Job memory job = _board().jobs(_idOf(terms));
        assertEq(uint8(job.status), uint8(expected.status), "status");
        assertEq(job.feeBps, expected.feeBps, "feeBps");
        assertEq(job.priceBps, expected.priceBps, "priceBps");
        assertEq(job.windowEnd, expected.windowEnd, "windowEnd");
        assertEq(job.host, expected.host, "host");
    }

    function _held(address token, address account) internal view returns (uint256) {
        return token == NATIVE ? account.balance : IERC20(token).balanceOf(account);
    }

    function _purses(address token, address payer) internal view returns (Purses memory) {
        return Purses({
            renter: _held(token, payer),
            market: _held(token, address(market)),
            hostCredit: market.balanceOf(host, token),
            renterCredit: market.balanceOf(payer, token),
            fees: market.feesBroughtBy(host, token),
            fault: reputation.scoreOf(host, token).fault
        });
    }

    /// @dev `gross` of the price to the host and the protocol, the rest back; no bond, no fault.
    function _closeOf(JobTerms memory terms, JobOutcome outcome, address by, uint96 gross)
        internal
        pure
        returns (Close memory close)
    {
        (close.outcome, close.host) = (outcome, by);
        close.fee = _feeOf(gross);
        close.hostPaid = gross - close.fee;
        close.refund = terms.maxPrice - gross;
    }

    /// @dev `call` by `caller` ends the job as expected: state, events, every purse to the base unit, the record.
    function _closesAs(JobTerms memory terms, address caller, bytes memory call, Close memory expected) internal {
        assertEq(uint256(expected.hostPaid) + expected.fee + expected.refund, terms.maxPrice, "nothing is lost");
        Purses memory before = _purses(terms.token, terms.renter);
        bytes32 id = _idOf(terms);
        address bondTo = expected.bondTo == address(0) ? expected.host : expected.bondTo;
        uint256 credit = uint256(expected.hostPaid) + (bondTo == expected.host ? expected.bond : 0);
        uint256 back = uint256(expected.refund) + (bondTo == terms.renter ? expected.bond : 0);
        vm.expectEmit(address(market));
        emit IJobs.JobClosed(
            id,
            expected.host,
            terms.renter,
            expected.outcome,
            terms.token,
            expected.hostPaid,
            expected.fee,
            expected.refund
        );
        if (expected.bond != 0) {
            vm.expectEmit(address(market));
            emit IJobs.BondPaid(id, bondTo, expected.bond);
        }
        if (credit != 0) {
            vm.expectEmit(address(market));
            emit IPaymentEscrow.Credited(expected.host, terms.token, credit);
        }
        vm.prank(caller);
        (bool done, bytes memory answer) = address(market).call(call);
        assertTrue(done, "refused");
        assertEq(answer.length, 0, "answer");

        Purses memory now_ = _purses(terms.token, terms.renter);
        assertEq(now_.renter, before.renter + back, "renter's purse");
        assertEq(now_.market, before.market - back, "market's purse");
        assertEq(now_.hostCredit, before.hostCredit + credit, "host's credit");
        assertEq(now_.renterCredit, before.renterCredit, "renter's credit");
        assertEq(now_.fees, before.fees + expected.fee, "fees");
        assertEq(now_.fault, before.fault + expected.faults * _feeOf(terms.maxPrice), "faults");
        Job memory job = _board().jobs(id);
        assertEq(uint8(job.status), uint8(JobStatus.Closed), "status");
        assertEq(job.host, expected.host, "host");
        assertEq(job.windowEnd, 0, "windowEnd");
        assertEq(job.feeBps, FEE_BPS, "feeBps");
    }

    /// @dev `call` by `caller` is refused with exactly `reason`, and the job stays as it is.
    function _refuses(JobTerms memory terms, address caller, bytes memory call, bytes memory reason) internal {
        _refusesValue(terms, caller, 0, call, reason);
    }

    function _refusesValue(JobTerms memory terms, address caller, uint256 value, bytes memory call, bytes memory reason)
        internal
    {
        bytes32 before = keccak256(abi.encode(_board().jobs(_idOf(terms)), _purses(terms.token, terms.renter)));
        vm.prank(caller);
        (bool done, bytes memory answer) = address(market).call{value: value}(call);
        assertFalse(done, "accepted");
        assertEq(answer, reason, "reason");
        bytes32 now_ = keccak256(abi.encode(_board().jobs(_idOf(terms)), _purses(terms.token, terms.renter)));
        assertEq(now_, before, "changed by a refused call");
    }

    /// @dev Both ways to pay for a job.
    function _bothJobs() internal view returns (JobTerms[2] memory) {
        return [_nativeJob(), _usdcJob()];
    }

    /// @dev `call` with bits above one of its short fields is of a job that nobody posted. Terms come first.
    function _refusesDirtyWords(JobTerms memory terms, address caller, bytes memory call) internal {
        uint256[6] memory fields = [uint256(0), 1, 2, 3, 4, 8];
        uint256[6] memory bits = [uint256(160), 160, 160, 96, 40, 160];
        for (uint256 i = 0; i < fields.length; ++i) {
            bytes memory words = abi.encode(terms);
            bytes memory dirty = bytes.concat(call);
            uint256 field = fields[i];
            uint256 bit = bits[i];
            assembly ("memory-safe") {
                let place := add(add(words, 0x20), mul(field, 0x20))
                let word := or(mload(place), shl(bit, 1))
                mstore(place, word)
                mstore(add(add(dirty, 0x24), mul(field, 0x20)), word)
            }
            _refuses(terms, caller, dirty, abi.encodeWithSelector(IJobs.WrongJobStatus.selector, keccak256(words)));
        }
    }
}
