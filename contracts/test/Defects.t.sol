// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {INodeRegistry, Offer} from "../src/interfaces/INodeRegistry.sol";
import {Completion, SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {ContractRenter} from "./mocks/ContractRenter.sol";

/// @title Defects found in the public system this one replaces; none may come back.
/// @dev The first, a proof nullifier that any stranger could burn, has no place to happen here: there is no proof
/// transaction. Its nearest kin, a permit spent by a front-runner, is tested with createSessionJobWithPermit.
contract DefectsTest is Fixture {
    /// F2: a limit meant as tokens was used as seconds, and a stranger could end a one-day session in 301 seconds.
    function test_F2_aStrangerCannotEndASessionBeforeItsExpiry() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.warp(START + 301);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotExpired.selector, terms.expiry + 1 hours));
        market.triggerSessionTimeout(terms);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotRenter.selector, stranger));
        market.requestSessionClose(terms, 0);
        vm.warp(terms.expiry);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.NotExpired.selector, terms.expiry + 1 hours));
        market.triggerSessionTimeout(terms);
    }

    /// F3: the host took the whole deposit on its own signature.
    function test_F3_theHostCannotTakeWhatTheRenterDidNotSign() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        (, uint256 hostSecret) = makeAddrAndKey("host");
        Completion memory completion = _completion(terms, DEPOSIT);
        completion.signature = _sign(hostSecret, market.voucherDigest(completion.voucher));
        vm.startPrank(host);
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.completeSessionJob(completion);
        completion.signature = "";
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.completeSessionJob(completion);
        assertEq(market.balanceOf(host, NATIVE), 0);
    }

    /// F4: a duplicate model in a registration let a host delist another and stay listed without stake.
    function test_F4_aDuplicateOfferCannotCorruptTheRegistry() public {
        address rogue = makeAddr("rogue");
        vm.prank(owner);
        fab.transfer(rogue, STAKE);
        Offer[] memory offers = new Offer[](2);
        offers[0] = _offer(MODEL, NATIVE);
        offers[1] = _offer(MODEL, NATIVE);
        vm.startPrank(rogue);
        fab.approve(address(nodes), STAKE);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DuplicateOffer.selector, MODEL, NATIVE));
        nodes.registerNode(STAKE, "https://rogue", "", 0, offers);
        offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        nodes.registerNode(STAKE, "https://rogue", "", 0, offers);
        nodes.startUnbonding();
        vm.warp(START + 32 days);
        nodes.withdrawStake();
        assertFalse(nodes.isServing(rogue, MODEL, NATIVE));
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
    }

    /// F5: a depositor that rejects coins locked the session for ever.
    function test_F5_aRenterThatRejectsItsRefundCannotLockTheHostsPay() public {
        ContractRenter stubborn = new ContractRenter();
        stubborn.setMode(ContractRenter.Mode.Rejects);
        vm.deal(address(stubborn), 2 * DEPOSIT);
        SessionTerms memory terms = _nativeTerms();
        terms.renter = address(stubborn);
        stubborn.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1000));
        vm.prank(host);
        assertEq(market.withdraw(NATIVE, host), 1000 - _feeOf(1000));

        terms.salt = 0;
        stubborn.execute(address(market), DEPOSIT, abi.encodeCall(market.createSessionJob, (terms)));
        vm.warp(terms.expiry + 1 hours);
        market.triggerSessionTimeout(terms);
        _assertStatus(terms, SessionStatus.Closed);
    }

    /// F6: the depositor could complete at once with a full refund while the host had served and not yet claimed.
    function test_F6_theRentersCloseLeavesTheHostTimeToClaim() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, 0);
        vm.prank(renter);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.ChallengeRunning.selector, START + 1 hours));
        market.finalizeSession(terms);
        vm.warp(START + 1 hours - 1);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, DEPOSIT));
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT - _feeOf(DEPOSIT));
    }

    /// F7: claims went on for thirty days after a one-hour session. A voucher bounds the claim here, and once anyone
    /// has timed the session out there is nothing to claim from.
    function test_F7_nothingIsClaimedOnceTheSessionWasTimedOut() public {
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = uint40(START + 1 hours);
        _open(terms);
        vm.warp(START + 2 hours);
        vm.prank(renter);
        market.triggerSessionTimeout(terms);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
        market.completeSessionJob(_completion(terms, DEPOSIT));
        assertEq(address(market).balance, 0);
    }

    /// F8: a host with an open session left with its stake at once.
    function test_F8_aStakeOutlivesEverySessionOfItsHost() public {
        SessionTerms memory terms = _nativeTerms();
        terms.expiry = uint40(START + 30 days);
        _open(terms);
        vm.startPrank(host);
        nodes.startUnbonding();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
        vm.stopPrank();
        // The latest moment at which the session can still be open against the host's will.
        vm.warp(terms.expiry + market.TIMEOUT_GRACE() + market.CHALLENGE_WINDOW());
        market.triggerSessionTimeout(terms);
        assertEq(nodes.getNode(host).stake, STAKE);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, START + 32 days));
        nodes.withdrawStake();
    }

    /// Of the older tree: one job of 1 ETH was paid by completion, and then twice more by releasing the payment.
    function test_nothingIsPaidTwice() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        SessionTerms memory other = _nativeTerms();
        other.salt = 0;
        _open(other);
        Completion memory completion = _completion(terms, DEPOSIT);
        vm.prank(host);
        market.completeSessionJob(completion);
        Completion[] memory batch = new Completion[](2);
        batch[0] = completion;
        batch[1] = completion;
        vm.prank(host);
        market.completeSessionJobs(_packed(batch));
        vm.warp(terms.expiry + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotOpen.selector, _idOf(terms)));
        market.triggerSessionTimeout(terms);
        vm.expectRevert(abi.encodeWithSelector(IJobMarketplace.SessionNotClosing.selector, _idOf(terms)));
        market.finalizeSession(terms);
        assertEq(market.balanceOf(host, NATIVE), DEPOSIT - _feeOf(DEPOSIT));
        assertEq(address(market).balance, 2 * uint256(DEPOSIT));
    }
}
