// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {TestUsdc} from "../src/dev/TestUsdc.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {SessionStatus, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {Fixture} from "./Fixture.sol";
import {WeirdToken} from "./mocks/WeirdToken.sol";

/// @dev Takes any call for granted, as the wrapped coin does.
contract TokenThatLies {
    uint256 public balanceOf_;

    function balanceOf(address) external view returns (uint256) {
        return balanceOf_;
    }

    function lie(uint256 balance) external {
        balanceOf_ = balance;
    }

    fallback() external {}
}

/// @dev Delivers less, or more, than was authorized.
contract TokenThatCutsItsShare {
    mapping(address account => uint256) public balanceOf;
    int256 private immutable DIFFERENCE;

    constructor(int256 difference) {
        DIFFERENCE = difference;
    }

    function receiveWithAuthorization(
        address,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        balanceOf[to] += uint256(int256(value) + DIFFERENCE);
    }
}

contract CreateSessionJobWithAuthorizationTest is Fixture {
    uint256 private constant AFTER = START - 1 hours;
    uint256 private constant BEFORE = START + 1 hours;

    function setUp() public override {
        super.setUp();
        // A signature is all the renter gives: no allowance, no coins for gas.
        vm.prank(renter);
        usdc.approve(address(market), 0);
        vm.deal(renter, 0);
    }

    // --- what the terms are refused for

    function test_refusesNativeCoin() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.WrongValue.selector, 0, DEPOSIT));
        market.createSessionJobWithAuthorization(_nativeTerms(), AFTER, BEFORE, 27, 0, 0);
    }

    function test_refusesTermsThatNoOpeningTakes() public {
        SessionTerms memory terms = _terms(address(usdc), 0);
        _refused(terms, renterSecret, abi.encodeWithSelector(IJobMarketplace.ZeroDeposit.selector));
        terms = _usdcTerms();
        terms.voucherKey = address(0);
        _refused(terms, renterSecret, abi.encodeWithSelector(IJobMarketplace.ZeroVoucherKey.selector));
        terms = _usdcTerms();
        terms.host = stranger;
        bytes memory notServing =
            abi.encodeWithSelector(IJobMarketplace.HostNotServing.selector, stranger, MODEL, address(usdc));
        _refused(terms, renterSecret, notServing);
    }

    function test_refusesWhilePaused() public {
        address[] memory targets = new address[](1);
        targets[0] = address(market);
        vm.prank(guardian);
        breaker.pause(targets);
        bytes memory paused = abi.encodeWithSelector(IEntryPause.EntryIsPaused.selector, START + 3 days);
        _refused(_usdcTerms(), renterSecret, paused);
    }

    // --- what the authorization is refused for

    function test_refusesASignatureOfSomebodyElse() public {
        bytes memory notSigned = abi.encodeWithSelector(TestUsdc.AuthorizationNotSigned.selector, renter);
        _refused(_usdcTerms(), voucherSecret, notSigned);
    }

    /// The nonce is the session's id, so an authorization opens the session it was signed for and no other.
    function test_refusesOtherTermsThanWereSigned() public {
        SessionTerms memory terms = _usdcTerms();
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, renterSecret);
        bytes memory notSigned = abi.encodeWithSelector(TestUsdc.AuthorizationNotSigned.selector, renter);
        for (uint256 i = 0; i < 5; ++i) {
            SessionTerms memory other = _usdcTerms();
            if (i == 0) other.voucherKey = stranger;
            if (i == 1) other.expiry += 1;
            if (i == 2) other.salt = 0;
            if (i == 3) other.deposit += 1;
            if (i == 4) {
                other.host = makeAddr("other host");
                _register(other.host, address(usdc), address(usdc));
            }
            vm.prank(stranger);
            vm.expectRevert(notSigned);
            market.createSessionJobWithAuthorization(other, AFTER, BEFORE, v, r, s);
        }
        vm.expectRevert(notSigned);
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE + 1, v, r, s);
        vm.expectRevert(notSigned);
        market.createSessionJobWithAuthorization(terms, AFTER - 1, BEFORE, v, r, s);
    }

    /// Terms of somebody else's money need that somebody's signature.
    function test_refusesToTakeFromAnotherRenter() public {
        (address rogue, uint256 rogueSecret) = makeAddrAndKey("rogue");
        SessionTerms memory terms = _usdcTerms();
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, rogueSecret);
        vm.prank(rogue);
        vm.expectRevert(abi.encodeWithSelector(TestUsdc.AuthorizationNotSigned.selector, renter));
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, v, r, s);
    }

    function test_refusesTwice() public {
        SessionTerms memory terms = _usdcTerms();
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, renterSecret);
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, v, r, s);
        bytes memory exists = abi.encodeWithSelector(IJobMarketplace.SessionExists.selector, _idOf(terms));
        vm.expectRevert(exists);
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, v, r, s);
        _close(terms, 0);
        vm.warp(START + 1 hours - 1);
        vm.expectRevert(exists);
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, v, r, s);
    }

    /// Opened with an allowance, the session is there: the authorization for it can take nothing more.
    function test_refusesASessionOpenedByOtherMeans() public {
        SessionTerms memory terms = _usdcTerms();
        vm.prank(renter);
        usdc.approve(address(market), USDC_DEPOSIT);
        _open(terms);
        bytes memory exists = abi.encodeWithSelector(IJobMarketplace.SessionExists.selector, _idOf(terms));
        _refused(terms, renterSecret, exists);
    }

    function test_refusesOutsideTheTimeOfTheAuthorization() public {
        bytes memory notCurrent = abi.encodeWithSelector(TestUsdc.AuthorizationNotCurrent.selector, AFTER, BEFORE);
        vm.warp(AFTER);
        _refused(_usdcTerms(), renterSecret, notCurrent);
        vm.warp(BEFORE);
        _refused(_usdcTerms(), renterSecret, notCurrent);
        vm.warp(BEFORE - 1);
        _opens(_usdcTerms(), stranger);
    }

    function test_refusesATokenWithoutTheFunction() public {
        WeirdToken plain = new WeirdToken();
        _serveToken(address(plain));
        plain.mint(renter, DEPOSIT);
        SessionTerms memory terms = _terms(address(plain), DEPOSIT);
        _refused(terms, renterSecret, "");
        address nothing = makeAddr("nothing");
        _serveToken(nothing);
        terms.token = nothing;
        vm.expectRevert();
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, 27, 0, 0);
    }

    function test_refusesATokenThatTakesAnyCallForGranted() public {
        TokenThatLies liar = new TokenThatLies();
        _serveToken(address(liar));
        SessionTerms memory terms = _terms(address(liar), DEPOSIT);
        bytes memory nothing = abi.encodeWithSelector(IPaymentEscrow.UnexpectedTransferAmount.selector, 0, DEPOSIT);
        _refused(terms, renterSecret, nothing);
        // Nor does what it holds already count.
        liar.lie(DEPOSIT);
        _refused(terms, renterSecret, nothing);
    }

    function test_refusesATokenThatDeliversAnotherAmount() public {
        int256[2] memory differences = [int256(-1), int256(1)];
        for (uint256 i = 0; i < 2; ++i) {
            TokenThatCutsItsShare token = new TokenThatCutsItsShare(differences[i]);
            _serveToken(address(token));
            uint256 received = uint256(int256(uint256(DEPOSIT)) + differences[i]);
            bytes memory unexpected =
                abi.encodeWithSelector(IPaymentEscrow.UnexpectedTransferAmount.selector, received, DEPOSIT);
            _refused(_terms(address(token), DEPOSIT), renterSecret, unexpected);
        }
    }

    // --- what it opens

    function test_anyoneSendsIt(uint96 deposit, bytes32 salt) public {
        SessionTerms memory terms = _terms(address(usdc), uint96(bound(deposit, 1, 1_000_000e6)));
        terms.salt = salt;
        uint256 snapshot = vm.snapshotState();
        address[3] memory senders = [stranger, host, renter];
        for (uint256 i = 0; i < senders.length; ++i) {
            _opens(terms, senders[i]);
            vm.revertToState(snapshot);
        }
    }

    /// A stranger that saw the authorization can open the session sooner, and do nothing else with it.
    function test_aStrangerCannotSpendTheAuthorizationElsewhere() public {
        SessionTerms memory terms = _usdcTerms();
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, renterSecret);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(TestUsdc.NotPayee.selector, stranger));
        usdc.receiveWithAuthorization(renter, address(market), USDC_DEPOSIT, AFTER, BEFORE, _idOf(terms), v, r, s);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(TestUsdc.AuthorizationNotSigned.selector, renter));
        usdc.receiveWithAuthorization(renter, stranger, USDC_DEPOSIT, AFTER, BEFORE, _idOf(terms), v, r, s);
        _opens(terms, stranger);
    }

    /// The refund is the renter's, whoever sent the opening.
    function test_theRenterGetsTheRefund() public {
        SessionTerms memory terms = _usdcTerms();
        _opens(terms, stranger);
        vm.prank(host);
        market.completeSessionJob(_completion(terms, 1e6));
        assertEq(usdc.balanceOf(renter), 1_000_000e6 - 1e6);
        assertEq(usdc.balanceOf(stranger), 0);
    }

    function _opens(SessionTerms memory terms, address sender) private {
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, renterSecret);
        uint256 before = usdc.balanceOf(renter);
        vm.expectEmit(address(market));
        emit IJobMarketplace.SessionOpened(_idOf(terms), host, renter, terms, FEE_BPS);
        vm.prank(sender);
        bytes32 id = market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, v, r, s);
        assertEq(id, _idOf(terms));
        assertEq(usdc.balanceOf(address(market)), terms.deposit);
        assertEq(usdc.balanceOf(renter), before - terms.deposit);
        assertTrue(usdc.authorizationState(renter, id));
        _assertStatus(terms, SessionStatus.Active);
    }

    function _refused(SessionTerms memory terms, uint256 secret, bytes memory reason) private {
        SessionStatus status = market.sessions(_idOf(terms)).status;
        (uint8 v, bytes32 r, bytes32 s) = _authorize(terms, secret);
        vm.prank(stranger);
        (bool done, bytes memory answer) = address(market)
            .call(abi.encodeCall(IJobMarketplace.createSessionJobWithAuthorization, (terms, AFTER, BEFORE, v, r, s)));
        assertFalse(done);
        assertEq(answer, reason);
        _assertStatus(terms, status);
    }

    function _authorize(SessionTerms memory terms, uint256 secret)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 typeHash = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 structHash =
            keccak256(abi.encode(typeHash, terms.renter, address(market), terms.deposit, AFTER, BEFORE, _idOf(terms)));
        return vm.sign(secret, keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash)));
    }

    /// A token of an attacker's own lets nobody pay: a session whose renter is nobody would have its refund mixed up
    /// with another's.
    function test_refusesNobodyAsRenter() public {
        TokenThatCutsItsShare token = new TokenThatCutsItsShare(0);
        _serveToken(address(token));
        SessionTerms memory terms = _terms(address(token), 5e6);
        terms.renter = address(0);
        vm.expectRevert(IJobMarketplace.ZeroRenter.selector);
        market.createSessionJobWithAuthorization(terms, AFTER, BEFORE, 27, 0, 0);
    }
}
