// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {CloseReason, Completion, PackedCompletion, SessionTerms, Voucher} from "./interfaces/SessionTypes.sol";
import {IJobMarketplace} from "./interfaces/IJobMarketplace.sol";
import {RawItem} from "./libraries/RawItem.sol";
import {RawTerms} from "./libraries/RawTerms.sol";
import {PackedSession} from "./types/PackedSession.sol";
import {MarketState} from "./MarketState.sol";
import {VoucherVerifier} from "./VoucherVerifier.sol";

/// @title How a session is closed.
abstract contract SessionSettlement is IJobMarketplace, MarketState, VoucherVerifier {
    using RawItem for PackedCompletion;
    using RawTerms for SessionTerms;

    function _load(SessionTerms calldata terms) internal view returns (bytes32 sessionId, PackedSession session) {
        sessionId = terms.id();
        session = _slots[sessionId].session;
    }

    /// @dev Deposit and top-ups. A top-up that would push the sum past 96 bits was refused.
    function _totalOf(uint96 deposit, PackedSession session) internal pure returns (uint96) {
        unchecked {
            return deposit + session.topUp();
        }
    }

    /// @dev Completes for the calling host, and pays.
    function _complete(Completion calldata completion) internal {
        SessionTerms calldata terms = completion.terms;
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (msg.sender != terms.rawHost()) revert NotHost(msg.sender);
        uint96 claim = completion.claim;
        uint96 total = _totalOf(terms.rawDeposit(), session);
        bytes memory refusal = _refusalOf(claim, total, sessionId, session);
        if (refusal.length != 0) LowLevelCall.bubbleRevert(refusal);

        bytes calldata signature = completion.signature;
        uint64 tokens;
        bytes32 transcriptRoot;
        if (_needsVoucher(signature.length != 0, claim, session)) {
            Voucher calldata voucher = completion.voucher;
            if (voucher.sessionId != sessionId) revert WrongSession(sessionId, voucher.sessionId);
            if (claim > voucher.amount) revert ClaimAboveVoucher(claim, voucher.amount);
            (tokens, transcriptRoot) = (voucher.tokens, voucher.transcriptRoot);
            bytes32 digest = _voucherDigest(_domainSeparatorV4(), sessionId, voucher.amount, tokens, transcriptRoot);
            if (!_isSignedBy(terms.rawVoucherKey(), digest, signature)) revert BadSignature();
        }
        _closeAndPay(terms, sessionId, session, claim, CloseReason.Completed, tokens, transcriptRoot);
    }

    /// @dev Completes for the calling host and moves no money yet. An item that cannot be applied changes nothing
    /// and comes back as revert data; an empty `refusal` says that it was applied.
    function _tryComplete(PackedCompletion calldata item, bytes32 domain)
        internal
        returns (bytes32 sessionId, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund)
    {
        sessionId = item.sessionId(msg.sender);
        Slot storage slot = _slots[sessionId];
        PackedSession session = slot.session;
        uint96 claim = item.claim();
        uint96 total = _totalOf(item.deposit(), session);
        refusal = _refusalOf(claim, total, sessionId, session);
        if (refusal.length != 0) return (sessionId, refusal, 0, 0, 0);

        uint64 tokens;
        bytes32 transcriptRoot;
        if (_needsVoucher(item.r | item.vs != 0, claim, session)) {
            uint96 amount = item.amount();
            if (claim > amount) {
                return (sessionId, abi.encodeWithSelector(ClaimAboveVoucher.selector, claim, amount), 0, 0, 0);
            }
            (tokens, transcriptRoot) = (item.tokens(), item.transcriptRoot);
            bytes32 digest = _voucherDigest(domain, sessionId, amount, tokens, transcriptRoot);
            if (!_isSignedBy(item.voucherKey(), digest, item.r, item.vs)) {
                return (sessionId, abi.encodeWithSelector(BadSignature.selector), 0, 0, 0);
            }
        }
        (hostPaid, fee, refund) = _close(
            sessionId,
            slot,
            session,
            msg.sender,
            item.renter(),
            item.rawToken(),
            total,
            claim,
            CloseReason.Completed,
            tokens,
            transcriptRoot
        );
    }

    /// @dev Closes at the amount last put on chain, and pays.
    function _closeAtPresented(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        CloseReason reason
    ) internal {
        _closeAndPay(terms, sessionId, session, session.presented(), reason, 0, bytes32(0));
    }

    /// @dev Closes, credits host and protocol, then hands the renter the rest.
    function _closeAndPay(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        uint96 claim,
        CloseReason reason,
        uint64 tokens,
        bytes32 transcriptRoot
    ) private {
        (uint96 hostPaid, uint96 fee, uint96 refund) = _close(
            sessionId,
            _slots[sessionId],
            session,
            terms.rawHost(),
            terms.rawRenter(),
            terms.rawToken(),
            _totalOf(terms.rawDeposit(), session),
            claim,
            reason,
            tokens,
            transcriptRoot
        );
        _credit(terms.rawHost(), terms.rawToken(), hostPaid, fee);
        _payOrCredit(terms.rawRenter(), terms.rawToken(), refund);
    }

    /// @dev What is already on chain, the renter acknowledged or its key signed: nothing more need be shown. A
    /// signature that is there is checked all the same, so that a token count in the event is a signed one.
    function _needsVoucher(bool isSigned, uint96 claim, PackedSession session) private pure returns (bool) {
        return isSigned || claim > session.presented();
    }

    /// @dev Why a session with this total cannot be completed at `claim`, whatever the voucher; empty if it can.
    function _refusalOf(uint96 claim, uint96 total, bytes32 sessionId, PackedSession session)
        private
        pure
        returns (bytes memory refusal)
    {
        if (!session.isOpen()) return abi.encodeWithSelector(SessionNotOpen.selector, sessionId);
        if (claim < session.presented()) {
            return abi.encodeWithSelector(AmountNotHigher.selector, claim, session.presented());
        }
        if (claim > total) return abi.encodeWithSelector(AmountAboveDeposit.selector, claim, total);
    }

    /// @dev Splits the money, `claim` being at most `total`, and marks the session closed.
    function _close(
        bytes32 sessionId,
        Slot storage slot,
        PackedSession session,
        address host,
        address renter,
        address token,
        uint96 total,
        uint96 claim,
        CloseReason reason,
        uint64 tokens,
        bytes32 transcriptRoot
    ) private returns (uint96 hostPaid, uint96 fee, uint96 refund) {
        fee = session.feeRoundedDown(claim);
        refund = total - claim;
        unchecked {
            // A fee is at most a tenth of the claim.
            hostPaid = claim - fee;
        }
        slot.session = session.closed(claim);
        emit SessionClosed(sessionId, host, renter, reason, token, hostPaid, fee, refund, tokens, transcriptRoot);
    }
}
