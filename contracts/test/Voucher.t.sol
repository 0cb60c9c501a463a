// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {JobMarketplace} from "../src/JobMarketplace.sol";
import {Fixture} from "./Fixture.sol";
import {IJobMarketplace} from "../src/interfaces/IJobMarketplace.sol";
import {Completion, SessionStatus, SessionTerms, Voucher} from "../src/interfaces/SessionTypes.sol";
import {ContractKey} from "./mocks/ContractKey.sol";

/// @title Who may sign a voucher, and how.
contract VoucherTest is Fixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    SessionTerms private _session;

    function setUp() public override {
        super.setUp();
        _session = _nativeTerms();
        _open(_session);
    }

    function test_digestFollowsTheEip(Voucher calldata voucher) public view {
        assertEq(market.voucherDigest(voucher), _digest(voucher, block.chainid, address(market)));
    }

    /// The domain is what wallets and other languages are built against: fixed text, no salt.
    function test_domainIsPublished() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier,,) =
            market.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Capstan");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(market));
    }

    function test_refusesOtherChain() public {
        Voucher memory voucher = _voucher(_session, 1);
        _refusedSignature(_sign(voucherSecret, _digest(voucher, block.chainid + 1, address(market))));
    }

    function test_refusesOtherContract() public {
        JobMarketplace other = new JobMarketplace(nodes, board, owner, treasury, FEE_BPS);
        Voucher memory voucher = _voucher(_session, 1);
        _refusedSignature(_sign(voucherSecret, other.voucherDigest(voucher)));
    }

    function test_refusesOtherDomainName() public {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Fabstir"),
                keccak256("1"),
                block.chainid,
                address(market)
            )
        );
        Voucher memory voucher = _voucher(_session, 1);
        bytes32 typeHash = keccak256("Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)");
        bytes32 structHash = keccak256(abi.encode(typeHash, voucher));
        _refusedSignature(_sign(voucherSecret, keccak256(abi.encodePacked(hex"1901", domain, structHash))));
    }

    /// The signature follows the chain: on a fork with another id, the old one is worth nothing.
    function test_refusesAfterTheChainIdChanged() public {
        bytes memory signature = _signed(_voucher(_session, 1));
        vm.chainId(block.chainid + 1);
        _refusedSignature(signature);
    }

    function test_refusesOtherSigners() public {
        bytes32 digest = _digest(_voucher(_session, 1), block.chainid, address(market));
        _refusedSignature(_sign(renterSecret, digest));
    }

    function test_refusesHighS() public {
        Voucher memory voucher = _voucher(_session, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(voucherSecret, _digest(voucher, block.chainid, address(market)));
        bytes32 highS = bytes32(ORDER - uint256(s));
        _refusedSignature(abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)));
        _accepted(abi.encodePacked(r, s, v));
    }

    function test_refusesOtherLengths(bytes calldata signature) public {
        vm.assume(signature.length != 65);
        _refusedSignature(signature);
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(voucherSecret, _digest(_voucher(_session, 1), block.chainid, address(market)));
        _refusedSignature(abi.encodePacked(r, s));
        _refusedSignature(abi.encodePacked(r, s, v, uint8(0)));
        // EIP-2098 short form: one voucher, one encoding.
        _refusedSignature(abi.encodePacked(r, bytes32(uint256(s) | (uint256(v) - 27) << 255)));
    }

    function test_refusesEveryChangedField() public {
        bytes memory signature = _signed(_voucher(_session, 1));
        Completion memory completion = _completion(_session, 1);
        completion.signature = signature;
        completion.voucher.amount = 2;
        _refused(completion);
        completion.voucher.amount = 1;
        completion.voucher.tokens += 1;
        _refused(completion);
        completion.voucher.tokens -= 1;
        completion.voucher.transcriptRoot = 0;
        _refused(completion);
    }

    function test_contractKeySignsByErc1271() public {
        (ContractKey key, SessionTerms memory terms) = _contractKey();
        bytes32 digest = market.voucherDigest(_voucher(terms, 1));
        _refusedWith(terms, "open sesame");
        key.accept(digest, "open sesame");
        _acceptedWith(terms, "open sesame");
    }

    /// An empty signature is one that a contract may accept, for a digest it approved beforehand.
    function test_contractKeyMayAcceptAnEmptySignature() public {
        (ContractKey key, SessionTerms memory terms) = _contractKey();
        key.accept(market.voucherDigest(_voucher(terms, 1)), "");
        _acceptedWith(terms, "");
    }

    function test_contractKeyThatMisbehavesSignsNothing() public {
        (ContractKey key, SessionTerms memory terms) = _contractKey();
        key.accept(market.voucherDigest(_voucher(terms, 1)), "x");
        for (uint8 mode = uint8(ContractKey.Mode.WrongWord); mode <= uint8(ContractKey.Mode.ReturnBomb); ++mode) {
            key.setMode(ContractKey.Mode(mode));
            _refusedWith(terms, "x");
        }
        key.setMode(ContractKey.Mode.Honest);
        _acceptedWith(terms, "x");
    }

    /// EIP-7702: an account whose key signs as before although code was attached to it.
    function test_keyWithCodeStillSignsByEcdsa() public {
        bytes memory signature = _signed(_voucher(_session, 1));
        vm.etch(voucherKey, hex"ef0100ffffffffffffffffffffffffffffffffffffffff");
        _accepted(signature);
    }

    function _contractKey() private returns (ContractKey key, SessionTerms memory terms) {
        key = new ContractKey();
        terms = _session;
        terms.voucherKey = address(key);
        _open(terms);
    }

    function _refusedSignature(bytes memory signature) private {
        // The same rule at both places that take a voucher.
        if (signature.length != 0) _refusedWith(_session, signature);
        uint256 snapshot = vm.snapshotState();
        _close(_session, 0);
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.presentVoucher(_session, _voucher(_session, 1), signature);
        vm.revertToState(snapshot);
    }

    function _refusedWith(SessionTerms memory terms, bytes memory signature) private {
        _refused(Completion({terms: terms, voucher: _voucher(terms, 1), signature: signature, claim: 1}));
    }

    function _refused(Completion memory completion) private {
        vm.prank(host);
        vm.expectRevert(IJobMarketplace.BadSignature.selector);
        market.completeSessionJob(completion);
    }

    function _accepted(bytes memory signature) private {
        _acceptedWith(_session, signature);
    }

    function _acceptedWith(SessionTerms memory terms, bytes memory signature) private {
        vm.prank(host);
        market.completeSessionJob(
            Completion({terms: terms, voucher: _voucher(terms, 1), signature: signature, claim: 1})
        );
        _assertStatus(terms, SessionStatus.Closed);
    }
}
