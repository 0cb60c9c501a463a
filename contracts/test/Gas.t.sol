// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {Fixture} from "./Fixture.sol";
import {Offer} from "../src/interfaces/INodeRegistry.sol";
import {Call, ISelfBatch} from "../src/interfaces/ISelfBatch.sol";
import {Completion, SessionTerms} from "../src/interfaces/SessionTypes.sol";
import {SelfBatch} from "../src/SelfBatch.sol";
import {Delegating} from "./mocks/Delegating.sol";

/// @title What each transaction costs, whole: 21,000 and calldata included, every slot and account cold.
/// @dev Written to snapshots/ and held to the budget. The protocol fee is on; renters exist and hold some of the
/// token already, as a refund to an empty account costs up to 25,000 more whoever pays it.
contract GasTest is Fixture, Delegating {
    string private constant MARKET = "JobMarketplace";
    string private constant REGISTRY = "NodeRegistry";
    string private constant SELF = "SelfBatch";
    uint256 private constant BATCH = 50;

    function _measured(string memory group, string memory name, uint256 budget) private {
        uint256 gasUsed = vm.snapshotGasLastCall(group, name);
        assertLe(gasUsed, budget, name);
    }

    function _salted(SessionTerms memory terms, uint256 salt) private pure returns (SessionTerms memory) {
        terms.salt = keccak256(abi.encode(salt));
        return terms;
    }

    /// @dev A session of before, so that host and protocol have been credited once.
    function _earlier(SessionTerms memory terms) private {
        terms = _salted(terms, 7777);
        _open(terms);
        Completion memory completion = _completion(terms, terms.deposit / 2);
        vm.prank(host);
        market.completeSessionJob(completion);
    }

    function test_openNative() public {
        _open(_nativeTerms());
        _measured(MARKET, "open_native", 65_000);
    }

    function test_openErc20() public {
        vm.prank(renter);
        usdc.approve(address(market), USDC_DEPOSIT);
        _open(_usdcTerms());
        _measured(MARKET, "open_erc20", 100_000);
        vm.prank(renter);
        usdc.approve(address(market), 2 * USDC_DEPOSIT);
        _open(_salted(_usdcTerms(), 1));
        _measured(MARKET, "open_erc20_next", 100_000);
    }

    function test_openPermit() public {
        _open(_salted(_usdcTerms(), 1));
        vm.prank(renter);
        usdc.approve(address(market), 0);
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, renter, address(market), USDC_DEPOSIT, 0, START + 1 hours));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(renterSecret, digest);
        SessionTerms memory terms = _usdcTerms();
        vm.prank(renter);
        market.createSessionJobWithPermit(terms, START + 1 hours, v, r, s);
        _measured(MARKET, "open_permit", 140_000);
    }

    function test_openAuthorization() public {
        _open(_salted(_usdcTerms(), 1));
        SessionTerms memory terms = _usdcTerms();
        bytes32 structHash = keccak256(
            abi.encode(
                usdc.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(),
                renter,
                address(market),
                USDC_DEPOSIT,
                0,
                START + 1 hours,
                _idOf(terms)
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(renterSecret, digest);
        vm.prank(stranger);
        market.createSessionJobWithAuthorization(terms, 0, START + 1 hours, v, r, s);
        _measured(MARKET, "open_authorization", 140_000);
    }

    function test_completeFirst() public {
        _measureComplete(_nativeTerms(), "complete_first", 95_000);
    }

    function test_completeFirstErc20() public {
        _measureComplete(_usdcTerms(), "complete_first_erc20", 95_000);
    }

    function test_complete() public {
        _earlier(_nativeTerms());
        _measureComplete(_nativeTerms(), "complete", 65_000);
    }

    function test_completeErc20() public {
        _earlier(_usdcTerms());
        _measureComplete(_usdcTerms(), "complete_erc20", 65_000);
    }

    function _measureComplete(SessionTerms memory terms, string memory name, uint256 budget) private {
        _open(terms);
        Completion memory completion = _completion(terms, terms.deposit / 2);
        vm.prank(host);
        market.completeSessionJob(completion);
        _measured(MARKET, name, budget);
    }

    function test_completeBatch() public {
        _earlier(_nativeTerms());
        _measureBatch(_nativeTerms(), BATCH, "complete_batch_50_each");
    }

    function test_completeBatchErc20() public {
        _earlier(_usdcTerms());
        _measureBatch(_usdcTerms(), BATCH, "complete_batch_50_each_erc20");
    }

    function test_completeBatchOfOneRenter() public {
        _earlier(_nativeTerms());
        _measureBatch(_nativeTerms(), 1, "complete_batch_50_each_one_renter");
    }

    function _measureBatch(SessionTerms memory shape, uint256 renters, string memory name) private {
        Completion[] memory completions = _openMany(shape, renters);
        vm.prank(host);
        market.completeSessionJobs(_packed(completions));
        _measuredEach(MARKET, name, 28_000);
    }

    /// The same closes by the code of an account that delegates, as if the marketplace had no batch.
    function test_selfBatch() public {
        (, uint256 hostSecret) = makeAddrAndKey("host");
        _delegate(address(new SelfBatch()), hostSecret);
        _earlier(_nativeTerms());
        _measureSelfBatch(_nativeTerms(), "self_batch_50_each");
        _earlier(_usdcTerms());
        _measureSelfBatch(_usdcTerms(), "self_batch_50_each_erc20");
    }

    function _measureSelfBatch(SessionTerms memory shape, string memory name) private {
        Completion[] memory completions = _openMany(shape, BATCH);
        Call[] memory calls = new Call[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            calls[i] = Call(address(market), 0, abi.encodeCall(market.completeSessionJob, (completions[i])));
        }
        vm.prank(host);
        ISelfBatch(host).execute(calls);
        _measuredEach(SELF, name, 36_000);
    }

    function _measuredEach(string memory group, string memory name, uint256 budget) private {
        uint256 each = vm.lastCallGas().gasTotalUsed / BATCH;
        vm.snapshotValue(group, name, each);
        assertLe(each, budget, name);
    }

    /// @dev The sessions take turns over so many renters, none of whom is warm.
    function _openMany(SessionTerms memory shape, uint256 renters) private returns (Completion[] memory completions) {
        completions = new Completion[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            address payer = makeAddr(string.concat("renter ", vm.toString(i % renters)));
            vm.deal(payer, 1 ether);
            usdc.mint(payer, 100e6);
            vm.prank(payer);
            usdc.approve(address(market), type(uint256).max);
            SessionTerms memory terms = abi.decode(abi.encode(shape), (SessionTerms));
            terms.renter = payer;
            terms.salt = keccak256(abi.encode(i));
            _open(terms);
            completions[i] = _completion(terms, terms.deposit / 2);
        }
    }

    function test_topUp() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.prank(renter);
        market.topUp{value: 1 ether}(terms, 1 ether);
        _measured(MARKET, "top_up", 45_000);
    }

    function test_closeByRenter() public {
        _earlier(_nativeTerms());
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        _close(terms, DEPOSIT / 2);
        _measured(MARKET, "request_close", 45_000);
        vm.warp(START + 1 hours);
        vm.prank(stranger);
        market.finalizeSession(terms);
        _measured(MARKET, "finalize", 65_000);
    }

    function test_timeout() public {
        SessionTerms memory terms = _nativeTerms();
        _open(terms);
        vm.warp(terms.expiry + market.TIMEOUT_GRACE());
        vm.prank(stranger);
        market.triggerSessionTimeout(terms);
        _measured(MARKET, "timeout", 65_000);
    }

    function test_withdraw() public {
        _earlier(_nativeTerms());
        _earlier(_usdcTerms());
        vm.deal(host, 1 ether);
        usdc.mint(host, 1);
        vm.prank(host);
        market.withdraw(NATIVE, host);
        _measured(MARKET, "withdraw", 45_000);
        vm.prank(host);
        market.withdraw(address(usdc), host);
        _measured(MARKET, "withdraw_erc20", 55_000);
    }

    function test_register() public {
        address newcomer = makeAddr("newcomer");
        vm.prank(owner);
        fab.transfer(newcomer, 2 * STAKE);
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, NATIVE);
        vm.prank(newcomer);
        fab.approve(address(nodes), STAKE);
        vm.prank(newcomer);
        nodes.registerNode(STAKE, "https://host.example.org", "eu-west", bytes32("metadata"), offers);
        _measured(REGISTRY, "register", 115_000);
    }
}
