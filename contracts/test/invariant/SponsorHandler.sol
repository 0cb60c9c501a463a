// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountFixture} from "../AccountFixture.sol";
import {SessionAccount} from "../../src/SessionAccount.sol";
import {Call} from "../../src/interfaces/ISelfBatch.sol";
import {Policy} from "../../src/interfaces/IBaseAccountIntegration.sol";
import {SessionTerms} from "../../src/interfaces/SessionTypes.sol";

/// @title Everything sponsors and accounts can do with the paymaster, in any order.
/// @dev No function here may revert. An operation within every limit has to be settled, and any other to be refused.
contract SponsorHandler is AccountFixture {
    /// Most gas that writing a credit is charged with.
    uint256 private constant CREDIT_GAS = 21_600;

    address[] public sponsors;
    address[] public accounts;
    uint256[] private _secrets;
    /// Paid in less taken out, less what operations cost.
    mapping(address sponsor => uint256) public expected;
    uint256 public settled;
    uint256 private constant SPARE = 1 ether;
    uint256 private _salt;

    function setUp() public override {
        super.setUp();
        sponsors = [sponsor, seller, makeAddr("second seller")];
        _sponsor(sponsors[2], _pricedPolicy());
        accounts = [address(account), factory.createAccount(stranger, SALT), renter];
        uint256 strangerSecret;
        (, strangerSecret) = makeAddrAndKey("stranger");
        _secrets = [accountOwnerSecret, strangerSecret, renterSecret];
        _delegate(address(accountCode), renterSecret);
        for (uint256 i = 0; i < 3; ++i) {
            expected[sponsors[i]] = FUNDED;
            vm.deal(accounts[i], 1 ether);
            usdc.mint(accounts[i], 1e30);
            vm.prank(accounts[i]);
            usdc.approve(address(paymaster), type(uint256).max);
        }
        usdc.mint(address(this), 1e30);
        usdc.approve(address(paymaster), type(uint256).max);
        // What settling costs instrumented code beyond what is charged for it.
        vm.deal(address(this), SPARE);
        if (_instrumented()) entryPoint.depositTo{value: SPARE}(address(paymaster));
    }

    // --- what the parties do

    function fund(uint256 seed, uint96 amount) external {
        address who = sponsors[seed % 3];
        amount = uint96(bound(amount, 1, 0.01 ether));
        vm.deal(address(this), amount);
        paymaster.fund{value: amount}(who);
        expected[who] += amount;
    }

    function withdraw(uint256 seed, uint256 amount) external {
        address who = sponsors[seed % 3];
        uint256 balance = paymaster.balanceOf(who);
        if (balance == 0) return;
        amount = seed % 5 == 0 ? balance : bound(amount, 1, balance);
        vm.prank(who);
        paymaster.withdraw(amount, payable(who));
        expected[who] -= amount;
    }

    /// Limits stay what they are; what users pay changes.
    function setPrice(uint256 seed, uint96 price) external {
        Policy memory policy = _pricedPolicy();
        policy.price = uint96(bound(price, 1, 1e12));
        vm.prank(sponsors[1 + seed % 2]);
        paymaster.setPolicy(policy);
    }

    function creditFor(uint256 seed, uint256 amount) external {
        paymaster.creditFor(accounts[seed % 3], address(usdc), bound(amount, 1, 100e6));
    }

    function withdrawCredit(uint256 seed) external {
        address who = accounts[seed % 3];
        if (paymaster.creditOf(who, address(usdc)) == 0) return;
        vm.prank(who);
        paymaster.withdrawCredit(address(usdc), who);
    }

    function withdrawEarnings(uint256 seed) external {
        address who = sponsors[seed % 3];
        if (paymaster.earningsOf(who, address(usdc)) == 0) return;
        vm.prank(who);
        paymaster.withdrawEarnings(address(usdc), who);
    }

    function passTime(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 12 hours));
    }

    /// Opens a session, or closes one that does not exist and so fails.
    function operate(uint256 seed) external {
        uint256 which = seed % 3;
        address payer = sponsors[(seed >> 8) % 3];
        account = SessionAccount(payable(accounts[which]));
        SessionTerms memory terms = _accountTerms(seed & 1 << 20 == 0 ? NATIVE : address(usdc), 1);
        terms.expiry = uint40(block.timestamp + 1);
        terms.salt = bytes32(++_salt);
        Call[] memory calls = seed & 1 << 21 == 0 ? _opening(terms) : _closing(terms, 0);
        uint32 day = uint32(block.timestamp / 1 days);
        Policy memory policy = paymaster.policyOf(payer);
        bytes memory data = policy.price == 0
            ? abi.encodePacked(payer, day)
            : abi.encodePacked(payer, day, policy.token, type(uint128).max);
        PackedUserOperation memory op = _signedBy(_secrets[which], _op(_execute(calls), _paymasterData(data)));
        if (
            paymaster.balanceOf(payer) < MAX_COST || paymaster.spentOf(payer, day) + MAX_COST > policy.dailyTotal
                || paymaster.spentBy(payer, address(account), day) + MAX_COST > policy.dailyPerUser
        ) {
            _assertRefused(op);
            return;
        }
        Outcome memory outcome = _outcome(op);
        assertTrue(outcome.settled);
        if (!_instrumented()) assertGe(outcome.cost, outcome.taken);
        assertGe(outcome.charge, _chargeAt(policy.price, outcome.cost));
        assertLe(outcome.charge, _chargeAt(policy.price, outcome.cost + CREDIT_GAS * GAS_PRICE));
        expected[payer] -= outcome.cost;
        ++settled;
    }

    // --- what is checked

    function deposit() external view returns (uint256) {
        return entryPoint.balanceOf(address(paymaster));
    }

    function balances() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            sum += paymaster.balanceOf(sponsors[i]);
        }
    }

    function tokensHeld() external view returns (uint256) {
        return usdc.balanceOf(address(paymaster));
    }

    function tokensOwed() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            sum += paymaster.earningsOf(sponsors[i], address(usdc)) + paymaster.creditOf(accounts[i], address(usdc));
        }
    }

    /// The most that can have stayed in the deposit as nobody's.
    function largestDust() external view returns (uint256) {
        return settled * 4_500 * GAS_PRICE + (_instrumented() ? SPARE : 0);
    }

    function assertLimits() external view {
        uint32 day = uint32(block.timestamp / 1 days);
        for (uint256 i = 0; i < 3; ++i) {
            assertLe(paymaster.spentOf(sponsors[i], day), DAILY_TOTAL);
            assertEq(paymaster.balanceOf(sponsors[i]), expected[sponsors[i]]);
            for (uint256 k = 0; k < 3; ++k) {
                assertLe(paymaster.spentBy(sponsors[i], accounts[k], day), DAILY_PER_USER);
            }
        }
    }

    function exitAll() external {
        for (uint256 i = 0; i < 3; ++i) {
            uint256 balance = paymaster.balanceOf(sponsors[i]);
            vm.startPrank(sponsors[i]);
            if (balance != 0) paymaster.withdraw(balance, payable(sponsors[i]));
            if (paymaster.earningsOf(sponsors[i], address(usdc)) != 0) {
                paymaster.withdrawEarnings(address(usdc), sponsors[i]);
            }
            vm.stopPrank();
            if (paymaster.creditOf(accounts[i], address(usdc)) == 0) continue;
            vm.prank(accounts[i]);
            paymaster.withdrawCredit(address(usdc), accounts[i]);
        }
    }

    function _chargeAt(uint96 price, uint256 cost) private pure returns (uint256) {
        return (cost * price + 1e18 - 1) / 1e18;
    }

    function _assertRefused(PackedUserOperation memory op) private {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.prank(bundler, bundler);
        try entryPoint.handleOps(ops, beneficiary) {
            assertTrue(false, "beyond a limit");
        } catch {}
    }
}
