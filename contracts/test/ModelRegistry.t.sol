// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Fixture} from "./Fixture.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";

contract ModelRegistryTest is Fixture {
    function test_refusesAnybodyButTheOwner() public {
        vm.startPrank(host);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, host));
        models.approveModel("m", "");
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, host));
        models.revokeModel(MODEL);
    }

    function test_refusesZeroTwiceAndUnknown(bytes32 model) public {
        vm.assume(model != MODEL);
        vm.startPrank(owner);
        vm.expectRevert(IModelRegistry.ZeroModel.selector);
        models.approveModel(0, "");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyApproved.selector, MODEL));
        models.approveModel(MODEL, "");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotApproved.selector, model));
        models.revokeModel(model);
    }

    function test_approvesAndRevokes(bytes32 model, string calldata uri) public {
        vm.assume(model != MODEL && model != 0);
        vm.startPrank(owner);
        vm.expectEmit(address(models));
        emit IModelRegistry.ModelApproved(model, uri);
        models.approveModel(model, uri);
        assertTrue(models.isApproved(model));
        vm.expectEmit(address(models));
        emit IModelRegistry.ModelRevoked(model);
        models.revokeModel(model);
        assertFalse(models.isApproved(model));
        assertTrue(models.isApproved(MODEL));
    }

    function test_ownershipMovesInTwoSteps() public {
        vm.prank(owner);
        models.transferOwnership(stranger);
        assertEq(models.owner(), owner);
        vm.prank(stranger);
        models.acceptOwnership();
        assertEq(models.owner(), stranger);
    }
}
