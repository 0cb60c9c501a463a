// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CloseReason, Completion, SessionTerms, Voucher} from "./interfaces/SessionTypes.sol";
import {PackedSession} from "./types/PackedSession.sol";
import {ProtocolFee} from "./ProtocolFee.sol";
import {VoucherVerifier} from "./VoucherVerifier.sol";

/// @title The sessions' slots, and how one is closed.
abstract contract SessionSettlement is ProtocolFee, VoucherVerifier {
    mapping(bytes32 sessionId => PackedSession) internal _sessions;

    /// @dev The three parts of a closed session's money.
    struct Split {
        uint96 host;
        uint96 fee;
        uint96 refund;
    }

    /// @dev What a run of batch items in one token adds up to.
    struct Tally {
        address token;
        uint256 host;
        uint256 fee;
    }

    function _load(SessionTerms calldata terms) internal view returns (bytes32 sessionId, PackedSession session) {
        sessionId = keccak256(abi.encode(terms));
        session = _sessions[sessionId];
    }

    /// @dev Deposit and top-ups. A top-up that would push the sum past 96 bits was refused.
    function _totalOf(SessionTerms calldata terms, PackedSession session) internal pure returns (uint96) {
        return terms.deposit + session.topUp();
    }

    /// @dev Why the caller cannot complete so, as revert data; empty if it can. Once this is empty, `_complete`
    /// cannot fail.
    function _refusalOf(Completion calldata completion, bytes32 sessionId, PackedSession session)
        internal
        view
        returns (bytes memory)
    {
        SessionTerms calldata terms = completion.terms;
        Voucher calldata voucher = completion.voucher;
        uint96 claim = completion.claim;
        if (msg.sender != terms.host) return abi.encodeWithSelector(NotHost.selector, msg.sender);
        if (!session.isOpen()) return abi.encodeWithSelector(SessionNotOpen.selector, sessionId);
        if (claim < session.presented()) {
            return abi.encodeWithSelector(AmountNotHigher.selector, claim, session.presented());
        }
        if (claim > _totalOf(terms, session)) {
            return abi.encodeWithSelector(AmountAboveDeposit.selector, claim, _totalOf(terms, session));
        }
        if (!_restsOnVoucher(completion, session)) return "";
        if (voucher.sessionId != sessionId) {
            return abi.encodeWithSelector(WrongSession.selector, sessionId, voucher.sessionId);
        }
        if (claim > voucher.amount) {
            return abi.encodeWithSelector(ClaimAboveVoucher.selector, claim, voucher.amount);
        }
        if (!_isSignedBy(terms.voucherKey, voucher, completion.signature)) {
            return abi.encodeWithSelector(BadSignature.selector);
        }
        return "";
    }

    /// @dev Closes a session whose completion was found without fault; moves no money yet.
    function _complete(Completion calldata completion, bytes32 sessionId, PackedSession session)
        internal
        returns (Split memory)
    {
        bool withVoucher = _restsOnVoucher(completion, session);
        return _close(
            completion.terms,
            sessionId,
            session,
            completion.claim,
            CloseReason.Completed,
            withVoucher ? completion.voucher.tokens : 0,
            withVoucher ? completion.voucher.transcriptRoot : bytes32(0)
        );
    }

    /// @dev Closes at the amount the parties last put on chain, and pays.
    function _closeAtPresented(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        CloseReason reason
    ) internal {
        _pay(terms, _close(terms, sessionId, session, session.presented(), reason, 0, bytes32(0)));
    }

    /// @dev Credits host and protocol, then hands the renter the rest.
    function _pay(SessionTerms calldata terms, Split memory split) internal {
        _credit(terms.host, terms.token, split.host);
        _credit(_feeAccount(), terms.token, split.fee);
        _payOrCredit(terms.renter, terms.token, split.refund);
    }

    /// @dev Credits the caller, who is the host of all that was tallied, and the protocol.
    function _credit(Tally memory tally) internal {
        _credit(msg.sender, tally.token, tally.host);
        _credit(_feeAccount(), tally.token, tally.fee);
    }

    function _close(
        SessionTerms calldata terms,
        bytes32 sessionId,
        PackedSession session,
        uint96 claim,
        CloseReason reason,
        uint64 tokens,
        bytes32 transcriptRoot
    ) private returns (Split memory split) {
        split.fee = session.feeRoundedDown(claim);
        split.host = claim - split.fee;
        split.refund = _totalOf(terms, session) - claim;
        _sessions[sessionId] = session.closed(claim);
        emit SessionClosed(
            sessionId,
            terms.host,
            terms.renter,
            reason,
            terms.token,
            split.host,
            split.fee,
            split.refund,
            tokens,
            transcriptRoot
        );
    }

    /// @dev What is already on chain, the renter acknowledged or its key signed: nothing more need be shown. A
    /// signature that is there is checked all the same, so that the event's token count is always a signed one.
    function _restsOnVoucher(Completion calldata completion, PackedSession session) private pure returns (bool) {
        return completion.signature.length != 0 || completion.claim > session.presented();
    }
}
