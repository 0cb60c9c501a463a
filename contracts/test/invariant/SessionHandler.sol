// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Fixture} from "../Fixture.sol";
import {JobMarketplace} from "../../src/JobMarketplace.sol";
import {Offer} from "../../src/interfaces/INodeRegistry.sol";
import {Completion, Session, SessionStatus, SessionTerms, Voucher} from "../../src/interfaces/SessionTypes.sol";
import {ContractRenter} from "../mocks/ContractRenter.sol";
import {WeirdToken} from "../mocks/WeirdToken.sol";

/// @title Everything hosts, renters and strangers can do, in any order.
/// @dev No function here may revert: each first makes sure that what it does is allowed, and returns if nothing is.
contract SessionHandler is Fixture {
    ContractRenter public stubborn;
    WeirdToken public weird;
    address[] public tokens;
    address[] public renters;
    address[] public hosts;

    bytes32[] private _live;
    mapping(bytes32 => SessionTerms) private _termsOf;
    /// Highest amount the session's voucher key signed, or its renter acknowledged on chain.
    mapping(bytes32 => uint96) public owed;
    mapping(bytes32 => bool) public closed;
    bytes32[] public everOpened;
    /// What all closed sessions of a token paid to hosts and protocol together.
    mapping(address => uint256) public settled;
    /// Fees of all that closed, by the host whose work brought them.
    mapping(address host => mapping(address token => uint256)) public feesOfCloses;

    function setUp() public virtual override {
        super.setUp();
        stubborn = new ContractRenter();
        weird = new WeirdToken();
        tokens = [NATIVE, address(usdc), address(weird)];
        renters = [renter, makeAddr("second renter"), address(stubborn)];
        hosts = [host, makeAddr("second host")];
        _register(hosts[1], NATIVE, address(usdc));
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, address(weird));
        for (uint256 i = 0; i < hosts.length; ++i) {
            vm.prank(hosts[i]);
            nodes.setOffers(offers);
        }
        for (uint256 i = 0; i < renters.length; ++i) {
            vm.deal(renters[i], 1e30);
            usdc.mint(renters[i], 1e30);
            weird.mint(renters[i], 1e30);
            vm.startPrank(renters[i]);
            usdc.approve(address(market), type(uint256).max);
            weird.approve(address(market), type(uint256).max);
            vm.stopPrank();
        }
    }

    // --- what the parties do

    /// One to four at a time, or the closing functions would run dry. Some work is signed for at once.
    function open(uint256 seed, uint96 deposit, uint40 lifetime) external {
        _lift();
        for (uint256 i = 0; i <= seed % 4; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            SessionTerms memory terms = _terms(tokens[word % 3], uint96(bound(deposit, 1, 1e24)));
            terms.renter = renters[(word >> 8) % 3];
            terms.host = hosts[(word >> 16) % 2];
            terms.expiry = uint40(block.timestamp + bound(lifetime, 1, 30 days));
            terms.salt = bytes32(everOpened.length);
            bytes32 id = _open(terms);
            _termsOf[id] = terms;
            owed[id] = uint96((word >> 24) % (uint256(terms.deposit) + 1));
            _live.push(id);
            everOpened.push(id);
        }
    }

    function topUp(uint256 seed, uint96 amount) external {
        (bytes32 id, bool found) = _pick(seed, SessionStatus.Active);
        if (!found || block.timestamp > _termsOf[id].expiry) return;
        _lift();
        SessionTerms memory terms = _termsOf[id];
        amount = uint96(bound(amount, 1, 1e24));
        vm.prank(renters[seed % 3]);
        market.topUp{value: terms.token == NATIVE ? amount : 0}(terms, amount);
    }

    /// The renter signs a newer voucher, within its deposit or beyond it.
    function signVoucher(uint256 seed, uint96 more) external {
        if (_live.length == 0) return;
        bytes32 id = _live[seed % _live.length];
        owed[id] = uint96(bound(uint256(owed[id]) + more, owed[id], 1e25));
    }

    function complete(uint256 seed, uint96 claim) external {
        if (_live.length == 0) return;
        bytes32 id = _live[seed % _live.length];
        Completion memory completion = _validCompletion(id, claim);
        vm.prank(completion.terms.host);
        market.completeSessionJob(completion);
        _noteClosed(id, completion.claim);
    }

    /// A batch by one host over whatever is open, the sessions of the other host and duplicates among it.
    function completeBatch(uint256 seed, uint96 claim) external {
        // Small enough to add an index to.
        seed %= type(uint128).max;
        uint256 count = _live.length < 3 ? _live.length : 3;
        if (count == 0) return;
        address caller = hosts[seed % 2];
        Completion[] memory batch = new Completion[](count + 1);
        bytes32[] memory ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _live[(seed + i) % _live.length];
            batch[i] = _validCompletion(ids[i], claim);
        }
        batch[count] = batch[seed % count];
        vm.prank(caller);
        market.completeSessionJobs(_packed(batch));
        for (uint256 i = 0; i < count; ++i) {
            if (batch[i].terms.host == caller) _noteClosed(ids[i], batch[i].claim);
        }
    }

    function requestClose(uint256 seed, uint96 acknowledged) external {
        (bytes32 id, bool found) = _pick(seed, SessionStatus.Active);
        if (!found) return;
        acknowledged = uint96(bound(acknowledged, 0, totalOf(id)));
        if (acknowledged > owed[id]) owed[id] = acknowledged;
        _close(_termsOf[id], acknowledged);
    }

    function present(uint256 seed) external {
        (bytes32 id, bool found) = _pick(seed, SessionStatus.Closing);
        if (!found) return;
        uint96 total = totalOf(id);
        if ((owed[id] < total ? owed[id] : total) <= market.sessions(id).presented) return;
        SessionTerms memory terms = _termsOf[id];
        Voucher memory voucher = _voucher(terms, owed[id]);
        market.presentVoucher(terms, voucher, _signed(voucher));
    }

    function finalize(uint256 seed) external {
        (bytes32 id, bool found) = _pick(seed, SessionStatus.Closing);
        if (!found) return;
        Session memory session = market.sessions(id);
        if (block.timestamp < session.challengeEnd) vm.warp(session.challengeEnd);
        market.finalizeSession(_termsOf[id]);
        _noteClosed(id, session.presented);
    }

    function timeOut(uint256 seed) external {
        if (_live.length == 0) return;
        bytes32 id = _live[seed % _live.length];
        uint256 timeoutAt = _termsOf[id].expiry + market.TIMEOUT_GRACE();
        if (block.timestamp < timeoutAt) vm.warp(timeoutAt);
        uint96 presented = market.sessions(id).presented;
        market.triggerSessionTimeout(_termsOf[id]);
        _noteClosed(id, presented);
    }

    /// The first of all accounts and tokens, counted from a random one, that has something.
    function withdraw(uint256 seed) external {
        for (uint256 i = 0; i < 15; ++i) {
            uint256 place = (seed % 15 + i) % 15;
            address account = place % 5 < 3 ? renters[place % 5] : hosts[place % 5 - 3];
            if (market.balanceOf(account, tokens[place / 5]) == 0) continue;
            _lift();
            vm.prank(account);
            market.withdraw(tokens[place / 5], makeAddr("purse"));
            return;
        }
    }

    function withdrawFees(uint256 seed) external {
        address token = tokens[seed % 3];
        if (feesOf(token) == 0) return;
        _lift();
        vm.prank(treasury);
        market.withdrawFees(token, hosts, treasury);
    }

    function setFee(uint16 bps) external {
        vm.prank(owner);
        market.setFeeBps(bps % 1001);
    }

    function passTime(uint32 time) external {
        vm.warp(block.timestamp + time % 2 days);
    }

    /// Tokens and accounts turn hostile at any moment.
    function misbehave(uint256 seed) external {
        uint256 tokenMode = [
            uint256(WeirdToken.Mode.Normal), uint256(WeirdToken.Mode.ReturnsFalse), uint256(WeirdToken.Mode.Reverts)
        ][seed % 3];
        weird.setMode(WeirdToken.Mode(tokenMode));
        stubborn.setMode((seed >> 8) % 2 == 0 ? ContractRenter.Mode.Accepts : ContractRenter.Mode.Rejects);
    }

    /// A host that tries its luck without a signature over the amount.
    function overclaim(uint256 seed, uint96 claim) external {
        if (_live.length == 0) return;
        bytes32 id = _live[seed % _live.length];
        if (owed[id] >= totalOf(id)) return;
        Completion memory completion = _completion(_termsOf[id], owed[id]);
        completion.claim = uint96(bound(claim, uint256(owed[id]) + 1, totalOf(id)));
        vm.prank(completion.terms.host);
        (bool withVoucher,) = address(market).call(abi.encodeCall(market.completeSessionJob, (completion)));
        completion.voucher.amount = completion.claim;
        vm.prank(completion.terms.host);
        (bool forged,) = address(market).call(abi.encodeCall(market.completeSessionJob, (completion)));
        assertFalse(withVoucher || forged, "a host was paid what nobody signed");
    }

    // --- what the invariants ask

    function totalOf(bytes32 id) public view returns (uint96) {
        return _termsOf[id].deposit + market.sessions(id).topUp;
    }

    function termsOf(bytes32 id) external view returns (SessionTerms memory) {
        return _termsOf[id];
    }

    function marketplace() external view returns (JobMarketplace) {
        return market;
    }

    function openCount() external view returns (uint256) {
        return _live.length;
    }

    function openAt(uint256 index) external view returns (bytes32) {
        return _live[index];
    }

    function everOpenedCount() external view returns (uint256) {
        return everOpened.length;
    }

    function heldOf(address token) external view returns (uint256) {
        return token == NATIVE ? address(market).balance : IERC20(token).balanceOf(address(market));
    }

    function depositsOf(address token) external view returns (uint256 sum) {
        for (uint256 i = 0; i < _live.length; ++i) {
            if (_termsOf[_live[i]].token == token) sum += totalOf(_live[i]);
        }
    }

    function ledgerOf(address token) external view returns (uint256 sum) {
        for (uint256 i = 0; i < renters.length; ++i) {
            sum += market.balanceOf(renters[i], token);
        }
        for (uint256 i = 0; i < hosts.length; ++i) {
            sum += market.balanceOf(hosts[i], token);
        }
        sum += feesOf(token);
    }

    function feesOf(address token) public view returns (uint256 sum) {
        for (uint256 i = 0; i < hosts.length; ++i) {
            sum += market.feesOf(hosts[i], token);
        }
    }

    /// @dev Everybody leaves without anybody's help: time passes, then strangers close and owners withdraw.
    function exitAll() external {
        while (_live.length != 0) {
            this.timeOut(0);
        }
        _lift();
        for (uint256 i = 0; i < tokens.length; ++i) {
            for (uint256 j = 0; j < renters.length; ++j) {
                _withdrawIfAny(renters[j], tokens[i]);
            }
            for (uint256 j = 0; j < hosts.length; ++j) {
                _withdrawIfAny(hosts[j], tokens[i]);
            }
            this.withdrawFees(i);
        }
    }

    // --- inner

    function _withdrawIfAny(address account, address token) private {
        if (market.balanceOf(account, token) == 0) return;
        vm.prank(account);
        market.withdraw(token, makeAddr("purse"));
    }

    function _validCompletion(bytes32 id, uint96 claim) private view returns (Completion memory completion) {
        completion = _completion(_termsOf[id], owed[id]);
        uint96 total = totalOf(id);
        completion.claim = uint96(bound(claim, market.sessions(id).presented, owed[id] < total ? owed[id] : total));
    }

    function _pick(uint256 seed, SessionStatus status) private view returns (bytes32, bool) {
        for (uint256 i = 0; i < _live.length; ++i) {
            bytes32 id = _live[(seed % _live.length + i) % _live.length];
            if (market.sessions(id).status == status) return (id, true);
        }
        return (0, false);
    }

    function _noteClosed(bytes32 id, uint96 claim) private {
        assertLe(claim, owed[id], "paid more than the renter signed or acknowledged");
        assertFalse(closed[id], "closed twice");
        closed[id] = true;
        settled[_termsOf[id].token] += claim;
        feesOfCloses[_termsOf[id].host][_termsOf[id].token] += uint256(claim) * market.sessions(id).feeBps / 10_000;
        for (uint256 i = 0; i < _live.length; ++i) {
            if (_live[i] != id) continue;
            _live[i] = _live[_live.length - 1];
            _live.pop();
            return;
        }
    }

    function _lift() internal {
        weird.setMode(WeirdToken.Mode.Normal);
    }
}
