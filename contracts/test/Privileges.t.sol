// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IEntryPause} from "../src/interfaces/IEntryPause.sol";
import {Evidence, Receipt as HostReceipt} from "../src/interfaces/IHostSlashing.sol";
import {IJobs} from "../src/interfaces/IJobs.sol";
import {JobTerms} from "../src/interfaces/JobTypes.sol";
import {Offer, Price} from "../src/interfaces/INodeRegistry.sol";
import {Circuit} from "../src/interfaces/IProofSystem.sol";
import {Completion, SessionTerms, Voucher} from "../src/interfaces/SessionTypes.sol";
import {GovernanceFixture} from "./GovernanceFixture.sol";
import {FakeVerifier} from "./mocks/FakeVerifier.sol";
import {NoKeyInPower, Privilege} from "./NoKeyInPower.sol";

/// @title Every function of the deployed protocol that not everybody may call: its holder may, and no key.
/// @dev What the governor may do to itself is not here: it goes by a proposal only (GovernanceDecisions). Nor is what
/// belongs to a party, such as a session's host or an account's owner.
contract PrivilegesTest is GovernanceFixture, NoKeyInPower {
    bytes32 private constant MODEL = keccak256("weights");
    address private constant NATIVE = address(0);

    address private host;
    uint256 private hostSecret;
    address private renter = makeAddr("renter");
    Privilege[] private _privileges;

    function setUp() public override {
        super.setUp();
        (host, hostSecret) = makeAddrAndKey("host");
        vm.deal(renter, 10 ether);
        vm.prank(address(timelock));
        models.approveModel(MODEL, "");
        vm.prank(holder);
        fab.transfer(host, 1000e18);
        Offer[] memory offers = new Offer[](1);
        offers[0] = Offer(MODEL, NATIVE, Price(1, 1));
        vm.startPrank(host);
        fab.approve(address(nodes), 1000e18);
        nodes.registerNode(1000e18, "https://host.example.org", "", 0, offers);
        vm.stopPrank();
    }

    function test_ownership() public {
        address[] memory contracts = _contractsOf(made);
        uint256 owned;
        for (uint256 i = 0; i < contracts.length; ++i) {
            (bool found,) = contracts[i].staticcall(abi.encodeCall(Ownable.owner, ()));
            // The code of session accounts answers too: nobody.
            if (!found || Ownable(contracts[i]).owner() == address(0)) continue;
            ++owned;
            _timelocks(contracts[i], abi.encodeCall(Ownable.transferOwnership, (stranger)));
            _timelocks(contracts[i], abi.encodeCall(Ownable.renounceOwnership, ()));
        }
        // Breaker, models, proofs, board, marketplace, slashing, relays, paymaster.
        assertEq(owned, 8);
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_marketplace() public {
        JobTerms memory disputed = _disputedJob();
        address[] memory hosts = new address[](1);
        hosts[0] = _hostWithFees();
        address[2] memory targets = [address(market), address(made.jobBoard)];
        for (uint256 i = 0; i < 2; ++i) {
            _timelocks(targets[i], abi.encodeCall(market.setFeeBps, (1)));
            _timelocks(targets[i], abi.encodeCall(market.setFeeRecipient, (stranger)));
        }
        _timelocks(address(market), abi.encodeCall(market.withdrawFees, (NATIVE, hosts, address(timelock))));
        _timelocks(address(market), abi.encodeCall(IJobs.resolveJob, (disputed, 0)));
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_whatTheMarketplaceTellsOthers() public {
        bytes32 circuit = _circuit();
        bytes32 binding = made.proofSystem.bindingOf("job", circuit, MODEL);
        uint256[] memory instances = new uint256[](4);
        (instances[0], instances[1], instances[2], instances[3]) =
        (7, uint256(binding) >> 128, uint128(uint256(binding)), 9);
        bytes32 input = keccak256(abi.encode(instances[0]));
        bytes32 result = keccak256(abi.encode(instances[3]));
        bytes memory proof = abi.encode(bytes("snark"), instances);
        _add(
            address(made.proofSystem),
            abi.encodeCall(made.proofSystem.consume, (circuit, MODEL, "job", input, result, proof)),
            address(market)
        );
        _add(address(nodes), abi.encodeCall(nodes.admitClaim, (host, MODEL, NATIVE)), address(market));
        _add(
            address(made.reputationSystem),
            abi.encodeCall(made.reputationSystem.recordFault, (host, NATIVE, 1)),
            address(market)
        );
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_modelsAndCircuits() public {
        bytes32 circuit = _circuit();
        Circuit memory another = made.proofSystem.getCircuit(circuit);
        another.binding = 4;
        bytes32 id = made.proofSystem.circuitId(another);
        _timelocks(address(models), abi.encodeCall(models.approveModel, ("another", "")));
        _timelocks(address(models), abi.encodeCall(models.revokeModel, (MODEL)));
        _timelocks(address(made.proofSystem), abi.encodeCall(made.proofSystem.registerCircuit, (id, another)));
        _timelocks(address(made.proofSystem), abi.encodeCall(made.proofSystem.retireCircuit, (circuit)));
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_slashing() public {
        SessionTerms memory terms = _open("slashed");
        (HostReceipt memory first, HostReceipt memory second) = (_receipt(terms, 1), _receipt(terms, 2));
        made.hostSlashing.reportEquivocation(terms, first, _signed(first), second, _signed(second));
        _timelocks(
            address(made.hostSlashing), abi.encodeCall(made.hostSlashing.cancelSlash, (terms, Evidence.Equivocation))
        );
        _add(address(nodes), abi.encodeCall(nodes.slash, (host, 1, stranger)), address(made.hostSlashing));
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_pauses() public {
        address[] memory targets = new address[](1);
        targets[0] = address(door);
        vm.prank(guardian);
        breaker.pause(targets);
        _timelocks(address(breaker), abi.encodeCall(breaker.resume, (targets)));
        _add(address(door), abi.encodeCall(IEntryPause.resumeEntry, ()), address(breaker));
        targets[0] = address(market);
        _add(address(breaker), abi.encodeCall(breaker.pause, (targets)), guardian);
        _timelocks(address(breaker), abi.encodeCall(breaker.setGuardian, (stranger, true)));
        address[5] memory paused = [
            address(nodes),
            address(market),
            address(made.jobBoard),
            address(made.agentRegistry),
            address(made.relayManager)
        ];
        for (uint256 i = 0; i < paused.length; ++i) {
            _add(paused[i], abi.encodeCall(IEntryPause.pauseEntry, ()), address(breaker));
        }
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_relaysAndPaymaster() public {
        address entryPoint = made.baseAccountIntegration.ENTRY_POINT();
        vm.mockCall(entryPoint, abi.encodeWithSignature("unlockStake()"), "");
        vm.mockCall(entryPoint, abi.encodeWithSignature("withdrawStake(address)", stranger), "");
        _timelocks(address(made.relayManager), abi.encodeCall(made.relayManager.setMachineCap, (1)));
        _timelocks(address(made.baseAccountIntegration), abi.encodeCall(made.baseAccountIntegration.unlockStake, ()));
        _timelocks(
            address(made.baseAccountIntegration),
            abi.encodeCall(made.baseAccountIntegration.withdrawStake, (payable(stranger)))
        );
        _requireOnlyHolders(_privileges, _keys());
    }

    function test_timelock() public {
        bytes32 role = timelock.PROPOSER_ROLE();
        _timelocks(address(timelock), abi.encodeCall(timelock.grantRole, (role, stranger)));
        _timelocks(address(timelock), abi.encodeCall(timelock.revokeRole, (role, address(governance))));
        vm.prank(address(governance));
        timelock.schedule(stranger, 0, "", 0, 0, TIMELOCK_DELAY);
        bytes32 waiting = timelock.hashOperation(stranger, 0, "", 0, 0);
        address rules = address(governance);
        _add(address(timelock), abi.encodeCall(timelock.cancel, (waiting)), rules);
        _add(address(timelock), abi.encodeCall(timelock.schedule, (stranger, 0, "", 0, "s", TIMELOCK_DELAY)), rules);
        address[] memory targets = new address[](1);
        uint256[] memory values = new uint256[](1);
        bytes[] memory calls = new bytes[](1);
        _add(
            address(timelock),
            abi.encodeCall(timelock.scheduleBatch, (targets, values, calls, 0, 0, TIMELOCK_DELAY)),
            rules
        );
        _requireOnlyHolders(_privileges, _keys());
    }

    // --- inner

    function _add(address target, bytes memory call, address who) private {
        _privileges.push(Privilege(target, call, who));
    }

    function _timelocks(address target, bytes memory call) private {
        _add(target, call, address(timelock));
    }

    function _keys() private view returns (address[] memory keys) {
        keys = new address[](9);
        (keys[0], keys[1], keys[2], keys[3]) = (deployer, holder, guardian, treasury);
        (keys[4], keys[5], keys[6]) = (stranger, proposer, majority);
        (keys[7], keys[8]) = (host, renter);
    }

    /// @dev Registered, its input and output one instance each, of a verifier that takes anything.
    function _circuit() private returns (bytes32 id) {
        Circuit memory description = Circuit(address(new FakeVerifier()), MODEL, 1, 2, 1);
        id = made.proofSystem.circuitId(description);
        vm.prank(address(timelock));
        made.proofSystem.registerCircuit(id, description);
    }

    function _disputedJob() private returns (JobTerms memory terms) {
        IJobs board = IJobs(address(market));
        terms = JobTerms(renter, NATIVE, NATIVE, 1 ether, uint40(block.timestamp + 1 days), MODEL, 0, 0, NATIVE, 0);
        vm.prank(renter);
        board.createJob{value: 1 ether}(terms);
        vm.startPrank(host);
        board.claimJob(terms, 10_000);
        board.completeJob(terms, "result", "");
        vm.stopPrank();
        vm.prank(renter);
        board.disputeJob{value: 0.1 ether}(terms);
    }

    function _hostWithFees() private returns (address) {
        SessionTerms memory terms = _open("paid");
        vm.prank(renter);
        market.requestSessionClose(terms, 1 ether);
        vm.prank(host);
        market.completeSessionJob(Completion(terms, Voucher(0, 0, 0, 0), "", 1 ether));
        return host;
    }

    function _open(bytes32 salt) private returns (SessionTerms memory terms) {
        terms = SessionTerms(host, renter, NATIVE, 1 ether, uint40(block.timestamp + 1 days), renter, MODEL, salt);
        vm.prank(renter);
        market.createSessionJob{value: 1 ether}(terms);
    }

    function _receipt(SessionTerms memory terms, uint96 amount) private pure returns (HostReceipt memory) {
        return HostReceipt(keccak256(abi.encode(terms)), amount, 1, "root", false);
    }

    function _signed(HostReceipt memory receipt) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(hostSecret, made.hostSlashing.receiptDigest(receipt));
        return abi.encodePacked(r, s, v);
    }
}
