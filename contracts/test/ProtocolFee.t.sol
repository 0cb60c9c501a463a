// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IPaymentEscrow} from "../src/interfaces/IPaymentEscrow.sol";
import {IProtocolFee} from "../src/interfaces/IProtocolFee.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {JobBoard} from "../src/JobBoard.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";

contract ProtocolFeeTest is Fixture {
    function test_constructorRefusesBadParameters() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.makeMarket(nodes, board, address(0), treasury, 0);
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        this.makeMarket(nodes, board, owner, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IProtocolFee.FeeAboveCap.selector, 1001, 1000));
        this.makeMarket(nodes, board, owner, treasury, 1001);
    }

    function test_constructorRefusesAnotherBoard() public {
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        this.makeMarket(INodeRegistry(address(0)), board, owner, treasury, 0);
        NodeRegistry other = new NodeRegistry(fab, models, address(market), slasher, address(breaker));
        vm.expectRevert(abi.encodeWithSelector(JobMarketplace.WrongBoard.selector, address(board)));
        this.makeMarket(other, board, owner, treasury, 0);
        vm.mockCall(address(board), abi.encodeCall(board.interfaceVersion, ()), abi.encode(bytes32("another")));
        vm.expectRevert(abi.encodeWithSelector(JobMarketplace.WrongBoard.selector, address(board)));
        this.makeMarket(nodes, board, owner, treasury, 0);
    }

    function test_constructorRefusesARegistryThatLetsStakesGoTooSoon() public {
        uint40 longest = 30 days + 1 hours + 1 hours;
        vm.mockCall(address(nodes), abi.encodeCall(nodes.UNBONDING_DELAY, ()), abi.encode(longest));
        vm.expectRevert(abi.encodeWithSelector(JobMarketplace.UnbondingTooShort.selector, longest, longest));
        this.makeMarket(nodes, board, owner, treasury, 0);
        vm.mockCall(address(nodes), abi.encodeCall(nodes.UNBONDING_DELAY, ()), abi.encode(longest + 1));
        this.makeMarket(nodes, board, owner, treasury, 0);
    }

    function test_settersRefuseAnybodyButTheOwner() public {
        vm.startPrank(treasury);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, treasury));
        market.setFeeBps(0);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, treasury));
        market.setFeeRecipient(treasury);
    }

    function test_settersRefuseBadValues(uint16 bps) public {
        bps = uint16(bound(bps, 1001, type(uint16).max));
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProtocolFee.FeeAboveCap.selector, bps, 1000));
        market.setFeeBps(bps);
        vm.expectRevert(IProtocolFee.ZeroAddress.selector);
        market.setFeeRecipient(address(0));
    }

    function test_settersSet(uint16 bps) public {
        bps = uint16(bound(bps, 0, 1000));
        vm.startPrank(owner);
        vm.expectEmit(address(market));
        emit IProtocolFee.FeeBpsSet(bps);
        market.setFeeBps(bps);
        vm.expectEmit(address(market));
        emit IProtocolFee.FeeRecipientSet(stranger);
        market.setFeeRecipient(stranger);
        assertEq(market.feeBps(), bps);
        assertEq(market.feeRecipient(), stranger);
    }

    function test_ownershipMovesInTwoSteps() public {
        vm.prank(owner);
        market.transferOwnership(stranger);
        assertEq(market.owner(), owner);
        vm.prank(stranger);
        market.acceptOwnership();
        assertEq(market.owner(), stranger);
        assertEq(market.feeBps(), FEE_BPS);
    }

    function test_withdrawRefusesAnybodyButTheRecipient() public {
        _earn(10_000, host, 0);
        address[] memory hosts = _hosts();
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProtocolFee.NotFeeRecipient.selector, owner));
        market.withdrawFees(NATIVE, hosts, owner);
    }

    function test_withdrawRefusesWithoutFees() public {
        address[] memory hosts = _hosts();
        vm.prank(treasury);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, treasury, NATIVE));
        market.withdrawFees(NATIVE, hosts, treasury);
    }

    function test_withdrawCollectsEachHostOnceAndLeavesItsEarnings() public {
        _earn(10_000, host, 0);
        _earn(20_000, host, 1);
        address another = makeAddr("another host");
        _register(another, NATIVE, NATIVE);
        _earn(10_000, another, 2);
        address[] memory hosts = new address[](4);
        (hosts[0], hosts[1], hosts[2], hosts[3]) = (host, another, host, stranger);
        vm.expectEmit(address(market));
        emit IProtocolFee.FeesWithdrawn(host, NATIVE, treasury, 750);
        vm.expectEmit(address(market));
        emit IProtocolFee.FeesWithdrawn(another, NATIVE, treasury, 250);
        vm.recordLogs();
        vm.prank(treasury);
        assertEq(market.withdrawFees(NATIVE, hosts, treasury), 1000);
        // Nothing is said of the host named again, nor of one without fees.
        assertEq(vm.getRecordedLogs().length, 2);
        assertEq(treasury.balance, 1000);
        assertEq(market.feesOf(host, NATIVE), 0);
        assertEq(market.balanceOf(host, NATIVE), 30_000 - 750);
        assertEq(market.balanceOf(another, NATIVE), 10_000 - 250);
        assertEq(address(market).balance, 40_000 - 1000);
    }

    /// What came in since the last time, and not a unit of what was collected then.
    function test_withdrawCollectsWhatCameSince() public {
        address[] memory hosts = _hosts();
        _earn(40_000, host, 0);
        vm.prank(treasury);
        assertEq(market.withdrawFees(NATIVE, hosts, treasury), 1000);
        _earn(10_000, host, 1);
        assertEq(market.feesOf(host, NATIVE), 250);
        vm.prank(treasury);
        assertEq(market.withdrawFees(NATIVE, hosts, treasury), 250);
        assertEq(market.feesOf(host, NATIVE), 0);
        assertEq(market.feesBroughtBy(host, NATIVE), 1250);
        vm.prank(treasury);
        vm.expectRevert(abi.encodeWithSelector(IPaymentEscrow.NothingToWithdraw.selector, treasury, NATIVE));
        market.withdrawFees(NATIVE, hosts, treasury);
        assertEq(treasury.balance, 1250);
    }

    function _hosts() private view returns (address[] memory hosts) {
        hosts = new address[](1);
        hosts[0] = host;
    }

    function _earn(uint96 claim, address who, uint256 salt) private {
        SessionTerms memory terms = _nativeTerms();
        terms.host = who;
        terms.salt = bytes32(salt);
        _open(terms);
        vm.prank(who);
        market.completeSessionJob(_completion(terms, claim));
    }

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeMarket(INodeRegistry nodes_, JobBoard board_, address owner_, address recipient, uint16 bps)
        external
        returns (JobMarketplace)
    {
        return new JobMarketplace(nodes_, board_, owner_, recipient, bps);
    }
}
