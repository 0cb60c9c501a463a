// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {
    CloseReason,
    Completion,
    PackedCompletion,
    SessionStatus,
    SessionTerms
} from "../src/interfaces/SessionTypes.sol";
import {ContractKey} from "./mocks/ContractKey.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";
import {WeirdToken} from "./mocks/WeirdToken.sol";

contract CompleteSessionJobsTest is Fixture {
    uint96 private constant CLAIM = 40_000;

    function test_acceptsAnEmptyBatch() public {
        vm.prank(host);
        market.completeSessionJobs(new PackedCompletion[](0));
    }

    function test_reportsEachBadItemAndClosesTheOthers() public {
        Completion[] memory batch = new Completion[](9);
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = _completion(_opened(i), CLAIM);
        }
        batch[2].claim = CLAIM + 1;
        batch[4].terms.salt = bytes32(0);
        batch[5].signature = _signed(_voucher(batch[0].terms, CLAIM));
        batch[6] = _completion(batch[6].terms, DEPOSIT + 1);
        batch[7] = batch[0];
        PackedCompletion[] memory items = _packed(batch);
        items[1].r = bytes32(uint256(1));
        // No signature for a claim that needs one.
        (items[3].r, items[3].vs) = (0, 0);

        bytes[] memory reasons = new bytes[](batch.length);
        reasons[1] = abi.encodeWithSelector(IJobMarketplace.BadSignature.selector);
        reasons[2] = abi.encodeWithSelector(IJobMarketplace.ClaimAboveVoucher.selector, CLAIM + 1, CLAIM);
        reasons[3] = reasons[1];
        reasons[4] = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(batch[4].terms));
        reasons[5] = reasons[1];
        reasons[6] = abi.encodeWithSelector(IJobMarketplace.AmountAboveDeposit.selector, DEPOSIT + 1, DEPOSIT);
        reasons[7] = abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(batch[0].terms));
        for (uint256 i = 0; i < batch.length; ++i) {
            if (reasons[i].length == 0) continue;
            vm.expectEmit(address(market));
            emit IJobMarketplace.SessionCompletionFailed(i, _idOf(batch[i].terms), reasons[i]);
        }
        vm.prank(host);
        market.completeSessionJobs(items);

        _assertStatus(batch[0].terms, SessionStatus.Closed);
        _assertStatus(batch[8].terms, SessionStatus.Closed);
        _assertStatus(batch[1].terms, SessionStatus.Active);
        assertEq(market.balanceOf(host, NATIVE), 2 * (CLAIM - _feeOf(CLAIM)));
        // Six sessions are still open; two were closed at the claim.
        assertEq(address(market).balance, 7 * uint256(DEPOSIT) + 2 * uint256(CLAIM));
    }

    function test_reportsAClaimBelowWhatIsOnChain() public {
        Completion[] memory batch = new Completion[](1);
        batch[0] = _completion(_opened(0), CLAIM - 1);
        _close(batch[0].terms, CLAIM);
        bytes memory reason = abi.encodeWithSelector(IJobMarketplace.AmountNotHigher.selector, CLAIM - 1, CLAIM);
        _failsAlone(_packed(batch), batch[0].terms, reason);
    }

    /// The caller is taken for the host, and with another host the terms are those of no session.
    function test_refusesABatchOfSomebodyElse() public {
        Completion[] memory batch = new Completion[](1);
        batch[0] = _completion(_opened(0), CLAIM);
        SessionTerms memory asked = abi.decode(abi.encode(batch[0].terms), (SessionTerms));
        asked.host = stranger;
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionCompletionFailed(
            0, _idOf(asked), abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(asked))
        );
        vm.prank(stranger);
        market.completeSessionJobs(_packed(batch));
        assertEq(market.balanceOf(stranger, NATIVE), 0);
        _assertStatus(batch[0].terms, SessionStatus.Active);
    }

    /// One bit of any word that is not the claim makes it another session or another voucher.
    function test_refusesAnyOtherBit(uint256 word, uint8 bit) public {
        Completion[] memory batch = new Completion[](1);
        batch[0] = _completion(_opened(0), CLAIM);
        word %= 9;
        if (word == 3) bit = uint8(bound(bit, 96, 255));
        bytes memory data = abi.encodeCall(market.completeSessionJobs, (_packed(batch)));
        uint256 place = 4 + 0x40 + word * 0x20 + 31 - bit / 8;
        data[place] ^= bytes1(uint8(1 << bit % 8));
        vm.prank(host);
        (bool done,) = address(market).call(data);
        assertTrue(done);
        _assertStatus(batch[0].terms, SessionStatus.Active);
        assertEq(address(market).balance, DEPOSIT);
    }

    function test_refusesCalldataShorterThanItsItems() public {
        Completion[] memory batch = new Completion[](2);
        batch[0] = _completion(_opened(0), CLAIM);
        batch[1] = _completion(_opened(1), CLAIM);
        bytes memory data = abi.encodeCall(market.completeSessionJobs, (_packed(batch)));
        for (uint256 cut = 1; cut <= 32; cut += 31) {
            bytes memory short = new bytes(data.length - cut);
            for (uint256 i = 0; i < short.length; ++i) {
                short[i] = data[i];
            }
            vm.prank(host);
            (bool done,) = address(market).call(short);
            assertFalse(done);
        }
        _assertStatus(batch[0].terms, SessionStatus.Active);
    }

    function test_aSessionWhoseKeyIsAContractClosesAloneOnly() public {
        ContractKey key = new ContractKey();
        Completion[] memory batch = new Completion[](1);
        batch[0] = _completion(_opened(0, NATIVE, address(key)), CLAIM);
        key.accept(market.voucherDigest(batch[0].voucher), batch[0].signature);
        bytes memory reason = abi.encodeWithSelector(IJobMarketplace.BadSignature.selector);
        _failsAlone(_packed(batch), batch[0].terms, reason);
        vm.prank(host);
        market.completeSessionJob(batch[0]);
        _assertStatus(batch[0].terms, SessionStatus.Closed);
    }

    /// What is on chain needs no voucher, and counts no tokens; a signature that is there is checked all the same.
    function test_closesAtWhatIsOnChainWithoutAVoucher() public {
        Completion[] memory batch = new Completion[](2);
        batch[0] = _bareCompletion(_opened(0), 0);
        batch[1] = _bareCompletion(_opened(1), CLAIM);
        _close(batch[1].terms, CLAIM);
        batch[0].voucher.tokens = 5;
        PackedCompletion[] memory signed = _packed(batch);
        (signed[0].r, signed[1].vs) = (bytes32(uint256(1)), bytes32(uint256(1)));
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionCompletionFailed(
            0, _idOf(batch[0].terms), abi.encodeWithSelector(IJobMarketplace.BadSignature.selector)
        );
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionCompletionFailed(
            1, _idOf(batch[1].terms), abi.encodeWithSelector(IJobMarketplace.ClaimAboveVoucher.selector, CLAIM, 0)
        );
        vm.prank(host);
        market.completeSessionJobs(signed);

        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionClosed(
            _idOf(batch[0].terms), host, renter, CloseReason.Completed, NATIVE, 0, 0, DEPOSIT, 0, 0
        );
        vm.prank(host);
        market.completeSessionJobs(_packed(batch));
        _assertStatus(batch[0].terms, SessionStatus.Closed);
        _assertStatus(batch[1].terms, SessionStatus.Closed);
        assertEq(market.balanceOf(host, NATIVE), CLAIM - _feeOf(CLAIM));
    }

    /// A batch pays what the same completions pay one by one, whatever the order of tokens and renters, and
    /// whichever of them fail.
    function test_paysAsOneByOne(uint256 seed) public {
        uint256 count = 8;
        vm.deal(stranger, 1 ether);
        usdc.mint(stranger, 1000e6);
        vm.prank(stranger);
        usdc.approve(address(market), type(uint256).max);
        Completion[] memory batch = new Completion[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            SessionTerms memory terms = word & 1 == 0 ? _nativeTerms() : _usdcTerms();
            if (word & 2 == 0) terms.renter = stranger;
            terms.salt = bytes32(i);
            _open(terms);
            // Now and then all of it, so that nothing is left to refund.
            uint96 claim = word & 12 == 0 ? terms.deposit : uint96(word >> 8) % (terms.deposit + 1);
            batch[i] = _completion(terms, claim);
            if (word & 48 == 0) batch[i].voucher.tokens += 1;
        }
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < count; ++i) {
            vm.prank(host);
            try market.completeSessionJob(batch[i]) {} catch {}
        }
        uint256[8] memory expected = _balances();
        vm.revertToState(snapshot);
        vm.prank(host);
        market.completeSessionJobs(_packed(batch));
        uint256[8] memory actual = _balances();
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
        market.completeSessionJobs{gas: 2_000_000}(_packed(batch));

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
        market.completeSessionJobs(_packed(batch));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 credits = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == keccak256("Credited(address,address,uint256)")) ++credits;
        }
        assertEq(credits, 1);
    }

    /// @dev The one item is reported for this reason, and nothing moves.
    function _failsAlone(PackedCompletion[] memory items, SessionTerms memory terms, bytes memory reason) private {
        uint256 before = address(market).balance;
        SessionStatus status = market.sessions(_idOf(terms)).status;
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionCompletionFailed(0, _idOf(terms), reason);
        vm.prank(host);
        market.completeSessionJobs(items);
        _assertStatus(terms, status);
        assertEq(address(market).balance, before);
        assertEq(market.balanceOf(host, NATIVE), 0);
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

    function _balances() private view returns (uint256[8] memory) {
        return [
            market.balanceOf(host, NATIVE),
            market.feesOf(host, NATIVE),
            market.balanceOf(host, address(usdc)),
            market.feesOf(host, address(usdc)),
            renter.balance,
            usdc.balanceOf(renter),
            stranger.balance,
            usdc.balanceOf(stranger)
        ];
    }

    /// No such session can be opened. If there were one, its refund would still be of its own token only.
    function test_refundOfNobodyIsNotPaidInAnotherToken() public {
        SessionTerms memory first = _usdcTerms();
        _open(first);
        SessionTerms memory second = _terms(makeAddr("worthless token"), 1e24);
        second.renter = address(0);
        // Sessions lie in slot 5; status Active is 1.
        vm.store(address(market), keccak256(abi.encode(_idOf(second), uint256(5))), bytes32(uint256(1)));
        assertEq(uint8(market.sessions(_idOf(second)).status), uint8(SessionStatus.Active));
        Completion[] memory completions = new Completion[](2);
        completions[0] = _bareCompletion(first, 0);
        completions[1] = _bareCompletion(second, 0);
        uint256 before = usdc.balanceOf(renter);
        vm.prank(host);
        market.completeSessionJobs(_packed(completions));
        assertEq(usdc.balanceOf(renter) - before, first.deposit);
        assertEq(usdc.balanceOf(address(market)), 0);
        assertEq(market.balanceOf(renter, address(usdc)), 0);
    }
}
