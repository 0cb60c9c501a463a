// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Vm} from "forge-std/Vm.sol";
import {Governance} from "../src/Governance.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {IGovernance} from "../src/interfaces/IGovernance.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {ITimelock} from "../src/interfaces/ITimelock.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Timelock} from "../src/Timelock.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";
import {NoKeyInPower, Privilege} from "./NoKeyInPower.sol";

/// @title Deployed by constructors alone, governance leaves no key in power, not even for one block.
contract GovernanceDeploymentTest is GovernanceFixture, NoKeyInPower {
    bytes32 private constant ADMIN = 0;
    bytes32 private constant PROPOSER = keccak256("PROPOSER_ROLE");
    bytes32 private constant CANCELLER = keccak256("CANCELLER_ROLE");
    bytes32 private constant EXECUTOR = keccak256("EXECUTOR_ROLE");

    // --- constructors

    function test_timelockRefusesNoGovernor() public {
        vm.expectRevert(ITimelock.ZeroGovernor.selector);
        new Timelock(address(0));
    }

    function test_governorRefusesATimelockThatObeysAnother() public {
        Timelock others = new Timelock(stranger);
        vm.expectRevert(abi.encodeWithSelector(IGovernance.NotProposer.selector, address(others)));
        new Governance(fab, others);
    }

    function test_governorRefusesATokenWithAnotherClock() public {
        string memory mode = "mode=blocknumber&from=default";
        vm.mockCall(address(fab), abi.encodeCall(fab.CLOCK_MODE, ()), abi.encode(mode));
        vm.expectRevert(abi.encodeWithSelector(IGovernance.WrongClock.selector, mode));
        new Governance(fab, timelock);
    }

    function test_settings() public view {
        assertEq(governance.name(), "Capstan");
        assertEq(governance.CLOCK_MODE(), "mode=timestamp");
        assertEq(governance.clock(), block.timestamp);
        assertEq(address(governance.token()), address(fab));
        assertEq(governance.timelock(), address(timelock));
        assertEq(governance.votingDelay(), 1 days);
        assertEq(governance.votingPeriod(), 5 days);
        assertEq(governance.proposalThreshold(), 1_000_000e18);
        assertEq(governance.quorumNumerator(), 4);
        assertEq(governance.quorum(START), QUORUM);
        assertEq(governance.lateQuorumVoteExtension(), 2 days);
        assertEq(governance.MAX_VOTING_DELAY(), 2 days);
        assertEq(governance.MIN_VOTING_PERIOD(), 2 days);
        assertEq(governance.MAX_VOTING_PERIOD(), 7 days);
        assertEq(governance.MAX_LATE_QUORUM_EXTENSION(), 2 days);
        assertEq(governance.MAX_PROPOSAL_THRESHOLD(), fab.FIXED_SUPPLY() / 100);
        assertEq(governance.MIN_QUORUM(), 2);
        assertEq(governance.MAX_QUORUM(), 20);
        assertEq(timelock.DELAY(), 2 days);
        assertEq(timelock.getMinDelay(), 2 days);
        assertEq(governance.interfaceVersion(), keccak256("capstan.Governance.v1"));
        assertEq(timelock.interfaceVersion(), keccak256("capstan.Timelock.v1"));
    }

    /// What guardians may do again after a cooldown, governance can have taken from them before.
    function test_theSlowestDecisionIsFasterThanThePauseCooldown() public view {
        uint256 slowest = governance.MAX_VOTING_DELAY() + governance.MAX_VOTING_PERIOD()
            + governance.MAX_LATE_QUORUM_EXTENSION() + timelock.DELAY();
        assertEq(slowest, 13 days);
        assertLt(slowest, door.PAUSE_COOLDOWN());
    }

    // --- roles

    function test_rolesAreTheGovernorsAndTheTimelocksOnly() public view {
        assertTrue(timelock.hasRole(PROPOSER, address(governance)));
        assertTrue(timelock.hasRole(CANCELLER, address(governance)));
        assertTrue(timelock.hasRole(EXECUTOR, address(0)), "anybody executes");
        assertTrue(timelock.hasRole(ADMIN, address(timelock)));
        assertFalse(timelock.hasRole(ADMIN, address(governance)));
        assertFalse(timelock.hasRole(PROPOSER, address(0)));
        assertFalse(timelock.hasRole(CANCELLER, address(0)));
        assertEq(timelock.getRoleAdmin(PROPOSER), ADMIN);
        address[] memory keys = _keys();
        for (uint256 i = 0; i < keys.length; ++i) {
            assertFalse(timelock.hasRole(ADMIN, keys[i]));
            assertFalse(timelock.hasRole(PROPOSER, keys[i]));
            assertFalse(timelock.hasRole(CANCELLER, keys[i]));
            assertFalse(timelock.hasRole(EXECUTOR, keys[i]));
        }
    }

    /// A role that somebody held for a moment only would show here.
    function test_constructorGrantsFourRolesAndNoMore() public {
        vm.recordLogs();
        Timelock fresh = new Timelock(stranger);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        address[4] memory accounts = [address(fresh), stranger, stranger, address(0)];
        bytes32[4] memory roles = [ADMIN, PROPOSER, CANCELLER, EXECUTOR];
        uint256 granted;
        for (uint256 i = 0; i < logs.length; ++i) {
            assertNotEq(logs[i].topics[0], IAccessControl.RoleRevoked.selector);
            if (logs[i].topics[0] != IAccessControl.RoleGranted.selector) continue;
            assertEq(logs[i].topics[1], roles[granted]);
            assertEq(address(uint160(uint256(logs[i].topics[2]))), accounts[granted]);
            ++granted;
        }
        assertEq(granted, 4);
    }

    // --- nobody in power

    function test_noKeyIsInPower() public view {
        address[] memory contracts = _contractsOf(made);
        assertEq(contracts[0], address(fab));
        assertEq(contracts[contracts.length - 1], address(made.selfBatch));
        _requireNoKeyInPower(address(timelock), contracts, _keys());
    }

    function test_nobodyChangesTheDelay() public {
        address[] memory keys = _keys();
        for (uint256 i = 0; i < keys.length; ++i) {
            vm.prank(keys[i]);
            vm.expectRevert(ITimelock.DelayFixed.selector);
            timelock.updateDelay(0);
        }
        vm.prank(address(timelock));
        vm.expectRevert(ITimelock.DelayFixed.selector);
        timelock.updateDelay(3 days);
    }

    // --- the check itself

    function test_checkFindsAContractWithoutCode() public {
        _expectRefusal(stranger, abi.encodeWithSelector(NoCode.selector, stranger));
    }

    function test_checkFindsAKeyThatOwns() public {
        address owned = address(new ModelRegistry(deployer));
        _expectRefusal(owned, abi.encodeWithSelector(OwnerIsNotTimelock.selector, owned, deployer));
    }

    function test_checkFindsAnOwnerToCome() public {
        vm.prank(address(timelock));
        models.transferOwnership(stranger);
        _expectRefusal(address(models), abi.encodeWithSelector(OwnershipPending.selector, address(models), stranger));
    }

    function test_checkFindsAProxy() public {
        string[3] memory names = ["eip1967.proxy.implementation", "eip1967.proxy.admin", "eip1967.proxy.beacon"];
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 slot = bytes32(uint256(keccak256(bytes(names[i]))) - 1);
            vm.store(address(nodes), slot, bytes32(uint256(1)));
            _expectRefusal(address(nodes), abi.encodeWithSelector(UpgradeableProxy.selector, address(nodes)));
            vm.store(address(nodes), slot, 0);
        }
    }

    function test_checkFindsAKeyWithARole() public {
        bytes32[4] memory roles = [ADMIN, PROPOSER, CANCELLER, EXECUTOR];
        for (uint256 i = 0; i < roles.length; ++i) {
            vm.prank(address(timelock));
            timelock.grantRole(roles[i], guardian);
            _expectRefusal(
                address(timelock), abi.encodeWithSelector(KeyHoldsRole.selector, address(timelock), roles[i], guardian)
            );
            vm.prank(address(timelock));
            timelock.revokeRole(roles[i], guardian);
        }
    }

    function test_checkFindsAKeyThatIsAllowed() public {
        Privilege[] memory privileges = new Privilege[](1);
        privileges[0] = Privilege(address(fab), abi.encodeCall(fab.delegate, (stranger)), address(timelock));
        vm.expectRevert(abi.encodeWithSelector(KeyIsAllowed.selector, address(fab), fab.delegate.selector, _keys()[0]));
        this.checkPrivileges(privileges);
    }

    function test_checkFindsACallThatFailsForItsHolderToo() public {
        Privilege[] memory privileges = new Privilege[](1);
        privileges[0] = Privilege(address(timelock), abi.encodeCall(timelock.updateDelay, (1)), address(timelock));
        vm.expectRevert(
            abi.encodeWithSelector(
                HolderIsRefused.selector,
                address(timelock),
                timelock.updateDelay.selector,
                address(timelock),
                abi.encodeWithSelector(ITimelock.DelayFixed.selector)
            )
        );
        this.checkPrivileges(privileges);
    }

    function check(address[] memory targets) external view {
        _requireNoKeyInPower(address(timelock), targets, _keys());
    }

    function checkPrivileges(Privilege[] memory privileges) external {
        _requireOnlyHolders(privileges, _keys());
    }

    // --- inner

    function _expectRefusal(address target, bytes memory reason) private {
        address[] memory targets = new address[](1);
        targets[0] = target;
        vm.expectRevert(reason);
        this.check(targets);
    }

    /// Each contract that names another names the one beside it.
    function test_contractsBelongTogether() public {
        assertEq(address(nodes.STAKE_TOKEN()), address(fab));
        assertEq(address(nodes.MODELS()), address(models));
        assertEq(nodes.MARKETPLACE(), address(market));
        assertEq(nodes.SLASHER(), address(made.hostSlashing));
        assertEq(made.reputationSystem.MARKETPLACE(), address(market));
        assertEq(made.proofSystem.MARKETPLACE(), address(market));
        assertEq(address(market.NODES()), address(nodes));
        assertEq(market.BOARD(), address(made.jobBoard));
        assertEq(address(IJobs(address(market)).PROOFS()), address(made.proofSystem));
        assertEq(address(IJobs(address(market)).REPUTATION()), address(made.reputationSystem));
        assertEq(address(IJobs(address(market)).NODES()), address(nodes));
        assertEq(market.feeRecipient(), address(timelock));
        assertEq(market.feeBps(), 250);
        address[5] memory paused = [
            address(nodes),
            address(market),
            address(made.jobBoard),
            address(made.agentRegistry),
            address(made.relayManager)
        ];
        for (uint256 i = 0; i < paused.length; ++i) {
            assertEq(IEntryPause(paused[i]).CIRCUIT_BREAKER(), address(breaker));
        }
        assertEq(address(made.hostSlashing.NODES()), address(nodes));
        assertEq(address(made.hostSlashing.MARKET()), address(market));
        assertEq(address(made.relayManager.STAKE_TOKEN()), address(made.relayToken));
        assertEq(made.relayToken.balanceOf(holder), made.relayToken.totalSupply());
        assertEq(made.sessionAccount.ENTRY_POINT(), makeAddr("entry point"));
        assertEq(made.sessionAccount.MARKETPLACE(), address(market));
        assertEq(made.sessionAccountFactory.IMPLEMENTATION(), address(made.sessionAccount));
        assertEq(made.baseAccountIntegration.ENTRY_POINT(), makeAddr("entry point"));
        assertEq(made.baseAccountIntegration.MARKETPLACE(), address(market));
        assertEq(made.baseAccountIntegration.FACTORY(), address(made.sessionAccountFactory));
    }

    function _keys() private view returns (address[] memory keys) {
        keys = new address[](7);
        (keys[0], keys[1], keys[2], keys[3]) = (deployer, holder, guardian, treasury);
        (keys[4], keys[5], keys[6]) = (stranger, proposer, majority);
    }
}
