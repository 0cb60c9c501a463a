// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {HostSlashingFixture} from "./HostSlashingFixture.sol";
import {HostSlashing} from "../src/HostSlashing.sol";
import {Evidence, IHostSlashing, SlashStatus} from "../src/interfaces/IHostSlashing.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";

/// @title What becomes of a report: an appeal upheld, or the slash executed.
contract HostSlashingVerdictTest is HostSlashingFixture {
    SessionTerms private _session;

    function setUp() public override {
        super.setUp();
        _session = _nativeTerms();
        _open(_session);
    }

    // --- the constructor

    function test_constructorRefusesZeroAddresses() public {
        vm.expectRevert(HostSlashing.ZeroAddress.selector);
        this.makeSlashing(INodeRegistry(address(0)), market, owner);
        vm.expectRevert(HostSlashing.ZeroAddress.selector);
        this.makeSlashing(nodes, IJobMarketplace(address(0)), owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.makeSlashing(nodes, market, address(0));
    }

    function test_constructorRefusesARegistryOfAnotherSlasher() public {
        vm.expectRevert(abi.encodeWithSelector(HostSlashing.NotTheSlasher.selector, slasher));
        this.makeSlashing(nodes, market, owner);
    }

    function test_constructorSetsWhatItWasGiven() public view {
        assertEq(address(slashing.NODES()), address(nodes));
        assertEq(address(slashing.MARKET()), address(market));
        assertEq(address(slashing.STAKE_TOKEN()), address(fab));
        assertEq(slashing.owner(), owner);
        assertEq(slashing.interfaceVersion(), keccak256("capstan.HostSlashing.v1"));
    }

    function test_constants() public view {
        assertEq(slashing.APPEAL_DELAY(), 14 days);
        assertEq(slashing.EVIDENCE_WINDOW(), 32 days);
        assertEq(slashing.EQUIVOCATION_BPS(), 5000);
        assertEq(slashing.OVERCLAIM_BPS(), 2000);
        assertEq(slashing.COMPENSATION_BPS(), 1000);
        assertEq(slashing.BURN_ADDRESS(), BURNED);
    }

    // --- cancelSlash

    function test_cancelRefusesOthersThanTheOwner() public {
        _reportEquivocation(_session);
        vm.prank(host);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, host));
        slashing.cancelSlash(_session, Evidence.Equivocation);
    }

    function test_cancelRefusesWhatIsNotPending() public {
        _cancelRefused(Evidence.Equivocation);
        _reportEquivocation(_session);
        _cancelRefused(Evidence.Overclaim);
        uint256 snapshot = vm.snapshotState();
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        _cancelRefused(Evidence.Equivocation);
        vm.revertToState(snapshot);
        vm.warp(START + 14 days);
        slashing.executeSlash(_session, Evidence.Equivocation);
        _cancelRefused(Evidence.Equivocation);
    }

    function test_cancelPaysTheHostBack() public {
        _reportEquivocation(_session);
        vm.expectEmit(address(slashing));
        emit IHostSlashing.SlashCancelled(_idOf(_session), host, Evidence.Equivocation, STAKE / 2);
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        _assertSlash(_session, Evidence.Equivocation, SlashStatus.Cancelled, START + 14 days, STAKE / 2);
        assertEq(fab.balanceOf(host), STAKE / 2);
        assertEq(fab.balanceOf(address(slashing)), 0);
        assertEq(nodes.getNode(host).stake, STAKE / 2);
        vm.prank(host);
        nodes.addStake(STAKE / 2);
        assertTrue(nodes.isServing(host, MODEL, NATIVE));
    }

    /// A vote that ends late still counts if nobody was faster.
    function test_cancelWorksUntilTheSlashIsExecuted() public {
        _reportEquivocation(_session);
        vm.warp(START + 100 days);
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        assertEq(fab.balanceOf(host), STAKE / 2);
    }

    function test_cancelPaysAHostThatHasLeft() public {
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days - 1);
        _reportEquivocation(_session);
        vm.warp(START + 32 days);
        vm.prank(host);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(host), STAKE / 2);
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        assertEq(fab.balanceOf(host), STAKE);
    }

    // --- executeSlash

    function test_executeRefusesWhatIsNotPending() public {
        _executeRefused(Evidence.Equivocation);
        _reportEquivocation(_session);
        vm.warp(START + 14 days);
        _executeRefused(Evidence.Overclaim);
        uint256 snapshot = vm.snapshotState();
        vm.prank(owner);
        slashing.cancelSlash(_session, Evidence.Equivocation);
        _executeRefused(Evidence.Equivocation);
        vm.revertToState(snapshot);
        slashing.executeSlash(_session, Evidence.Equivocation);
        _executeRefused(Evidence.Equivocation);
    }

    function test_executeRefusesBeforeTheAppealIsOver() public {
        _reportEquivocation(_session);
        vm.warp(START + 14 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IHostSlashing.AppealRunning.selector, START + 14 days));
        slashing.executeSlash(_session, Evidence.Equivocation);
        // Not for the owner either.
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IHostSlashing.AppealRunning.selector, START + 14 days));
        slashing.executeSlash(_session, Evidence.Equivocation);
    }

    function test_executePaysTheRenterATenthAndBurnsTheRest(uint96 stake) public {
        stake = uint96(bound(stake, 2, STAKE));
        vm.startPrank(slasher);
        if (stake < STAKE) nodes.slash(host, STAKE - stake, owner);
        vm.stopPrank();
        _reportEquivocation(_session);
        uint96 slashed = stake / 2;
        uint96 compensation = slashed / 10;
        vm.warp(START + 14 days);
        vm.expectEmit(address(slashing));
        emit IHostSlashing.SlashExecuted(
            _idOf(_session), host, Evidence.Equivocation, renter, compensation, slashed - compensation
        );
        vm.prank(stranger);
        slashing.executeSlash(_session, Evidence.Equivocation);
        _assertSlash(_session, Evidence.Equivocation, SlashStatus.Executed, START + 14 days, slashed);
        assertEq(fab.balanceOf(renter), compensation);
        assertEq(fab.balanceOf(BURNED), slashed - compensation);
        assertEq(fab.balanceOf(address(slashing)), 0);
        assertEq(fab.balanceOf(stranger), 0);
        assertEq(nodes.getNode(host).stake, stake - slashed);
    }

    function test_executeKeepsWhatOtherReportsHold() public {
        _completeBy(_session, 2);
        _reportOverclaim(_session, 1);
        vm.warp(START + 1);
        _reportEquivocation(_session);
        vm.warp(START + 14 days);
        slashing.executeSlash(_session, Evidence.Overclaim);
        assertEq(fab.balanceOf(renter), STAKE / 50);
        assertEq(fab.balanceOf(address(slashing)), STAKE * 2 / 5);
        _assertSlash(_session, Evidence.Equivocation, SlashStatus.Pending, START + 1 + 14 days, STAKE * 2 / 5);
    }

    // --- exits

    /// The rest of the stake leaves on its day, whatever is under appeal.
    function test_aPendingSlashHoldsUpNoExit() public {
        vm.prank(host);
        nodes.startUnbonding();
        vm.warp(START + 32 days - 1);
        _reportEquivocation(_session);
        vm.warp(START + 32 days);
        vm.prank(host);
        vm.expectEmit(address(nodes));
        emit INodeRegistry.StakeWithdrawn(host, STAKE / 2);
        nodes.withdrawStake();
        assertEq(fab.balanceOf(host), STAKE / 2);
        vm.warp(START + 46 days - 1);
        slashing.executeSlash(_session, Evidence.Equivocation);
        assertEq(fab.balanceOf(BURNED), STAKE * 9 / 20);
    }

    // --- inner

    // A call of its own: a refused constructor in the frame of a test would end the test there, and pass it.

    function makeSlashing(INodeRegistry nodes_, IJobMarketplace market_, address owner_)
        external
        returns (HostSlashing)
    {
        return new HostSlashing(nodes_, market_, owner_);
    }

    function _cancelRefused(Evidence evidence) private {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IHostSlashing.NotPending.selector, _idOf(_session), evidence));
        slashing.cancelSlash(_session, evidence);
    }

    function _executeRefused(Evidence evidence) private {
        vm.expectRevert(abi.encodeWithSelector(IHostSlashing.NotPending.selector, _idOf(_session), evidence));
        slashing.executeSlash(_session, evidence);
    }
}
