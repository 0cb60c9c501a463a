// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {JobBoard} from "../../src/JobBoard.sol";
import {JobMarketplace} from "../../src/JobMarketplace.sol";
import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {IProofSystem} from "../../src/interfaces/IProofSystem.sol";
import {IReputationSystem} from "../../src/interfaces/IReputationSystem.sol";
import {
    Completion,
    PackedCompletion,
    Session,
    SessionStatus,
    SessionTerms,
    Voucher
} from "../../src/interfaces/SessionTypes.sol";

/// @dev A registry in which everybody serves everything: who may open is not the subject here.
contract EverybodyServes {
    uint40 public constant UNBONDING_DELAY = 365 days;

    function isServing(address, bytes32, address) external pure returns (bool) {
        return true;
    }
}

/// @title Which completions are paid, and that the money adds up, proven for all amounts and signatures.
/// @dev Functions named `check_` are read by a symbolic executor (`cargo xtask contracts-symbolic`). A session gets
/// into its state through the entry points, so every case is one that can happen. Who signed is what `ecrecover`
/// says, whatever that is: a proof holds for each of its possible answers.
contract SettlementSymbolicTest is Test {
    address private constant NATIVE = address(0);
    address private constant OWNER = address(0xA001);
    address private constant TREASURY = address(0xA002);
    address private constant HOST = address(0xA003);
    address private constant RENTER = address(0xA004);
    address private constant VOUCHER_KEY = address(0xA005);
    address private constant PURSE = address(0xA006);
    /// What fees there can be is PackedSession's subject; with a fixed one the solver need not multiply unknowns.
    uint16 private constant FEE_BPS = 250;
    uint256 private constant RICHES = 1 << 100;
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    JobMarketplace private _market;

    /// @dev How a session came to be what it is when the host wants to be paid.
    struct History {
        uint96 deposit;
        uint96 topUp;
        /// The renter asked to close, and acknowledged this much.
        bool closing;
        uint96 acknowledged;
    }

    /// @dev What the host sends.
    struct Claim {
        uint96 claim;
        uint96 voucherAmount;
        uint64 tokens;
        bytes32 transcriptRoot;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    function setUp() public {
        vm.warp(1_800_000_000);
        INodeRegistry nodes = INodeRegistry(address(new EverybodyServes()));
        // Sessions ask neither proofs nor reputation nor, unless they are opened, the circuit breaker.
        JobBoard board = new JobBoard(nodes, IProofSystem(OWNER), IReputationSystem(OWNER), OWNER, OWNER);
        _market = new JobMarketplace(nodes, board, OWNER, TREASURY, FEE_BPS);
        vm.deal(RENTER, RICHES);
    }

    function check_aCompletionIsPaidExactlyIfOwed(History calldata history, Claim calldata claim, bool isSigned)
        external
    {
        (SessionTerms memory terms, uint96 total, uint96 presented) = _play(history);
        bytes memory signature = isSigned ? abi.encodePacked(claim.r, claim.s, claim.v) : bytes("");
        Voucher memory voucher = _voucher(terms, claim);
        Completion memory completion =
            Completion({terms: terms, voucher: voucher, signature: signature, claim: claim.claim});

        vm.prank(HOST);
        (bool paid,) = address(_market).call(abi.encodeCall(_market.completeSessionJob, (completion)));

        bool signed = isSigned && _isSigned(voucher, claim.v, claim.r, claim.s);
        assert(paid == _isOwed(claim, total, presented, isSigned, signed));
        _assertMoney(terms, paid, total, claim.claim);
    }

    function check_anItemOfABatchIsPaidExactlyIfOwed(History calldata history, Claim calldata claim, bytes32 vs)
        external
    {
        (SessionTerms memory terms, uint96 total, uint96 presented) = _play(history);
        PackedCompletion[] memory batch = new PackedCompletion[](1);
        batch[0] = PackedCompletion({
            renterDeposit: uint256(uint160(RENTER)) << 96 | terms.deposit,
            token: NATIVE,
            keyAmount: uint256(uint160(VOUCHER_KEY)) << 96 | claim.voucherAmount,
            expiryTokensClaim: uint256(terms.expiry) << 160 | uint256(claim.tokens) << 96 | claim.claim,
            model: terms.model,
            salt: terms.salt,
            transcriptRoot: claim.transcriptRoot,
            r: claim.r,
            vs: vs
        });

        vm.prank(HOST);
        _market.completeSessionJobs(batch);

        bool paid = _market.sessions(_idOf(terms)).status == SessionStatus.Closed;
        bool isSigned = claim.r != 0 || vs != 0;
        uint8 v = uint256(vs) >> 255 == 0 ? 27 : 28;
        // Asked in any case, for what it assumes.
        bool signed = _isSigned(_voucher(terms, claim), v, claim.r, bytes32(uint256(vs) & type(uint256).max >> 1));
        assert(paid == _isOwed(claim, total, presented, isSigned, signed));
        _assertMoney(terms, paid, total, claim.claim);
    }

    function check_aVoucherIsPresentedExactlyIfSignedAndHigher(History calldata history, Claim calldata claim)
        external
    {
        (SessionTerms memory terms, uint96 total, uint96 presented) = _play(history);
        Voucher memory voucher = _voucher(terms, claim);
        bytes memory signature = abi.encodePacked(claim.r, claim.s, claim.v);
        (bool taken,) = address(_market).call(abi.encodeCall(_market.presentVoucher, (terms, voucher, signature)));

        uint96 amount = claim.voucherAmount < total ? claim.voucherAmount : total;
        bool signed = _isSigned(voucher, claim.v, claim.r, claim.s);
        assert(taken == (history.closing && signed && amount > presented));
        assert(_market.sessions(_idOf(terms)).presented == (taken ? amount : presented));
    }

    /// After a renter's close and its challenge window everything can leave, and then nothing is left.
    function check_everybodyLeavesAndNothingStaysBehind(History calldata history) external {
        vm.assume(history.closing);
        (SessionTerms memory terms, uint96 total,) = _play(history);
        vm.warp(block.timestamp + _market.CHALLENGE_WINDOW());
        _market.finalizeSession(terms);
        _assertMoney(terms, true, total, history.acknowledged);

        uint256 earned = _market.balanceOf(HOST, NATIVE);
        uint256 fees = _market.feesOf(HOST, NATIVE);
        if (earned != 0) {
            vm.prank(HOST);
            assert(_market.withdraw(NATIVE, PURSE) == earned);
        }
        assert(PURSE.balance == earned);
        assert(_market.balanceOf(HOST, NATIVE) == 0);
        assert(_market.feesOf(HOST, NATIVE) == fees);
        if (fees != 0) {
            address[] memory hosts = new address[](1);
            hosts[0] = HOST;
            vm.prank(TREASURY);
            assert(_market.withdrawFees(NATIVE, hosts, PURSE) == fees);
        }
        assert(_market.feesOf(HOST, NATIVE) == 0);
        assert(address(_market).balance == 0);
    }

    function _play(History calldata history)
        private
        returns (SessionTerms memory terms, uint96 total, uint96 presented)
    {
        terms = SessionTerms({
            host: HOST,
            renter: RENTER,
            token: NATIVE,
            deposit: history.deposit,
            expiry: uint40(block.timestamp + 1 days),
            voucherKey: VOUCHER_KEY,
            model: keccak256("weights"),
            salt: keccak256("salt")
        });
        vm.assume(history.deposit != 0 && uint256(history.deposit) + history.topUp <= type(uint96).max);
        total = history.deposit + history.topUp;
        vm.prank(RENTER);
        _market.createSessionJob{value: history.deposit}(terms);
        if (history.topUp != 0) {
            vm.prank(RENTER);
            _market.topUp{value: history.topUp}(terms, history.topUp);
        }
        if (history.closing) {
            vm.assume(history.acknowledged <= total);
            presented = history.acknowledged;
            vm.prank(RENTER);
            _market.requestSessionClose(terms, presented);
        }
    }

    /// @dev The rule in words: no more than was put in, no less than is on chain already, and what is above that,
    /// or shown with a signature, is signed for.
    function _isOwed(Claim calldata claim, uint96 total, uint96 presented, bool isSigned, bool signed)
        private
        pure
        returns (bool)
    {
        if (claim.claim > total || claim.claim < presented) return false;
        if (!isSigned) return claim.claim == presented;
        return signed && claim.claim <= claim.voucherAmount;
    }

    function _assertMoney(SessionTerms memory terms, bool paid, uint96 total, uint96 claim) private view {
        uint256 earned = _market.balanceOf(HOST, NATIVE);
        uint256 fees = _market.feesOf(HOST, NATIVE);
        uint256 refund = RENTER.balance + _market.balanceOf(RENTER, NATIVE) + total - RICHES;
        Session memory session = _market.sessions(_idOf(terms));
        if (!paid) {
            assert(earned == 0 && fees == 0 && refund == 0);
            assert(session.status != SessionStatus.Closed && address(_market).balance == total);
            return;
        }
        assert(session.status == SessionStatus.Closed && session.presented == claim);
        assert(earned + fees == claim && refund == total - claim);
    }

    function _voucher(SessionTerms memory terms, Claim calldata claim) private pure returns (Voucher memory) {
        return Voucher({
            sessionId: _idOf(terms),
            amount: claim.voucherAmount,
            tokens: claim.tokens,
            transcriptRoot: claim.transcriptRoot
        });
    }

    /// @dev Computed by the EIP and not by the contract that is proven.
    function _isSigned(Voucher memory voucher, uint8 v, bytes32 r, bytes32 s) private view returns (bool) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan"),
                keccak256("1"),
                block.chainid,
                address(_market)
            )
        );
        bytes32 typeHash = keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");
        bytes32 structHash = keccak256(abi.encode(typeHash, voucher));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        address signer = ecrecover(digest, v, r, s);
        // The one thing about recovery that the rules rest on: zeros are nobody's signature.
        if (r == 0 && s == 0) vm.assume(signer == address(0));
        return uint256(s) <= HALF_ORDER && signer == VOUCHER_KEY;
    }

    function _idOf(SessionTerms memory terms) private pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }
}
