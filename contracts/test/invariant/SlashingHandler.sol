// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {HostSlashingFixture} from "../HostSlashingFixture.sol";
import {GovernanceToken} from "../../src/GovernanceToken.sol";
import {HostSlashing} from "../../src/HostSlashing.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {Evidence, Receipt as HostReceipt, Slash, SlashStatus} from "../../src/interfaces/IHostSlashing.sol";
import {Node, Offer} from "../../src/interfaces/INodeRegistry.sol";
import {SessionStatus, SessionTerms} from "../../src/interfaces/SessionTypes.sol";

/// @title Everything that hosts, their renters, reporters, guardians and the owner can do to stakes, in any order.
/// @dev No function here may revert: each first makes sure that what it does is allowed, and returns if nothing is.
contract SlashingHandler is HostSlashingFixture {
    uint256 private constant HOSTS = 3;

    address[] public hosts;
    mapping(address => uint256) private _secretOf;
    SessionTerms[] private _sessions;
    /// What each host paid in, less what it was paid back by withdrawals and upheld appeals.
    mapping(address => uint256) public inside;
    mapping(address => uint256) public executed;
    uint256 public executedInAll;

    function setUp() public override {
        super.setUp();
        vm.deal(renter, 1e30);
        for (uint256 i = 0; i < HOSTS; ++i) {
            (address who, uint256 secret) = makeAddrAndKey(string.concat("host", i == 0 ? "" : vm.toString(i)));
            hosts.push(who);
            _secretOf[who] = secret;
            vm.prank(owner);
            fab.transfer(who, 1e26);
            vm.prank(who);
            fab.approve(address(nodes), type(uint256).max);
        }
        inside[host] = STAKE;
    }

    // --- what the parties do

    function register(uint256 seed, uint96 stake) external {
        address who = hosts[seed % HOSTS];
        if (nodes.getNode(who).infoBlock != 0 || _paused()) return;
        if (fab.balanceOf(who) < STAKE) return;
        stake = uint96(bound(stake, STAKE, fab.balanceOf(who)));
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        vm.prank(who);
        nodes.registerNode(stake, "https://host.example.org", "", 0, offers);
        inside[who] += stake;
    }

    function addStake(uint256 seed, uint96 amount) external {
        address who = hosts[seed % HOSTS];
        if (nodes.getNode(who).infoBlock == 0 || _paused()) return;
        amount = uint96(bound(amount, 0, fab.balanceOf(who)));
        vm.prank(who);
        nodes.addStake(amount);
        inside[who] += amount;
    }

    function unbond(uint256 seed) external {
        address who = hosts[seed % HOSTS];
        Node memory node = nodes.getNode(who);
        if (node.infoBlock == 0) return;
        vm.prank(who);
        if (node.unbondsAt == 0) nodes.startUnbonding();
        else nodes.cancelUnbonding();
    }

    /// Whatever is under appeal, and whether entry is paused or not.
    function withdraw(uint256 seed) external {
        _withdraw(hosts[seed % HOSTS]);
    }

    function open(uint256 seed) external {
        for (uint256 i = 0; i < HOSTS; ++i) {
            address who = hosts[(seed % HOSTS + i) % HOSTS];
            if (!nodes.isServing(who, MODEL, NATIVE)) continue;
            SessionTerms memory terms = _nativeTerms();
            terms.host = who;
            terms.salt = bytes32(_sessions.length);
            terms.expiry = uint40(block.timestamp + 1 + seed % 30 days);
            _open(terms);
            _sessions.push(terms);
        }
    }

    function complete(uint256 seed, uint96 claim) external {
        if (_sessions.length == 0) return;
        SessionTerms memory terms = _sessions[seed % _sessions.length];
        SessionStatus status = market.sessions(_idOf(terms)).status;
        if (status == SessionStatus.Closed) return;
        _completeBy(terms, uint96(bound(claim, market.sessions(_idOf(terms)).presented, DEPOSIT)));
    }

    function askToClose(uint256 seed, uint96 acknowledged) external {
        if (_sessions.length == 0) return;
        SessionTerms memory terms = _sessions[seed % _sessions.length];
        if (market.sessions(_idOf(terms)).status != SessionStatus.Active) return;
        _close(terms, uint96(bound(acknowledged, 0, DEPOSIT)));
    }

    function equivocate(uint256 seed) external {
        if (_sessions.length == 0) return;
        SessionTerms memory terms = _sessions[seed % _sessions.length];
        if (!_reportable(terms, Evidence.Equivocation, slashing.EQUIVOCATION_BPS())) return;
        HostReceipt memory first = _receipt(terms, 1, false);
        HostReceipt memory second = _receipt(terms, 2, seed % 2 == 0);
        bytes memory signature = _signedBy(terms.host, first);
        slashing.reportEquivocation(terms, first, signature, second, _signedBy(terms.host, second));
    }

    function overclaim(uint256 seed) external {
        if (_sessions.length == 0) return;
        SessionTerms memory terms = _sessions[seed % _sessions.length];
        if (market.sessions(_idOf(terms)).status != SessionStatus.Closed) return;
        uint96 settledAt = market.sessions(_idOf(terms)).presented;
        if (settledAt == 0 || market.sessions(_idOf(terms)).challengeEnd != 0) return;
        if (!_reportable(terms, Evidence.Overclaim, slashing.OVERCLAIM_BPS())) return;
        HostReceipt memory receipt = _receipt(terms, settledAt - 1, true);
        slashing.reportOverclaim(terms, receipt, _signedBy(terms.host, receipt));
    }

    function cancel(uint256 seed) external {
        (SessionTerms memory terms, Evidence evidence, bool found) = _pickPending(seed);
        if (found) _cancel(terms, evidence);
    }

    function execute(uint256 seed) external {
        (SessionTerms memory terms, Evidence evidence, bool found) = _pickPending(seed);
        if (found) _execute(terms, evidence);
    }

    function pause() external {
        uint40 last = nodes.pausedUntil();
        if (last != 0 && block.timestamp < last + nodes.PAUSE_COOLDOWN()) return;
        vm.prank(address(breaker));
        nodes.pauseEntry();
    }

    function passTime(uint32 time) external {
        vm.warp(block.timestamp + time % 8 days);
    }

    /// A stranger and the owner, at what only the slasher may do.
    function trespass(uint256 seed, uint96 amount) external {
        address who = seed % 2 == 0 ? stranger : owner;
        vm.prank(who);
        (bool taken,) = address(nodes).call(abi.encodeCall(nodes.slash, (hosts[seed % HOSTS], amount, who)));
        assertFalse(taken, "a stake was taken by another than the slasher");
    }

    // --- what the invariants ask

    function registry() external view returns (NodeRegistry) {
        return nodes;
    }

    function slasherContract() external view returns (HostSlashing) {
        return slashing;
    }

    function token() external view returns (GovernanceToken) {
        return fab;
    }

    function hostCount() external pure returns (uint256) {
        return HOSTS;
    }

    function stakes() external view returns (uint256 sum) {
        for (uint256 i = 0; i < HOSTS; ++i) {
            sum += nodes.getNode(hosts[i]).stake;
        }
    }

    /// What is under appeal: of one host, or of all for the zero address.
    function heldOf(address who) public view returns (uint256 sum) {
        for (uint256 i = 0; i < _sessions.length; ++i) {
            if (who != address(0) && _sessions[i].host != who) continue;
            for (uint8 kind = 0; kind < 2; ++kind) {
                Slash memory slash = slashing.slashOf(_idOf(_sessions[i]), Evidence(kind));
                if (slash.status == SlashStatus.Pending) sum += slash.amount;
            }
        }
    }

    function paidOut() external view returns (uint256) {
        return fab.balanceOf(renter) + fab.balanceOf(BURNED);
    }

    /// @dev Every host leaves at once, under a pause; only then are the reports decided, the later half by nobody's
    /// help but a stranger's.
    function exitAll() external {
        for (uint256 i = 0; i < HOSTS; ++i) {
            Node memory node = nodes.getNode(hosts[i]);
            if (node.infoBlock == 0 || node.unbondsAt != 0) continue;
            vm.prank(hosts[i]);
            nodes.startUnbonding();
        }
        vm.warp(block.timestamp + nodes.UNBONDING_DELAY());
        this.pause();
        for (uint256 i = 0; i < HOSTS; ++i) {
            _withdraw(hosts[i]);
        }
        assertEq(fab.balanceOf(address(nodes)), 0, "a stake stayed behind");
        for (uint256 i = 0;; ++i) {
            (SessionTerms memory terms, Evidence evidence, bool found) = _pickPending(i);
            if (!found) return;
            if (i % 2 == 0) _cancel(terms, evidence);
            else _execute(terms, evidence);
        }
    }

    // --- inner

    function _withdraw(address who) private {
        Node memory node = nodes.getNode(who);
        if (node.unbondsAt == 0 || block.timestamp < node.unbondsAt) return;
        uint256 before = fab.balanceOf(who);
        vm.prank(who);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(who), before + node.stake, "an exit paid less than the stake");
        inside[who] -= node.stake;
    }

    function _cancel(SessionTerms memory terms, Evidence evidence) private {
        uint96 amount = slashing.slashOf(_idOf(terms), evidence).amount;
        vm.prank(owner);
        slashing.cancelSlash(terms, evidence);
        inside[terms.host] -= amount;
    }

    function _execute(SessionTerms memory terms, Evidence evidence) private {
        Slash memory slash = slashing.slashOf(_idOf(terms), evidence);
        if (block.timestamp < slash.executableAt) vm.warp(slash.executableAt);
        vm.prank(stranger);
        slashing.executeSlash(terms, evidence);
        executed[terms.host] += slash.amount;
        executedInAll += slash.amount;
        inside[terms.host] -= slash.amount;
    }

    function _reportable(SessionTerms memory terms, Evidence evidence, uint16 bps) private view returns (bool) {
        return slashing.slashOf(_idOf(terms), evidence).status == SlashStatus.None
            && block.timestamp <= terms.expiry + slashing.EVIDENCE_WINDOW()
            && uint256(nodes.getNode(terms.host).stake) * bps >= 10_000;
    }

    function _pickPending(uint256 seed) private view returns (SessionTerms memory terms, Evidence evidence, bool) {
        uint256 count = _sessions.length * 2;
        for (uint256 i = 0; i < count; ++i) {
            uint256 place = (seed % count + i) % count;
            terms = _sessions[place / 2];
            evidence = Evidence(place % 2);
            if (slashing.slashOf(_idOf(terms), evidence).status == SlashStatus.Pending) return (terms, evidence, true);
        }
        return (terms, evidence, false);
    }

    function _signedBy(address who, HostReceipt memory receipt) private view returns (bytes memory) {
        return _sign(_secretOf[who], _receiptDigest(receipt, block.chainid, address(market)));
    }

    function _paused() private view returns (bool) {
        return block.timestamp < nodes.pausedUntil();
    }
}
