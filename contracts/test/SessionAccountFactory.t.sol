// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SessionAccount} from "../src/SessionAccount.sol";
import {SessionAccountFactory} from "../src/SessionAccountFactory.sol";
import {ISessionAccountFactory} from "../src/interfaces/ISessionAccountFactory.sol";
import {AccountFixture} from "./AccountFixture.sol";

contract SessionAccountFactoryTest is AccountFixture {
    function test_refusesAnImplementationWithoutCode() public {
        vm.expectRevert(abi.encodeWithSelector(SessionAccountFactory.NoCode.selector, stranger));
        new SessionAccountFactory(stranger);
    }

    function test_refusesNobodyForAnOwner() public {
        vm.expectRevert(ISessionAccountFactory.ZeroOwner.selector);
        factory.createAccount(address(0), SALT);
    }

    /// Whoever creates it, and with money there already.
    function test_createsWhatItForetold(address who, bytes32 salt) public {
        vm.assume(who != address(0));
        address foretold = factory.accountOf(who, salt);
        vm.assume(foretold.code.length == 0);
        vm.deal(foretold, 1 ether);
        vm.expectEmit(address(factory));
        emit ISessionAccountFactory.AccountCreated(foretold, who, salt);
        vm.prank(stranger);
        assertEq(factory.createAccount(who, salt), foretold);
        assertEq(SessionAccount(payable(foretold)).owner(), who);
        assertEq(foretold.balance, 1 ether);
        assertEq(foretold.code.length, 65);
    }

    function test_findsWhatIsThere() public {
        vm.recordLogs();
        assertEq(factory.createAccount(accountOwner, SALT), address(account));
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_anAccountPerOwnerAndSalt() public view {
        assertNotEq(factory.accountOf(accountOwner, bytes32(uint256(1))), address(account));
        assertNotEq(factory.accountOf(stranger, SALT), address(account));
    }

    function test_views() public view {
        assertEq(factory.IMPLEMENTATION(), address(accountCode));
        assertEq(factory.interfaceVersion(), keccak256("capstan.SessionAccountFactory.v1"));
    }
}
