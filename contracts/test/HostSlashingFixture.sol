// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Fixture} from "./Fixture.sol";
import {HostSlashing} from "../src/HostSlashing.sol";
import {Evidence, Receipt as HostReceipt, Slash, SlashStatus} from "../src/interfaces/IHostSlashing.sol";
import {SessionTerms} from "../src/interfaces/SessionTypes.sol";

/// @title The protocol with its slasher, and a host that signs receipts.
abstract contract HostSlashingFixture is Fixture {
    address internal constant BURNED = 0x000000000000000000000000000000000000dEaD;

    HostSlashing internal slashing;
    uint256 internal hostSecret;

    function setUp() public virtual override {
        super.setUp();
        (, hostSecret) = makeAddrAndKey("host");
        deployCodeTo("HostSlashing.sol:HostSlashing", abi.encode(nodes, market, owner), slasher);
        slashing = HostSlashing(slasher);
    }

    function _receipt(SessionTerms memory terms, uint96 amount, bool last) internal pure returns (HostReceipt memory) {
        return HostReceipt({
            sessionId: _idOf(terms), amount: amount, tokens: 1234, transcriptRoot: keccak256("transcript"), last: last
        });
    }

    /// @dev The digest by the EIP, not by the contract under test.
    function _receiptDigest(HostReceipt memory receipt, uint256 chainId, address verifier)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Capstan"),
                keccak256("1"),
                chainId,
                verifier
            )
        );
        bytes32 typeHash =
            keccak256("Receipt(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot,bool last)");
        bytes32 structHash = keccak256(
            abi.encode(
                typeHash, receipt.sessionId, receipt.amount, receipt.tokens, receipt.transcriptRoot, receipt.last
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _byHost(HostReceipt memory receipt) internal view returns (bytes memory) {
        return _sign(hostSecret, _receiptDigest(receipt, block.chainid, address(market)));
    }

    /// @dev Two receipts of the host that cannot both be true, reported by a stranger.
    function _reportEquivocation(SessionTerms memory terms) internal {
        HostReceipt memory first = _receipt(terms, 1, false);
        HostReceipt memory second = _receipt(terms, 2, false);
        bytes memory firstSignature = _byHost(first);
        bytes memory secondSignature = _byHost(second);
        vm.prank(stranger);
        slashing.reportEquivocation(terms, first, firstSignature, second, secondSignature);
    }

    /// @dev The host's last receipt over `amount`, reported by a stranger.
    function _reportOverclaim(SessionTerms memory terms, uint96 amount) internal {
        HostReceipt memory receipt = _receipt(terms, amount, true);
        bytes memory signature = _byHost(receipt);
        vm.prank(stranger);
        slashing.reportOverclaim(terms, receipt, signature);
    }

    function _completeBy(SessionTerms memory terms, uint96 claim) internal {
        vm.prank(terms.host);
        market.completeSessionJob(_completion(terms, claim));
    }

    function _leave(address who) internal {
        vm.prank(who);
        nodes.startUnbonding();
        vm.warp(block.timestamp + nodes.UNBONDING_DELAY());
        vm.prank(who);
        nodes.withdrawStake();
    }

    function _assertSlash(
        SessionTerms memory terms,
        Evidence evidence,
        SlashStatus status,
        uint256 executableAt,
        uint256 amount
    ) internal view {
        Slash memory slash = slashing.slashOf(_idOf(terms), evidence);
        assertEq(uint8(slash.status), uint8(status), "status");
        assertEq(slash.executableAt, executableAt, "executable at");
        assertEq(slash.amount, amount, "amount");
    }
}
