// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {Job, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {JobFixture} from "./JobFixture.sol";

contract DisputeJobTest is JobFixture {
    function test_refusesEveryStateButCompleted() public {
        JobTerms memory terms = _nativeJob();
        _refusedOutside(uint8(1 << uint8(JobStatus.Completed)), renter, terms, _call(terms));
    }

    function test_refusesTermsThatAreNotTheJobs() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        _refusesDirtyWords(terms, renter, _call(terms));
    }

    function test_refusesAnybodyButTheRenter() public {
        JobTerms memory terms = _nativeJob();
        terms.arbiter = arbiter;
        _toCompleted(terms);
        address[4] memory callers = [host, stranger, arbiter, owner];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory notRenter = abi.encodeWithSelector(IJobs.NotRenter.selector, callers[i]);
            vm.deal(callers[i], 1 ether);
            _refusesValue(terms, callers[i], _bondOf(terms), _call(terms), notRenter);
        }
    }

    function test_refusesAfterTheWindow() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        vm.warp(START + 1 days);
        bytes memory over = abi.encodeWithSelector(IJobs.WindowOver.selector, START + 1 days);
        _refusesValue(terms, renter, _bondOf(terms), _call(terms), over);
        vm.warp(START + 1 days - 1);
        _disputes(terms, ASKED_BPS);
    }

    function test_refusesAnythingButTheBond() public {
        JobTerms memory terms = _nativeJob();
        _toCompleted(terms);
        uint256 bond = 0.08 ether;
        assertEq(_bondOf(terms), bond);
        uint256[3] memory values = [uint256(0), bond - 1, bond + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            bytes memory wrong = abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, values[i], bond);
            _refusesValue(terms, renter, values[i], _call(terms), wrong);
        }
    }

    function test_refusesValueAndMissingAllowanceWithErc20() public {
        JobTerms memory terms = _usdcJob();
        _toCompleted(terms);
        bytes memory wrong = abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 1, 0);
        _refusesValue(terms, renter, 1, _call(terms), wrong);
        uint96 bond = _bondOf(terms);
        vm.prank(renter);
        usdc.approve(address(market), bond - 1);
        bytes memory missing =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), bond - 1, bond);
        _refuses(terms, renter, _call(terms), missing);
    }

    function test_takesATenthOfThePriceRoundedUp(uint96 maxPrice, uint16 priceBps) public {
        priceBps = uint16(bound(priceBps, 0, 10_000));
        JobTerms[2] memory both = [
            _jobTerms(NATIVE, uint96(bound(maxPrice, 1, 100 ether))),
            _jobTerms(address(usdc), uint96(bound(maxPrice, 1, 100_000e6)))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            _post(both[i]);
            vm.prank(host);
            _board().claimJob(both[i], priceBps);
            _deliver(both[i]);
            _disputes(both[i], priceBps);
        }
    }

    function test_roundsTheBondUpAtEachUnit() public {
        uint96[5] memory prices = [uint96(1), 9, 10, 11, 20];
        uint96[5] memory bonds = [uint96(1), 1, 1, 2, 2];
        for (uint256 i = 0; i < prices.length; ++i) {
            JobTerms memory terms = _jobTerms(NATIVE, prices[i]);
            _post(terms);
            vm.prank(host);
            _board().claimJob(terms, 10_000);
            _deliver(terms);
            vm.expectEmit(address(market));
            emit IJobs.JobDisputed(_idOf(terms), bonds[i], uint40(START + 14 days));
            vm.prank(renter);
            _board().disputeJob{value: bonds[i]}(terms);
        }
        assertEq(_board().DISPUTE_BOND_BPS(), 1000);
        assertEq(_board().DECISION_WINDOW(), 14 days);
    }

    function test_disputesAProvenResultToo() public {
        JobTerms memory terms = _provenJob();
        _toCompleted(terms);
        _disputes(terms, ASKED_BPS);
    }

    function _disputes(JobTerms memory terms, uint16 priceBps) private {
        uint256 price = uint256(terms.maxPrice) * priceBps / 10_000;
        uint96 bond = uint96((price + 9) / 10);
        uint40 decideBy = uint40(block.timestamp + 14 days);
        Purses memory before = _purses(terms.token, renter);
        vm.expectEmit(address(market));
        emit IJobs.JobDisputed(_idOf(terms), bond, decideBy);
        vm.prank(renter);
        _board().disputeJob{value: terms.token == NATIVE ? bond : 0}(terms);
        _assertJob(terms, Job(JobStatus.Disputed, FEE_BPS, priceBps, decideBy, host));
        Purses memory now_ = _purses(terms.token, renter);
        assertEq(now_.renter, before.renter - bond);
        assertEq(now_.market, before.market + bond);
        assertEq(now_.hostCredit + now_.renterCredit + now_.fees + now_.fault, 0);
    }

    function _call(JobTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeCall(IJobs.disputeJob, (terms));
    }
}
