// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {CircuitBreaker} from "../src/CircuitBreaker.sol";
import {GovernanceToken} from "../src/GovernanceToken.sol";
import {JobBoard} from "../src/JobBoard.sol";
import {JobMarketplace} from "../src/JobMarketplace.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {ReputationSystem} from "../src/ReputationSystem.sol";
import {TestUsdc} from "../src/dev/TestUsdc.sol";
import {IProofSystem} from "../src/interfaces/IProofSystem.sol";
import {Offer, Price} from "../src/interfaces/INodeRegistry.sol";
import {
    Completion,
    PackedCompletion,
    Session,
    SessionStatus,
    SessionTerms,
    Voucher
} from "../src/interfaces/SessionTypes.sol";
import {ProofDouble} from "./mocks/ProofDouble.sol";

/// @title A deployed protocol with one host that serves one model for native coin and test dollars.
abstract contract Fixture is Test {
    address internal constant NATIVE = address(0);
    bytes32 internal constant MODEL = keccak256("weights");
    uint16 internal constant FEE_BPS = 250;
    uint96 internal constant STAKE = 1000e18;
    uint96 internal constant DEPOSIT = 0.1 ether;
    uint96 internal constant USDC_DEPOSIT = 20e6;
    uint256 internal constant START = 1_800_000_000;

    address internal owner = makeAddr("owner");
    address internal guardian = makeAddr("guardian");
    address internal treasury = makeAddr("treasury");
    address internal slasher = makeAddr("slasher");
    address internal host = makeAddr("host");
    address internal stranger = makeAddr("stranger");
    address internal renter;
    uint256 internal renterSecret;
    address internal voucherKey;
    uint256 internal voucherSecret;

    GovernanceToken internal fab;
    ModelRegistry internal models;
    NodeRegistry internal nodes;
    CircuitBreaker internal breaker;
    ReputationSystem internal reputation;
    ProofDouble internal proofs;
    JobBoard internal board;
    JobMarketplace internal market;
    TestUsdc internal usdc;

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1000);
        (renter, renterSecret) = makeAddrAndKey("renter");
        (voucherKey, voucherSecret) = makeAddrAndKey("voucher key");
        fab = new GovernanceToken(owner);
        models = new ModelRegistry(owner);
        address[] memory guardians = new address[](1);
        guardians[0] = guardian;
        breaker = new CircuitBreaker(owner, guardians);
        proofs = new ProofDouble();
        // Registry and reputation name the marketplace, which is made last and names them.
        address marketplace = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 3);
        nodes = new NodeRegistry(fab, models, marketplace, slasher, address(breaker));
        reputation = new ReputationSystem(marketplace);
        board = new JobBoard(nodes, IProofSystem(address(proofs)), reputation, address(breaker), owner);
        market = new JobMarketplace(nodes, board, owner, treasury, FEE_BPS);
        assertEq(address(market), marketplace, "the order of deployment");
        usdc = new TestUsdc();
        vm.prank(owner);
        models.approveModel(MODEL, "https://example.org/weights.gguf");
        _register(host, NATIVE, address(usdc));
        vm.deal(renter, 1000 ether);
        usdc.mint(renter, 1_000_000e6);
        vm.prank(renter);
        usdc.approve(address(market), type(uint256).max);
    }

    function _register(address who, address tokenA, address tokenB) internal {
        vm.prank(owner);
        fab.transfer(who, STAKE);
        Offer[] memory offers = new Offer[](tokenA == tokenB ? 1 : 2);
        offers[0] = _offer(MODEL, tokenA);
        if (tokenA != tokenB) offers[1] = _offer(MODEL, tokenB);
        vm.startPrank(who);
        fab.approve(address(nodes), type(uint256).max);
        nodes.registerNode(STAKE, "https://host.example.org", "eu-west", bytes32("metadata"), offers);
        vm.stopPrank();
    }

    function _offer(bytes32 model, address token) internal pure returns (Offer memory) {
        return Offer({model: model, token: token, price: Price({input: 1e6, output: 2e6})});
    }

    function _serveToken(address token) internal {
        Offer[] memory offers = new Offer[](1);
        offers[0] = _offer(MODEL, token);
        vm.prank(host);
        nodes.setOffers(offers);
    }

    function _terms(address token, uint96 deposit) internal view returns (SessionTerms memory) {
        return SessionTerms({
            host: host,
            renter: renter,
            token: token,
            deposit: deposit,
            expiry: uint40(START + 1 days),
            voucherKey: voucherKey,
            model: MODEL,
            salt: keccak256("salt")
        });
    }

    function _nativeTerms() internal view returns (SessionTerms memory) {
        return _terms(NATIVE, DEPOSIT);
    }

    function _usdcTerms() internal view returns (SessionTerms memory) {
        return _terms(address(usdc), USDC_DEPOSIT);
    }

    function _open(SessionTerms memory terms) internal returns (bytes32) {
        vm.prank(terms.renter);
        return market.createSessionJob{value: terms.token == NATIVE ? terms.deposit : 0}(terms);
    }

    function _close(SessionTerms memory terms, uint96 acknowledged) internal {
        vm.prank(terms.renter);
        market.requestSessionClose(terms, acknowledged);
    }

    function _idOf(SessionTerms memory terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    function _voucher(SessionTerms memory terms, uint96 amount) internal pure returns (Voucher memory) {
        return Voucher({sessionId: _idOf(terms), amount: amount, tokens: 1234, transcriptRoot: keccak256("transcript")});
    }

    /// @dev The digest by the EIP, not by the contract under test.
    function _digest(Voucher memory voucher, uint256 chainId, address verifier) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan"),
                keccak256("1"),
                chainId,
                verifier
            )
        );
        bytes32 typeHash = keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");
        bytes32 structHash =
            keccak256(abi.encode(typeHash, voucher.sessionId, voucher.amount, voucher.tokens, voucher.transcriptRoot));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function _signed(Voucher memory voucher) internal view returns (bytes memory) {
        return _sign(voucherSecret, _digest(voucher, block.chainid, address(market)));
    }

    /// @dev A completion whose voucher covers exactly the claim.
    function _completion(SessionTerms memory terms, uint96 claim) internal view returns (Completion memory) {
        Voucher memory voucher = _voucher(terms, claim);
        return Completion({terms: terms, voucher: voucher, signature: _signed(voucher), claim: claim});
    }

    /// @dev A completion without a voucher.
    function _bareCompletion(SessionTerms memory terms, uint96 claim) internal pure returns (Completion memory) {
        return Completion({terms: terms, voucher: Voucher(0, 0, 0, 0), signature: "", claim: claim});
    }

    /// @dev The same as an item of a batch; its signature is 65 bytes or none.
    function _packed(Completion memory completion) internal pure returns (PackedCompletion memory item) {
        SessionTerms memory terms = completion.terms;
        Voucher memory voucher = completion.voucher;
        item = PackedCompletion({
            renterDeposit: uint256(uint160(terms.renter)) << 96 | terms.deposit,
            token: terms.token,
            keyAmount: uint256(uint160(terms.voucherKey)) << 96 | voucher.amount,
            expiryTokensClaim: uint256(terms.expiry) << 160 | uint256(voucher.tokens) << 96 | completion.claim,
            model: terms.model,
            salt: terms.salt,
            transcriptRoot: voucher.transcriptRoot,
            r: 0,
            vs: 0
        });
        if (completion.signature.length == 0) return item;
        bytes memory signature = completion.signature;
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        uint8 v = uint8(signature[64]);
        (item.r, item.vs) = (r, bytes32(uint256(v - 27) << 255 | uint256(s)));
    }

    function _packed(Completion[] memory completions) internal pure returns (PackedCompletion[] memory items) {
        items = new PackedCompletion[](completions.length);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = _packed(completions[i]);
        }
    }

    function _feeOf(uint96 claim) internal pure returns (uint96) {
        return uint96(uint256(claim) * FEE_BPS / 10_000);
    }

    function _assertStatus(SessionTerms memory terms, SessionStatus expected) internal view {
        assertEq(uint8(market.sessions(_idOf(terms)).status), uint8(expected), "status");
    }
}
