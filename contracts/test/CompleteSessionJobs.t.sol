// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {Completion, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {ContractKey} from "./mocks/ContractKey.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {WeirdToken} from "./mocks/WeirdToken.sol";

contract CompleteSessionJobsTest is Fixture {
    uint96 private constant CLAIM = 40_000;

    function test_acceptsAnEmptyBatch() public {
        vm.prank(host);
        market.completeSessionJobs(new Completion[](0));
    }

    function test_reportsEachBadItemAndClosesTheOthers() public {
        Completion[] memory batch = new Completion[](9);
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = _completion(_opened(i), CLAIM);
        }
        batch[1].signature = hex"00";
        batch[2].claim = CLAIM + 1;
        batch[3].terms.host = stranger;
        batch[4].terms.salt = bytes32(0);
        batch[5].voucher.sessionId = bytes32(0);
        batch[6] = _completion(batch[6].terms, DEPOSIT + 1);
        batch[7] = batch[0];

        bytes[] memory reasons = new bytes[](batch.length);
        reasons[1] = abi.encodeWithSelector(IJobMarketplace.BadSignature.selector);
        reasons[2] = abi.encodeWithSelector(IJobMarketplace.ClaimAboveVoucher.selector, CLAIM + 1, CLAIM);
        reasons[3] = abi.encodeWithSelector(IJobMarketplace.NotHost.selector, host);
        reasons[4] = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(batch[4].terms));
        reasons[5] = abi.encodeWithSelector(IJobMarketplace.WrongSession.selector, _idOf(batch[5].terms), bytes32(0));
        reasons[6] = abi.encodeWithSelector(IJobMarketplace.AmountAboveDeposit.selector, DEPOSIT + 1, DEPOSIT);
        reasons[7] = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(batch[0].terms));
        for (uint256 i = 0; i < batch.length; ++i) {
            if (reasons[i].length == 0) continue;
            vm.expectEmit(address(market));
            emit IJobMarketplace.SessionCompletionFailed(i, _idOf(batch[i].terms), reasons[i]);
        }
        vm.prank(host);
        market.completeSessionJobs(batch);

        _assertStatus(batch[0].terms, SessionStatus.Closed);
        _assertStatus(batch[8].terms, SessionStatus.Closed);
        _assertStatus(batch[1].terms, SessionStatus.Active);
        assertEq(market.balanceOf(host, NATIVE), 2 * (CLAIM - _feeOf(CLAIM)));
        // Six sessions are still open; two were closed at the claim.
        assertEq(address(market).balance, 7 * uint256(DEPOSIT) + 2 * uint256(CLAIM));
    }

    function test_refusesABatchOfSomebodyElse() public {
        Completion[] memory batch = new Completion[](1);
        batch[0] = _completion(_opened(0), CLAIM);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionCompletionFailed(
            0, _idOf(batch[0].terms), abi.encodeWithSelector(IJobMarketplace.NotHost.selector, stranger)
        );
        vm.prank(stranger);
        market.completeSessionJobs(batch);
        assertEq(market.balanceOf(stranger, NATIVE), 0);
        _assertStatus(batch[0].terms, SessionStatus.Active);
    }

    /// A batch pays what the same completions pay one by one, whatever the order of the tokens.
    function test_paysAsOneByOne(uint256 seed) public {
        uint256 count = 6;
        Completion[] memory batch = new Completion[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            SessionTerms memory terms = word & 1 == 0 ? _nativeTerms() : _usdcTerms();
            terms.salt = bytes32(i);
            _open(terms);
            batch[i] = _completion(terms, uint96(word >> 8) % (terms.deposit + 1));
        }
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < count; ++i) {
            vm.prank(host);
            market.completeSessionJob(batch[i]);
        }
        uint256[6] memory expected = _balances();
        vm.revertToState(snapshot);
        vm.prank(host);
        market.completeSessionJobs(batch);
        uint256[6] memory actual = _balances();
        for (uint256 i = 0; i < expected.length; ++i) {
            assertEq(actual[i], expected[i]);
        }
    }

    function test_hostilePartiesCannotHurtTheOthers() public {
        WeirdToken weird = new WeirdToken();
        _serveToken(address(weird));
        ContractRenter stubborn = new ContractRenter();
        ContractKey greedy = new ContractKey();

        Completion[] memory batch = new Completion[](4);
        batch[0] = _completion(_opened(0), CLAIM);
        SessionTerms memory terms = _nativeTerms();
        terms.renter = address(stubborn);
        vm.deal(address(stubborn), 1 ether);
        stubborn.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        batch[1] = _completion(terms, CLAIM);
        terms = _opened(2, NATIVE, address(greedy));
        batch[2] = _completion(terms, CLAIM);
        weird.mint(renter, DEPOSIT);
        vm.prank(renter);
        weird.approve(address(market), DEPOSIT);
        batch[3] = _completion(_opened(3, address(weird), voucherKey), CLAIM);

        stubborn.setMode(ContractRenter.Mode.BurnsGas);
        greedy.setMode(ContractKey.Mode.BurnsGas);
        weird.setMode(WeirdToken.Mode.BurnsGas);
        vm.prank(host);
        market.completeSessionJobs{gas: 2_000_000}(batch);

        _assertStatus(batch[0].terms, SessionStatus.Closed);
        _assertStatus(batch[1].terms, SessionStatus.Closed);
        _assertStatus(batch[2].terms, SessionStatus.Active);
        _assertStatus(batch[3].terms, SessionStatus.Closed);
        assertEq(market.balanceOf(address(stubborn), NATIVE), DEPOSIT - CLAIM);
        assertEq(market.balanceOf(renter, address(weird)), DEPOSIT - CLAIM);
        assertEq(market.balanceOf(host, NATIVE), 2 * (CLAIM - _feeOf(CLAIM)));
        assertEq(market.balanceOf(host, address(weird)), CLAIM - _feeOf(CLAIM));
    }

    function test_creditsOnceForARunOfOneToken() public {
        Completion[] memory batch = new Completion[](5);
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = _completion(_opened(i), CLAIM);
        }
        vm.recordLogs();
        vm.prank(host);
        market.completeSessionJobs(batch);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 credits = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == keccak256("Credited(address,address,uint256)")) ++credits;
        }
        assertEq(credits, 1);
    }

    function _opened(uint256 salt) private returns (SessionTerms memory) {
        return _opened(salt, NATIVE, voucherKey);
    }

    function _opened(uint256 salt, address token, address key) private returns (SessionTerms memory terms) {
        terms = _terms(token, DEPOSIT);
        terms.salt = keccak256(abi.encode(salt));
        terms.voucherKey = key;
        _open(terms);
    }

    function _balances() private view returns (uint256[6] memory) {
        return [
            market.balanceOf(host, NATIVE),
            market.feesOf(host, NATIVE),
            market.balanceOf(host, address(usdc)),
            market.feesOf(host, address(usdc)),
            renter.balance,
            usdc.balanceOf(renter)
        ];
    }
}
