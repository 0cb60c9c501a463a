// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CloseReason, Completion, SessionTerms, Voucher} from "./interfaces/SessionTypes.sol";
import {RawTerms} from "./libraries/RawTerms.sol";
import {PackedSession} from "./types/PackedSession.sol";
import {ProtocolFee} from "./ProtocolFee.sol";
import {VoucherVerifier} from "./VoucherVerifier.sol";

/// @title The sessions' slots, and how one is closed.
abstract contract SessionSettlement is ProtocolFee, VoucherVerifier {
    using RawTerms for SessionTerms;

    mapping(bytes32 sessionId => PackedSession) internal _sessions;

    function _load(SessionTerms calldata terms) internal view returns (bytes32 sessionId, PackedSession session) {
        sessionId = terms.id();
        session = _sessions[sessionId];
    }

    /// @dev Deposit and top-ups. A top-up that would push the sum past 96 bits was refused.
    function _totalOf(SessionTerms calldata terms, PackedSession session) internal pure returns (uint96) {
        return terms.rawDeposit() + session.topUp();
    }

    /// @dev Completes for the calling host and moves no money yet. A completion that cannot be applied changes
    /// nothing and comes back as revert data; an empty `refusal` says that it was applied.
    function _tryComplete(Completion calldata completion)
        internal
        returns (bytes32 sessionId, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund)
    {
        PackedSession session;
        (sessionId, session) = _load(completion.terms);
        bytes calldata signature = completion.signature;
        uint96 claim = completion.claim;
        // What is already on chain, the renter acknowledged or its key signed: nothing more need be shown. A
        // signature that is there is checked all the same, so that a token count in the event is a signed one.
        bool withVoucher = signature.length != 0 || claim > session.presented();
        refusal = _refusalOf(completion, claim, sessionId, session);
        if (refusal.length != 0) return (sessionId, refusal, 0, 0, 0);
        if (withVoucher) {
            refusal = _voucherRefusalOf(completion, claim, sessionId, signature);
            if (refusal.length != 0) return (sessionId, refusal, 0, 0, 0);
        }
        (hostPaid, fee, refund) = _close(
            completion.terms,
            sessionId,
            session,
            claim,
            CloseReason.Completed,
            withVoucher ? completion.voucher.tokens : 0,
            withVoucher ? completion.voucher.transcriptRoot : bytes32(0)
        );
    }

    /// @dev Closes at the amount last put on chain, and pays.
    function _closeAtPresented(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        CloseReason reason
    ) internal {
        (uint96 hostPaid, uint96 fee, uint96 refund) =
            _close(terms, sessionId, session, session.presented(), reason, 0, bytes32(0));
        _pay(terms, hostPaid, fee, refund);
    }

    /// @dev Credits host and protocol, then hands the renter the rest.
    function _pay(SessionTerms calldata terms, uint96 hostPaid, uint96 fee, uint96 refund) internal {
        _credit(terms.rawHost(), terms.rawToken(), hostPaid, fee);
        _payOrCredit(terms.rawRenter(), terms.rawToken(), refund);
    }

    /// @dev Why the caller cannot close at `claim`, whatever the voucher; empty if it can.
    function _refusalOf(Completion calldata completion, uint96 claim, bytes32 sessionId, PackedSession session)
        private
        view
        returns (bytes memory refusal)
    {
        SessionTerms calldata terms = completion.terms;
        if (msg.sender != terms.rawHost()) return abi.encodeWithSelector(NotHost.selector, msg.sender);
        if (!session.isOpen()) return abi.encodeWithSelector(SessionNotOpen.selector, sessionId);
        if (claim < session.presented()) {
            return abi.encodeWithSelector(AmountNotHigher.selector, claim, session.presented());
        }
        uint96 total = _totalOf(terms, session);
        if (claim > total) return abi.encodeWithSelector(AmountAboveDeposit.selector, claim, total);
    }

    /// @dev Why the voucher does not cover `claim`; empty if it does.
    function _voucherRefusalOf(
        Completion calldata completion,
        uint96 claim,
        bytes32 sessionId,
        bytes calldata signature
    ) private view returns (bytes memory refusal) {
        Voucher calldata voucher = completion.voucher;
        if (voucher.sessionId != sessionId) {
            return abi.encodeWithSelector(WrongSession.selector, sessionId, voucher.sessionId);
        }
        if (claim > voucher.amount) {
            return abi.encodeWithSelector(ClaimAboveVoucher.selector, claim, voucher.amount);
        }
        if (!_isSignedBy(completion.terms.rawVoucherKey(), voucher, signature)) {
            return abi.encodeWithSelector(BadSignature.selector);
        }
    }

    function _close(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        uint96 claim,
        CloseReason reason,
        uint64 tokens,
        bytes32 transcriptRoot
    ) private returns (uint96 hostPaid, uint96 fee, uint96 refund) {
        fee = session.feeRoundedDown(claim);
        hostPaid = claim - fee;
        refund = _totalOf(terms, session) - claim;
        _sessions[sessionId] = session.closed(claim);
        emit SessionClosed(
            sessionId,
            terms.rawHost(),
            terms.rawRenter(),
            reason,
            terms.rawToken(),
            hostPaid,
            fee,
            refund,
            tokens,
            transcriptRoot
        );
    }
}
