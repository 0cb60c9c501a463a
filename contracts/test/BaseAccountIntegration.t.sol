// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {BaseAccountIntegration} from "../src/BaseAccountIntegration.sol";
import {SessionAccount} from "../src/SessionAccount.sol";
import {SessionAccountFactory} from "../src/SessionAccountFactory.sol";
import {IBaseAccountIntegration, Policy} from "../src/interfaces/IBaseAccountIntegration.sol";
import {ISessionAccountFactory} from "../src/interfaces/ISessionAccountFactory.sol";
import {Call} from "../src/interfaces/ISelfBatch.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {PaymasterData} from "../src/libraries/PaymasterData.sol";
import {AccountFixture} from "./AccountFixture.sol";
import {WeirdToken} from "./mocks/WeirdToken.sol";

/// @title What is sponsored, what is refused, and what it costs whom; the EntryPoint's part is played by hand.
contract BaseAccountIntegrationTest is AccountFixture {
    function test_refusesZeroAddresses() public {
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        this.make(address(0), address(market), factory, owner);
        vm.expectRevert(IBaseAccountIntegration.ZeroAddress.selector);
        this.make(address(entryPoint), address(0), factory, owner);
        vm.expectRevert();
        this.make(address(entryPoint), address(market), ISessionAccountFactory(address(0)), owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.make(address(entryPoint), address(market), factory, address(0));
        this.make(address(entryPoint), address(market), factory, owner);
    }

    function test_onlyTheEntryPointAsks() public {
        PackedUserOperation memory op = _nativeOp();
        bytes memory refusal = abi.encodeWithSelector(IBaseAccountIntegration.NotEntryPoint.selector, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(refusal);
        paymaster.validatePaymasterUserOp(op, bytes32(0), 1);
        vm.expectRevert(refusal);
        paymaster.postOp(IPaymaster.PostOpMode.opSucceeded, "", 1, 1);
    }

    // --- whose operations

    function test_refusesOtherAccounts() public {
        PackedUserOperation memory op = _nativeOp();
        SessionAccountFactory other =
            new SessionAccountFactory(address(new SessionAccount(address(entryPoint), address(market))));
        (address eoa, uint256 secret) = makeAddrAndKey("delegates elsewhere");
        _delegate(other.IMPLEMENTATION(), secret);
        address[5] memory senders =
            [stranger, address(accountCode), address(usdc), other.createAccount(accountOwner, SALT), eoa];
        for (uint256 i = 0; i < senders.length; ++i) {
            op.sender = senders[i];
            _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.NotSessionAccount.selector, senders[i]));
        }
        // Code of a clone's size that starts like one and is none.
        bytes memory code = address(account).code;
        code[40] = bytes1(uint8(code[40]) ^ 1);
        _refusesCode(op, code);
        // The proxy without an owner behind it, or with more.
        code = address(account).code;
        _refusesCode(op, _cut(code, 45));
        _refusesCode(op, _cut(code, 64));
        _refusesCode(op, bytes.concat(code, hex"00"));
        _delegate(address(accountCode), secret);
        op.sender = eoa;
        _accepts(op, 1);
    }

    function test_refusesOtherFactories() public {
        PackedUserOperation memory op = _nativeOp();
        op.initCode = abi.encodePacked(stranger, hex"12345678");
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.FactoryNotAllowed.selector, stranger));
        op.initCode = hex"7703";
        address marker = address(bytes20(bytes2(0x7703)));
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.FactoryNotAllowed.selector, marker));
        op.initCode = hex"7702";
        _accepts(op, 1);
        op.initCode = abi.encodePacked(factory, hex"12345678");
        _accepts(op, 1);
    }

    // --- which operations

    function test_refusesOtherEntries() public {
        PackedUserOperation memory op = _op(abi.encodeCall(account.revokeSessionKey, (sessionKey)), _free());
        _refuses(op, 1, _notSponsored(address(0), account.revokeSessionKey.selector));
        op.callData = "";
        _refuses(op, 1, _notSponsored(address(0), 0));
    }

    function test_refusesAnEmptyBatch() public {
        bytes memory refusal = abi.encodeWithSelector(IBaseAccountIntegration.NothingToSponsor.selector);
        _refuses(_op(_execute(new Call[](0)), _free()), 1, refusal);
        _refuses(_op(_executeWithKey(new Call[](0)), _free()), 1, refusal);
    }

    function test_refusesLongCalldata() public {
        Call[] memory calls = _opening(_accountTerms(NATIVE, 1));
        uint256 room = 8192 - _execute(calls).length;
        bytes memory opening = calls[0].data;
        calls[0].data = bytes.concat(opening, new bytes(room));
        uint256 length = _execute(calls).length;
        // Calldata is padded to whole words behind a selector.
        assertEq(length, 8164);
        bytes memory callData = bytes.concat(_execute(calls), new bytes(28));
        _accepts(_op(callData, _free()), 1);
        callData = bytes.concat(callData, hex"00");
        _refuses(
            _op(callData, _free()),
            1,
            abi.encodeWithSelector(IBaseAccountIntegration.CallDataTooLong.selector, 8193, 8192)
        );
    }

    function test_refusesEveryOtherCall() public {
        SessionTerms memory terms = _accountTerms(NATIVE, 1);
        _refusesCall(Call(stranger, 1, ""));
        _refusesCall(Call(address(market), 0, ""));
        _refusesCall(Call(address(market), 0, abi.encodeCall(market.withdraw, (NATIVE, stranger))));
        _refusesCall(Call(stranger, 1, abi.encodeCall(market.createSessionJob, (terms))));
        _refusesCall(Call(address(usdc), 0, abi.encodeCall(usdc.transfer, (address(market), 1))));
        _refusesCall(_approval(address(usdc), stranger, 1));
        Call memory approval = _approval(address(usdc), address(market), 1);
        approval.value = 1;
        _refusesCall(approval);
        approval.value = 0;
        bytes memory data = approval.data;
        assembly {
            mstore(data, 35)
        }
        _refusesCall(approval);
        assembly {
            mstore(data, 36)
        }
        Call[] memory calls = new Call[](1);
        calls[0] = approval;
        _accepts(_op(_execute(calls), _free()), 1);
    }

    function test_oneOtherCallAmongMany() public {
        Call[] memory calls = _two(
            _opening(_accountTerms(NATIVE, 1))[0], Call(address(usdc), 0, abi.encodeCall(usdc.transfer, (host, 1)))
        );
        bytes memory refusal = _notSponsored(address(usdc), usdc.transfer.selector);
        _refuses(_op(_execute(calls), _free()), 1, refusal);
        _refuses(_op(_executeWithKey(calls), _free()), 1, refusal);
    }

    function test_kindsAreThePolicys() public {
        SessionTerms memory terms = _accountTerms(NATIVE, 1);
        Call[6] memory calls = [
            Call(address(market), 1, abi.encodeCall(market.createSessionJob, (terms))),
            Call(address(market), 1, abi.encodeCall(market.topUp, (terms, 1))),
            Call(address(market), 0, abi.encodeCall(market.requestSessionClose, (terms, 0))),
            Call(address(market), 0, abi.encodeCall(market.finalizeSession, (terms))),
            Call(address(market), 0, abi.encodeCall(market.triggerSessionTimeout, (terms))),
            _approval(address(usdc), address(market), 1)
        ];
        uint8[6] memory kinds = [OPEN, TOP_UP, CLOSE, CLOSE, CLOSE, OPEN | TOP_UP];
        for (uint8 allowed = 0; allowed <= ALL; ++allowed) {
            Policy memory policy = _policy();
            policy.calls = allowed;
            vm.prank(sponsor);
            paymaster.setPolicy(policy);
            for (uint256 i = 0; i < calls.length; ++i) {
                if (allowed & kinds[i] == 0) _refusesCall(calls[i]);
                else _accepts(_op(_execute(_list(calls[i])), _free()), 1);
            }
        }
    }

    function test_refusesADearGasPrice() public {
        PackedUserOperation memory op = _nativeOp();
        op.gasFees = _gasFees(MAX_FEE + 1);
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.GasPriceTooHigh.selector, MAX_FEE + 1, MAX_FEE));
        op.gasFees = _gasFees(MAX_FEE);
        _accepts(op, 1);
    }

    function test_refusesAnotherGasLimitForSettling() public {
        PackedUserOperation memory op = _nativeOp();
        for (uint256 given = POST_OP_GAS - 1; given <= POST_OP_GAS + 1; given += 2) {
            op.paymasterAndData =
                abi.encodePacked(address(paymaster), uint128(PAYMASTER_GAS), uint128(given), sponsor, TODAY);
            _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.PostOpGasLimit.selector, given, POST_OP_GAS));
        }
        assertEq(paymaster.POST_OP_GAS_LIMIT(), POST_OP_GAS);
    }

    function test_refusesDataOfOtherLengths() public {
        PackedUserOperation memory op = _nativeOp();
        uint256[6] memory sizes = [uint256(0), 23, 25, 59, 61, 24];
        for (uint256 i = 0; i < 5; ++i) {
            op.paymasterAndData = _paymasterData(new bytes(sizes[i]));
            _refuses(op, 1, abi.encodeWithSelector(PaymasterData.WrongPaymasterData.selector, 52 + sizes[i]));
        }
    }

    function test_refusesAnotherToken() public {
        PackedUserOperation memory op = _nativeOp();
        op.paymasterAndData = _paymasterData(abi.encodePacked(seller, TODAY));
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.WrongToken.selector, address(0), address(usdc)));
        op.paymasterAndData = _paymasterData(abi.encodePacked(seller, TODAY, address(fab), uint128(1e18)));
        _refuses(
            op, 1, abi.encodeWithSelector(IBaseAccountIntegration.WrongToken.selector, address(fab), address(usdc))
        );
        op.paymasterAndData = _paymasterData(abi.encodePacked(sponsor, TODAY, address(usdc), uint128(1e18)));
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.WrongToken.selector, address(usdc), address(0)));
    }

    /// Nobody pays for a sponsor that never said so.
    function test_refusesASponsorWithoutAPolicy() public {
        vm.deal(address(this), 1 ether);
        paymaster.fund{value: 1 ether}(stranger);
        PackedUserOperation memory op = _nativeOp();
        op.paymasterAndData = _paymasterData(abi.encodePacked(stranger, TODAY));
        _refuses(op, 1, _notSponsored(address(market), market.createSessionJob.selector));
    }

    // --- how much

    function test_refusesMoreThanTheUsersDay(uint96 first) public {
        first = uint96(bound(first, 1, DAILY_PER_USER - 1));
        PackedUserOperation memory op = _nativeOp();
        _accepts(op, first);
        assertEq(paymaster.spentBy(sponsor, address(account), TODAY), first);
        uint256 over = uint256(DAILY_PER_USER) + 1;
        bytes memory refusal =
            abi.encodeWithSelector(IBaseAccountIntegration.UserLimitExceeded.selector, over, DAILY_PER_USER);
        _refuses(op, DAILY_PER_USER - first + 1, refusal);
        _accepts(op, DAILY_PER_USER - first);
        _refuses(op, 1, refusal);
        // Another account, another sponsor, another day.
        op.sender = factory.createAccount(stranger, SALT);
        _accepts(op, DAILY_PER_USER);
        op.sender = address(account);
        op.paymasterAndData = _paymasterData(abi.encodePacked(sponsor, TODAY + 1));
        _accepts(op, DAILY_PER_USER);
        assertEq(paymaster.spentBy(sponsor, address(account), TODAY), 0);
        assertEq(paymaster.spentBy(sponsor, address(account), TODAY + 1), DAILY_PER_USER);
    }

    function test_refusesMoreThanTheDayOfAll() public {
        PackedUserOperation memory op = _nativeOp();
        for (uint256 i = 0; i < 5; ++i) {
            op.sender = factory.createAccount(stranger, bytes32(i));
            _accepts(op, i == 4 ? DAILY_PER_USER - 5 : DAILY_PER_USER);
        }
        assertEq(paymaster.spentOf(sponsor, TODAY), DAILY_TOTAL - 5);
        op.sender = address(account);
        _refuses(
            op,
            6,
            abi.encodeWithSelector(IBaseAccountIntegration.TotalLimitExceeded.selector, DAILY_TOTAL + 1, DAILY_TOTAL)
        );
        _accepts(op, 5);
        op.paymasterAndData = _paymasterData(abi.encodePacked(sponsor, TODAY + 1));
        _accepts(op, 6);
        assertEq(paymaster.spentOf(sponsor, TODAY), 0);
        assertEq(paymaster.spentOf(sponsor, TODAY + 1), 6);
    }

    function test_refusesMoreThanTheBalance() public {
        vm.prank(sponsor);
        paymaster.withdraw(FUNDED - 1000, payable(sponsor));
        PackedUserOperation memory op = _nativeOp();
        _refuses(op, 1001, abi.encodeWithSelector(IBaseAccountIntegration.BalanceTooLow.selector, 1001, 1000));
        _accepts(op, 1000);
        assertEq(paymaster.balanceOf(sponsor), 0);
        assertEq(paymaster.balanceOf(seller), FUNDED);
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.BalanceTooLow.selector, 1, 0));
    }

    function test_refusesAChargeAboveWhatIsAccepted() public {
        _approveDollars(type(uint256).max);
        uint256 cost = 0.001 ether + 1;
        // 3.3 dollars, and one base unit for the one wei.
        uint128 charge = 3.3e6 + 1;
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(charge - 1));
        _refuses(op, cost, abi.encodeWithSelector(IBaseAccountIntegration.ChargeTooHigh.selector, charge, charge - 1));
        op.paymasterAndData = _paid(charge);
        uint256 held = usdc.balanceOf(address(account));
        _accepts(op, cost);
        assertEq(usdc.balanceOf(address(account)), held - charge);
        assertEq(paymaster.earningsOf(seller, address(usdc)), charge);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0);
    }

    function test_refusesAnAccountThatCannotPay() public {
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        _approveDollars(3.3e6 - 1);
        vm.prank(address(entryPoint));
        vm.expectRevert();
        paymaster.validatePaymasterUserOp(op, bytes32(0), 0.001 ether);
        _approveDollars(3.3e6);
        _accepts(op, 0.001 ether);
    }

    function test_refusesATokenThatTakesAFee() public {
        WeirdToken weird = new WeirdToken();
        Policy memory policy = _pricedPolicy();
        (policy.token, policy.price) = (address(weird), 1e18);
        vm.prank(seller);
        paymaster.setPolicy(policy);
        weird.mint(address(account), 1e18);
        vm.prank(address(account));
        weird.approve(address(paymaster), 1e18);
        PackedUserOperation memory op = _nativeOp();
        op.paymasterAndData = _paymasterData(abi.encodePacked(seller, TODAY, address(weird), uint128(1e18)));
        weird.setMode(WeirdToken.Mode.FeeOnTransfer);
        _refuses(op, 100, abi.encodeWithSelector(IBaseAccountIntegration.UnexpectedTransferAmount.selector, 99, 100));
        weird.setMode(WeirdToken.Mode.Normal);
        _accepts(op, 100);
        assertEq(paymaster.earningsOf(seller, address(weird)), 100);
    }

    /// But for one base unit, which keeps the slot above zero.
    function test_creditPaysFirst() public {
        _approveDollars(10_000);
        usdc.mint(stranger, 1000e6);
        vm.startPrank(stranger);
        usdc.approve(address(paymaster), 1000e6);
        paymaster.creditFor(address(account), address(usdc), 3.3e6);
        vm.stopPrank();
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        _accepts(op, 0.001 ether);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 1);
        assertEq(usdc.allowance(address(account), address(paymaster)), 9_999);
        _accepts(op, 1e12);
        assertEq(usdc.allowance(address(account), address(paymaster)), 6_699);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 1);
        assertEq(paymaster.earningsOf(seller, address(usdc)), 3.3e6 + 3300);
    }

    function test_creditAloneIsEnough() public {
        usdc.approve(address(paymaster), 4e6);
        usdc.mint(address(this), 4e6);
        paymaster.creditFor(address(account), address(usdc), 4e6);
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        _accepts(op, 0.001 ether);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0.7e6);
        assertEq(usdc.balanceOf(address(account)), 1000e6);
    }

    // --- what comes back

    function test_answersWithTheDay() public {
        PackedUserOperation memory op = _nativeOp();
        vm.prank(address(entryPoint));
        (, uint256 validationData) = paymaster.validatePaymasterUserOp(op, bytes32(0), 1);
        uint256 first = uint256(TODAY) * 1 days;
        assertEq(validationData, (first - 1) << 208 | (first + 1 days - 1) << 160);
    }

    function test_settlesWithoutAPrice(uint256 used) public {
        uint256 maxCost = 0.002 ether;
        used = bound(used, 0, maxCost);
        bytes memory context = _accepts(_nativeOp(), maxCost);
        assertEq(paymaster.balanceOf(sponsor), FUNDED - maxCost);
        uint256 cost = used + 8_500 * 7;
        if (cost > maxCost) cost = maxCost;
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.OperationSponsored(sponsor, address(account), cost, address(0), 0);
        _settle(context, used, 7);
        assertEq(paymaster.balanceOf(sponsor), FUNDED - cost);
        assertEq(paymaster.spentOf(sponsor, TODAY), cost);
        assertEq(paymaster.spentBy(sponsor, address(account), TODAY), cost);
    }

    function test_settlesInDollars(uint256 used) public {
        _approveDollars(type(uint256).max);
        uint256 maxCost = 0.002 ether;
        used = bound(used, 0, maxCost);
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        bytes memory context = _accepts(op, maxCost);
        assertEq(paymaster.earningsOf(seller, address(usdc)), 6.6e6);
        // The price of then, not of now.
        vm.prank(seller);
        paymaster.setPolicy(_policy());
        (uint256 cost, uint256 charge) = (used + 8_500 * 1 gwei, 6.6e6);
        if (cost > maxCost) cost = maxCost;
        // Unless the credit would cost all there is to credit.
        uint256 withCredit = used + (8_500 + 4_500 + 17_100) * 1 gwei;
        if (_charge(withCredit) < 6.6e6) (cost, charge) = (withCredit, _charge(withCredit));
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.OperationSponsored(seller, address(account), cost, address(usdc), charge);
        _settle(context, used, 1 gwei);
        assertEq(paymaster.balanceOf(seller), FUNDED - cost);
        assertEq(paymaster.earningsOf(seller, address(usdc)), charge);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 6.6e6 - charge);
    }

    function test_aLaterCreditCostsLess() public {
        _approveDollars(type(uint256).max);
        usdc.approve(address(paymaster), 1);
        usdc.mint(address(this), 1);
        paymaster.creditFor(address(account), address(usdc), 1);
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        bytes memory context = _accepts(op, 0.002 ether);
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.OperationSponsored(seller, address(account), 0.001 ether, address(usdc), 3.3e6);
        _settle(context, 0.001 ether - 13_000 * 1 gwei, 1 gwei);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 1 + 3.3e6);
    }

    /// The EntryPoint takes no more than the largest cost, and neither does settling: with a wei of room and without.
    function test_settlesAtTheLargestCost() public {
        uint256 before = vm.snapshotState();
        uint256 room = 8_500 * 1 gwei;
        for (uint256 i = 0; i < 3; ++i) {
            vm.revertToState(before);
            bytes memory context = _accepts(_nativeOp(), 0.002 ether);
            _settle(context, 0.002 ether - room + i - 1, 1 gwei);
            assertEq(paymaster.balanceOf(sponsor), FUNDED - 0.002 ether + (i == 0 ? 1 : 0));
        }
    }

    /// A charge that rounding makes the largest one leaves nothing to credit, and crediting is not charged for.
    function test_settlesACoarsePriceWithoutACredit() public {
        bytes memory context = _acceptsCoarsePrice();
        _assertSettled(context, 0.001 ether + 1 - 8_500 * 1 gwei, 0.001 ether + 1, 2);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0);
    }

    /// Nor is a credit written that would cost all there is to credit.
    function test_settlesWithoutACreditThatCostsItself() public {
        bytes memory context = _acceptsCoarsePrice();
        _assertSettled(context, 0.001 ether - 8_500 * 1 gwei, 0.001 ether, 2);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 0);
    }

    function test_settlesACoarsePriceWithACredit() public {
        bytes memory context = _acceptsCoarsePrice();
        _assertSettled(context, 0.001 ether - 30_100 * 1 gwei, 0.001 ether, 1);
        assertEq(paymaster.creditOf(address(account), address(usdc)), 1);
    }

    /// If the EntryPoint undoes a settlement it keeps the largest cost. The sponsor has lost that and has been paid for
    /// it, and nobody else pays.
    function test_withoutASettlementTheLargestCostIsSpentAndPaidFor() public {
        _approveDollars(type(uint256).max);
        PackedUserOperation memory op = _op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(10e6));
        _accepts(op, 0.002 ether);
        assertEq(paymaster.balanceOf(seller), FUNDED - 0.002 ether);
        assertEq(paymaster.balanceOf(sponsor), FUNDED);
        vm.prank(seller);
        assertEq(paymaster.withdrawEarnings(address(usdc), seller), 6.6e6);
    }

    function test_stakeIsTheOwners() public {
        vm.deal(stranger, 3 ether);
        vm.startPrank(stranger);
        paymaster.addStake{value: 1 ether}();
        paymaster.addStake{value: 2 ether}();
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger);
        vm.expectRevert(refusal);
        paymaster.unlockStake();
        vm.expectRevert(refusal);
        paymaster.withdrawStake(payable(stranger));
        vm.stopPrank();
        assertEq(entryPoint.getDepositInfo(address(paymaster)).stake, 3 ether);
        assertEq(entryPoint.getDepositInfo(address(paymaster)).unstakeDelaySec, 1 days);
        assertEq(paymaster.UNSTAKE_DELAY(), 1 days);
        vm.startPrank(owner);
        paymaster.unlockStake();
        vm.warp(START + 1 days - 1);
        vm.expectRevert("Stake withdrawal is not due");
        paymaster.withdrawStake(payable(treasury));
        vm.warp(START + 1 days);
        paymaster.withdrawStake(payable(treasury));
        assertEq(treasury.balance, 3 ether);
        assertEq(entryPoint.balanceOf(address(paymaster)), 2 * FUNDED);
    }

    /// Nor can a stranger keep it in by adding nothing to it.
    function test_onlyTheOwnerAddsToAStakeThatLeaves() public {
        vm.deal(owner, 2 ether);
        vm.startPrank(owner);
        paymaster.addStake{value: 1 ether}();
        paymaster.unlockStake();
        vm.stopPrank();
        vm.warp(START + 1 days);
        vm.expectRevert(IBaseAccountIntegration.StakeUnlocking.selector);
        vm.prank(stranger);
        paymaster.addStake();
        uint256 before = vm.snapshotState();
        vm.startPrank(owner);
        paymaster.withdrawStake(payable(treasury));
        assertEq(treasury.balance, 1 ether);
        vm.revertToState(before);
        // It may think better of it.
        paymaster.addStake{value: 1 ether}();
        assertEq(entryPoint.getDepositInfo(address(paymaster)).stake, 2 ether);
        assertEq(entryPoint.getDepositInfo(address(paymaster)).withdrawTime, 0);
    }

    function test_views() public view {
        assertEq(paymaster.ENTRY_POINT(), address(entryPoint));
        assertEq(paymaster.MARKETPLACE(), address(market));
        assertEq(paymaster.FACTORY(), address(factory));
        assertEq(paymaster.owner(), owner);
        assertEq(paymaster.interfaceVersion(), keccak256("capstan.BaseAccountIntegration.v1"));
    }

    function make(address entryPoint_, address market_, ISessionAccountFactory factory_, address owner_)
        external
        returns (BaseAccountIntegration)
    {
        return new BaseAccountIntegration(entryPoint_, market_, factory_, owner_);
    }

    function _refusesCode(PackedUserOperation memory op, bytes memory code) private {
        address fake = makeAddr("fake");
        vm.etch(fake, code);
        op.sender = fake;
        _refuses(op, 1, abi.encodeWithSelector(IBaseAccountIntegration.NotSessionAccount.selector, fake));
    }

    function _cut(bytes memory code, uint256 length) private pure returns (bytes memory cut) {
        cut = bytes.concat(code);
        assembly ("memory-safe") {
            mstore(cut, length)
        }
    }

    /// @dev An operation of two base units at most, for 0.002 coins.
    function _acceptsCoarsePrice() private returns (bytes memory) {
        _approveDollars(2);
        Policy memory policy = _pricedPolicy();
        policy.price = 1000;
        vm.prank(seller);
        paymaster.setPolicy(policy);
        return _accepts(_op(_execute(_opening(_accountTerms(NATIVE, 1))), _paid(2)), 0.002 ether);
    }

    function _assertSettled(bytes memory context, uint256 used, uint256 cost, uint256 charge) private {
        vm.expectEmit(address(paymaster));
        emit IBaseAccountIntegration.OperationSponsored(seller, address(account), cost, address(usdc), charge);
        _settle(context, used, 1 gwei);
        assertEq(paymaster.balanceOf(seller), FUNDED - cost);
        assertEq(paymaster.earningsOf(seller, address(usdc)), charge);
    }

    function _nativeOp() private view returns (PackedUserOperation memory) {
        return _op(_execute(_opening(_accountTerms(NATIVE, 1))), _free());
    }

    function _list(Call memory item) private pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = item;
    }

    function _approveDollars(uint256 amount) private {
        vm.prank(address(account));
        usdc.approve(address(paymaster), amount);
    }

    function _notSponsored(address to, bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IBaseAccountIntegration.CallNotSponsored.selector, to, selector);
    }

    function _refusesCall(Call memory item) private {
        _refuses(_op(_execute(_list(item)), _free()), 1, _notSponsored(item.to, bytes4(item.data)));
    }

    function _refuses(PackedUserOperation memory op, uint256 maxCost, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(address(entryPoint));
        paymaster.validatePaymasterUserOp(op, bytes32(0), maxCost);
    }

    function _accepts(PackedUserOperation memory op, uint256 maxCost) private returns (bytes memory context) {
        vm.prank(address(entryPoint));
        (context,) = paymaster.validatePaymasterUserOp(op, bytes32(0), maxCost);
    }

    function _settle(bytes memory context, uint256 used, uint256 feePerGas) private {
        vm.prank(address(entryPoint));
        paymaster.postOp(IPaymaster.PostOpMode.opReverted, context, used, feePerGas);
    }
}
