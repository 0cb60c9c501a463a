// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {JobOutcome, JobStatus, JobTerms} from "../src/interfaces/JobTypes.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {JobFixture} from "./JobFixture.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {NoReturnToken, WeirdToken} from "./mocks/WeirdToken.sol";

/// @title Jobs paid in tokens that do not do what ERC-20 promises, and by renters that do not want their money.
contract JobWeirdTokensTest is JobFixture {
    WeirdToken private _weird;

    function setUp() public override {
        super.setUp();
        _weird = new WeirdToken();
        _serveToken(address(_weird));
        _weird.mint(renter, 10 * uint256(MAX_PRICE));
        vm.prank(renter);
        _weird.approve(address(market), type(uint256).max);
    }

    // --- entry

    function test_feeOnTransferIsRefusedForPriceAndBond() public {
        JobTerms memory terms = _weirdJob();
        JobTerms memory second = _weirdJob();
        second.salt = 0;
        _weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        _refuses(terms, renter, abi.encodeCall(IJobs.createJob, (terms)), _short(MAX_PRICE));
        JobTerms[] memory many = new JobTerms[](2);
        (many[0], many[1]) = (terms, second);
        _refuses(terms, renter, abi.encodeCall(IJobs.createJobs, (many)), _short(2 * uint256(MAX_PRICE)));
        _weird.setMode(WeirdToken.Mode.Normal);
        _toCompleted(terms);
        _weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        _refuses(terms, renter, abi.encodeCall(IJobs.disputeJob, (terms)), _short(_bondOf(terms)));
    }

    function test_falseIsRefusedOnEntry() public {
        _weird.setMode(WeirdToken.Mode.ReturnsFalse);
        JobTerms memory terms = _weirdJob();
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_weird));
        _refuses(terms, renter, abi.encodeCall(IJobs.createJob, (terms)), failed);
    }

    function test_addressWithoutCodeIsRefusedOnEntry() public {
        JobTerms memory terms = _jobTerms(makeAddr("nothing"), MAX_PRICE);
        vm.prank(renter);
        vm.expectRevert();
        _board().createJob(terms);
        _assertJob(terms, JobStatus.None);
    }

    /// The marketplace answers no balance of its own to a token's question.
    function test_theMarketplaceIsNoToken() public {
        JobTerms memory terms = _jobTerms(address(market), MAX_PRICE);
        vm.prank(renter);
        vm.expectRevert();
        _board().createJob(terms);
        _assertJob(terms, JobStatus.None);
    }

    function test_tokenWithoutReturnValueWorks() public {
        NoReturnToken old = new NoReturnToken();
        _serveToken(address(old));
        old.mint(renter, 2 * uint256(MAX_PRICE));
        vm.prank(renter);
        old.approve(address(market), type(uint256).max);
        JobTerms memory terms = _jobTerms(address(old), MAX_PRICE);
        _toDisputed(terms);
        Close memory close = _closeOf(terms, JobOutcome.Resolved, host, _priceOf(terms) / 4);
        (close.bond, close.bondTo, close.faults) = (_bondOf(terms), terms.renter, 2);
        _closesAs(terms, owner, abi.encodeCall(IJobs.resolveJob, (terms, 2500)), close);
        vm.prank(host);
        market.withdraw(address(old), host);
        assertEq(old.balanceOf(host), close.hostPaid);
    }

    // --- exit

    /// However the token refuses the refund, the job ends, the host is paid and the renter keeps a credit.
    function test_refusedRefundBecomesACredit() public {
        for (uint8 mode = uint8(WeirdToken.Mode.ReturnsFalse); mode <= uint8(WeirdToken.Mode.ReturnBomb); ++mode) {
            uint256 snapshot = vm.snapshotState();
            JobTerms memory terms = _weirdJob();
            _toDisputed(terms);
            _weird.setMode(WeirdToken.Mode(mode));
            vm.prank(owner);
            _board().resolveJob(terms, 4000);
            _assertJob(terms, JobStatus.Closed);
            uint96 gross = _priceOf(terms) * 4 / 10;
            assertEq(market.balanceOf(renter, address(_weird)), MAX_PRICE - gross + _bondOf(terms));
            assertEq(market.balanceOf(host, address(_weird)), gross - _feeOf(gross));
            _weird.setMode(WeirdToken.Mode.Normal);
            vm.prank(renter);
            market.withdraw(address(_weird), stranger);
            assertEq(_weird.balanceOf(stranger), MAX_PRICE - gross + _bondOf(terms));
            vm.revertToState(snapshot);
        }
    }

    function test_blocklistedRenterWithdrawsElsewhere() public {
        JobTerms memory terms = _weirdJob();
        _post(terms);
        _weird.blockAccount(renter);
        vm.prank(renter);
        _board().cancelJob(terms);
        assertEq(market.balanceOf(renter, address(_weird)), MAX_PRICE);
        vm.prank(renter);
        market.withdraw(address(_weird), stranger);
        assertEq(_weird.balanceOf(stranger), MAX_PRICE);
    }

    function test_vanishedTokenDoesNotBlockTheEnd() public {
        JobTerms memory terms = _weirdJob();
        _toCompleted(terms);
        vm.etch(address(_weird), "");
        vm.prank(renter);
        _board().settleJob(terms);
        _assertJob(terms, JobStatus.Closed);
        assertEq(market.balanceOf(renter, address(_weird)), MAX_PRICE - _priceOf(terms));
    }

    /// A renter that rejects coins, burns the gas or answers with a megabyte holds up neither host nor arbiter.
    function test_aStubbornRenterBlocksNobody() public {
        ContractRenter.Mode[3] memory modes =
            [ContractRenter.Mode.Rejects, ContractRenter.Mode.BurnsGas, ContractRenter.Mode.RevertBomb];
        for (uint256 i = 0; i < modes.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            (ContractRenter stubborn, JobTerms memory terms) = _contractJob();
            _claim(terms);
            stubborn.setMode(modes[i]);
            vm.warp(terms.deadline + 1);
            vm.prank(stranger);
            _board().reclaimJob(terms);
            _assertJob(terms, JobStatus.Closed);
            assertEq(market.balanceOf(address(stubborn), NATIVE), MAX_PRICE);
            stubborn.execute(address(market), 0, abi.encodeCall(market.withdraw, (NATIVE, stranger)));
            assertEq(stranger.balance, MAX_PRICE);
            vm.revertToState(snapshot);
        }
    }

    function test_aStubbornRenterCannotHoldTheHostsPay() public {
        (ContractRenter stubborn, JobTerms memory terms) = _contractJob();
        _claim(terms);
        _deliver(terms);
        stubborn.setMode(ContractRenter.Mode.Rejects);
        vm.warp(START + 1 days);
        vm.prank(host);
        _board().settleJob(terms);
        vm.prank(host);
        assertEq(market.withdraw(NATIVE, host), _priceOf(terms) - _feeOf(_priceOf(terms)));
        assertEq(market.balanceOf(address(stubborn), NATIVE), MAX_PRICE - _priceOf(terms));
    }

    // --- reentry

    /// Called back in the middle of a posting, a bond, a refund and a withdrawal, neither half can be entered again.
    function test_tokensCannotReenter() public {
        // The token itself has a job and a session to end, and money to take.
        JobTerms memory own = _nativeJob();
        own.renter = address(_weird);
        SessionTerms memory session = _nativeTerms();
        session.renter = address(_weird);
        vm.deal(address(_weird), 2 ether);
        vm.startPrank(address(_weird));
        _board().createJob{value: MAX_PRICE}(own);
        market.createSessionJob{value: DEPOSIT}(session);
        vm.stopPrank();
        JobTerms[] memory many = new JobTerms[](1);
        many[0] = own;
        bytes[] memory attacks = new bytes[](15);
        attacks[0] = abi.encodeCall(IJobs.createJob, (own));
        attacks[1] = abi.encodeCall(IJobs.createJobs, (many));
        attacks[2] = abi.encodeCall(IJobs.claimJob, (own, 0));
        attacks[3] = abi.encodeCall(IJobs.completeJob, (own, 0, ""));
        attacks[4] = abi.encodeCall(IJobs.failJob, (own));
        attacks[5] = abi.encodeCall(IJobs.cancelJob, (own));
        attacks[6] = abi.encodeCall(IJobs.reclaimJob, (own));
        attacks[7] = abi.encodeCall(IJobs.settleJob, (own));
        attacks[8] = abi.encodeCall(IJobs.disputeJob, (own));
        attacks[9] = abi.encodeCall(IJobs.resolveJob, (own, 0));
        attacks[10] = abi.encodeCall(IJobs.expireDispute, (own));
        attacks[11] = abi.encodeCall(IJobMarketplace.requestSessionClose, (session, 0));
        attacks[12] = abi.encodeCall(IPaymentEscrow.withdraw, (NATIVE, address(_weird)));
        attacks[13] = abi.encodeCall(
            IJobMarketplace.createSessionJobWithAuthorization,
            (_terms(address(_weird), 1), 0, type(uint256).max, 27, 0, 0)
        );
        attacks[14] = abi.encodeCall(IJobMarketplace.triggerSessionTimeout, (session));
        for (uint256 i = 0; i < attacks.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            _weird.setHook(address(market), attacks[i]);
            _reenterEverywhere();
            vm.revertToState(snapshot);
        }
    }

    /// The same by a renter that is called with its refund: it can read, and take its coins, and no more.
    function test_rentersCannotReenter() public {
        (ContractRenter renter_, JobTerms memory terms) = _contractJob();
        JobTerms memory second = abi.decode(abi.encode(terms), (JobTerms));
        second.salt = 0;
        vm.deal(address(renter_), MAX_PRICE);
        renter_.execute(address(market), MAX_PRICE, abi.encodeCall(IJobs.createJob, (second)));
        bytes[3] memory attacks = [
            abi.encodeCall(IJobs.cancelJob, (terms)),
            abi.encodeCall(IJobs.cancelJob, (second)),
            abi.encodeCall(IPaymentEscrow.withdraw, (NATIVE, address(renter_)))
        ];
        for (uint256 i = 0; i < attacks.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            renter_.setHook(address(market), attacks[i]);
            renter_.execute(address(market), 0, abi.encodeCall(IJobs.cancelJob, (terms)));
            assertFalse(renter_.hookSucceeded());
            assertEq(address(renter_).balance + market.balanceOf(address(renter_), NATIVE), MAX_PRICE);
            assertEq(address(market).balance, MAX_PRICE + market.balanceOf(address(renter_), NATIVE));
            _assertJob(second, JobStatus.Posted);
            vm.revertToState(snapshot);
        }
    }

    function _reenterEverywhere() private {
        JobTerms memory terms = _weirdJob();
        _post(terms);
        _assertHookRefused();
        _claim(terms);
        _deliver(terms);
        _dispute(terms);
        _assertHookRefused();
        vm.prank(owner);
        _board().resolveJob(terms, 4000);
        _assertHookRefused();
        vm.prank(host);
        market.withdraw(address(_weird), host);
        _assertHookRefused();
        uint96 gross = _priceOf(terms) * 4 / 10;
        assertEq(_weird.balanceOf(host), gross - _feeOf(gross));
        assertEq(_weird.balanceOf(renter), 10 * uint256(MAX_PRICE) - gross);
        assertEq(_weird.balanceOf(address(market)), _feeOf(gross));
        assertEq(address(market).balance, MAX_PRICE + DEPOSIT);
    }

    function _assertHookRefused() private view {
        assertFalse(_weird.hookSucceeded());
        assertEq(
            _weird.hookAnswer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    function _weirdJob() private view returns (JobTerms memory) {
        return _jobTerms(address(_weird), MAX_PRICE);
    }

    function _contractJob() private returns (ContractRenter renter_, JobTerms memory terms) {
        renter_ = new ContractRenter();
        vm.deal(address(renter_), MAX_PRICE);
        terms = _nativeJob();
        terms.renter = address(renter_);
        renter_.execute(address(market), MAX_PRICE, abi.encodeCall(IJobs.createJob, (terms)));
    }

    function _short(uint256 amount) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPaymentEscrow.UnexpectedTransferAmount.selector, amount - amount / 100, amount);
    }
}
