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
        unchecked {
            return terms.rawDeposit() + session.topUp();
        }
    }

    /// @dev Completes for the calling host and moves no money yet. A completion that cannot be applied changes
    /// nothing and comes back as revert data; an empty `refusal` says that it was applied.
    function _tryComplete(Completion calldata completion)
        internal
        returns (bytes32 sessionId, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund)
    {
        SessionTerms calldata terms = completion.terms;
        PackedSession session;
        (sessionId, session) = _load(terms);
        uint96 claim = completion.claim;
        refusal = _refusalOf(terms, claim, sessionId, session);
        if (refusal.length != 0) return (sessionId, refusal, 0, 0, 0);

        bytes calldata signature = completion.signature;
        uint64 tokens;
        bytes32 transcriptRoot;
        // What is already on chain, the renter acknowledged or its key signed: nothing more need be shown. A
        // signature that is there is checked all the same, so that a token count in the event is a signed one.
        if (signature.length != 0 || claim > session.presented()) {
            Voucher calldata voucher = completion.voucher;
            refusal = _voucherRefusalOf(terms, voucher, signature, claim, sessionId);
            if (refusal.length != 0) return (sessionId, refusal, 0, 0, 0);
            tokens = voucher.tokens;
            transcriptRoot = voucher.transcriptRoot;
        }
        (hostPaid, fee, refund) =
            _close(terms, sessionId, session, claim, CloseReason.Completed, tokens, transcriptRoot);
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
    function _refusalOf(SessionTerms calldata terms, uint96 claim, bytes32 sessionId, PackedSession session)
        private
        view
        returns (bytes memory refusal)
    {
        if (msg.sender != terms.rawHost()) return abi.encodeWithSelector(NotHost.selector, msg.sender);
        if (!session.isOpen()) return abi.encodeWithSelector(SessionNotOpen.selector, sessionId);
        if (claim < session.presented()) {
            return abi.encodeWithSelector(AmountNotHigher.selector, claim, session.presented());
        }
        if (claim > _totalOf(terms, session)) {
            return abi.encodeWithSelector(AmountAboveDeposit.selector, claim, _totalOf(terms, session));
        }
    }

    /// @dev Why the voucher does not cover `claim`; empty if it does.
    function _voucherRefusalOf(
        SessionTerms calldata terms,
        Voucher calldata voucher,
        bytes calldata signature,
        uint96 claim,
        bytes32 sessionId
    ) private view returns (bytes memory refusal) {
        if (voucher.sessionId != sessionId) {
            return abi.encodeWithSelector(WrongSession.selector, sessionId, voucher.sessionId);
        }
        if (claim > voucher.amount) {
            return abi.encodeWithSelector(ClaimAboveVoucher.selector, claim, voucher.amount);
        }
        if (!_isSignedBy(terms.rawVoucherKey(), voucher, signature)) {
            return abi.encodeWithSelector(BadSignature.selector);
        }
    }

    /// @dev Splits the money, `claim` being at most the total, and marks the session closed.
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
        refund = _totalOf(terms, session) - claim;
        unchecked {
            // A fee is at most a tenth of the claim.
            hostPaid = claim - fee;
        }
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
