// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {IJobMarketplace} from "./interfaces/IJobMarketplace.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {CloseReason, Completion, Session, SessionStatus, SessionTerms, Voucher} from "./interfaces/SessionTypes.sol";
import {RawTerms} from "./libraries/RawTerms.sol";
import {PackedSession, PackedSessionLib} from "./types/PackedSession.sol";
import {ProtocolFee} from "./ProtocolFee.sol";
import {SessionSettlement} from "./SessionSettlement.sol";

/// @title Sessions.
/// @dev The entry points. Order in each: guards, effects, event, then calls to strangers.
contract JobMarketplace is SessionSettlement, IVersioned {
    using RawTerms for SessionTerms;

    /// @inheritdoc IJobMarketplace
    uint40 public constant CHALLENGE_WINDOW = 1 hours;
    /// @inheritdoc IJobMarketplace
    uint40 public constant TIMEOUT_GRACE = 1 hours;
    /// @inheritdoc IJobMarketplace
    uint40 public constant MAX_SESSION = 30 days;

    /// Says with whom a session may be opened; asked at no other time, so it cannot stand in the way of an exit.
    INodeRegistry public immutable NODES;

    error UnbondingTooShort(uint40 delay, uint40 longestClaim);

    constructor(INodeRegistry nodes, address owner_, address feeRecipient_, uint16 feeBps_)
        Ownable(owner_)
        ProtocolFee(feeRecipient_, feeBps_)
    {
        if (address(nodes) == address(0)) revert ZeroAddress();
        // A host's stake must outlive every claim against it.
        uint40 delay = nodes.UNBONDING_DELAY();
        uint40 longestClaim = MAX_SESSION + TIMEOUT_GRACE + CHALLENGE_WINDOW;
        if (delay <= longestClaim) revert UnbondingTooShort(delay, longestClaim);
        NODES = nodes;
    }

    /// @inheritdoc IJobMarketplace
    function createSessionJob(SessionTerms calldata terms) external payable nonReentrant returns (bytes32 sessionId) {
        uint256 expected = terms.token == NATIVE ? terms.deposit : 0;
        if (msg.value != expected) revert WrongValue(msg.value, expected);
        sessionId = _open(terms);
        if (terms.token != NATIVE) _pull(terms.renter, terms.token, terms.deposit);
    }

    /// @inheritdoc IJobMarketplace
    function createSessionJobWithPermit(SessionTerms calldata terms, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (bytes32 sessionId)
    {
        if (terms.token == NATIVE) revert WrongValue(0, terms.deposit);
        sessionId = _open(terms);
        // Whoever saw the permit in the mempool may have spent it first. Then the allowance is there already, and
        // if it is not, the transfer fails.
        try IERC20Permit(terms.token).permit(terms.renter, address(this), terms.deposit, deadline, v, r, s) {} catch {}
        _pull(terms.renter, terms.token, terms.deposit);
    }

    /// @inheritdoc IJobMarketplace
    function topUp(SessionTerms calldata terms, uint96 amount) external payable nonReentrant {
        uint256 expected = terms.token == NATIVE ? amount : 0;
        if (msg.value != expected) revert WrongValue(msg.value, expected);
        if (amount == 0) revert ZeroDeposit();
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Active) revert SessionNotOpen(sessionId);
        if (block.timestamp > terms.expiry) revert SessionExpired(sessionId);
        uint256 total = uint256(session.topUp()) + amount;
        if (total + terms.deposit > type(uint96).max) revert DepositTooLarge();

        // The sum with the deposit fits 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 newTopUp = uint96(total);
        _sessions[sessionId] = session.withTopUp(newTopUp);
        emit SessionToppedUp(sessionId, msg.sender, amount, newTopUp);
        if (terms.token != NATIVE) _pull(msg.sender, terms.token, amount);
    }

    /// @inheritdoc IJobMarketplace
    function completeSessionJob(Completion calldata completion) external nonReentrant {
        (, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund) = _tryComplete(completion);
        if (refusal.length != 0) LowLevelCall.bubbleRevert(refusal);
        _pay(completion.terms, hostPaid, fee, refund);
    }

    /// @inheritdoc IJobMarketplace
    /// @dev An item is checked before it changes anything and then cannot fail, so none needs a call frame of its
    /// own. All effects come before the first refund leaves, and credits are summed over items in one token that
    /// follow each other. Calldata that does not decode as completions is refused as a whole.
    function completeSessionJobs(Completion[] calldata completions) external nonReentrant {
        uint96[] memory refunds = new uint96[](completions.length);
        address token;
        uint256 earned;
        uint256 fees;
        for (uint256 i = 0; i < completions.length; ++i) {
            Completion calldata completion = completions[i];
            (bytes32 sessionId, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund) =
                _tryComplete(completion);
            if (refusal.length != 0) {
                emit SessionCompletionFailed(i, sessionId, refusal);
                continue;
            }
            if (completion.terms.rawToken() != token) {
                _credit(msg.sender, token, earned, fees);
                (token, earned, fees) = (completion.terms.rawToken(), 0, 0);
            }
            earned += hostPaid;
            fees += fee;
            refunds[i] = refund;
        }
        _credit(msg.sender, token, earned, fees);
        _refund(completions, refunds);
    }

    /// @inheritdoc IJobMarketplace
    function requestSessionClose(SessionTerms calldata terms, uint96 acknowledged) external nonReentrant {
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Active) revert SessionNotOpen(sessionId);
        uint96 total = _totalOf(terms, session);
        if (acknowledged > total) revert AmountAboveDeposit(acknowledged, total);

        uint40 challengeEnd = uint40(block.timestamp) + CHALLENGE_WINDOW;
        _sessions[sessionId] = session.closing(challengeEnd, acknowledged);
        emit SessionClosing(sessionId, challengeEnd, acknowledged);
    }

    /// @inheritdoc IJobMarketplace
    function presentVoucher(SessionTerms calldata terms, Voucher calldata voucher, bytes calldata signature)
        external
        nonReentrant
    {
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Closing) revert SessionNotClosing(sessionId);
        if (voucher.sessionId != sessionId) revert WrongSession(sessionId, voucher.sessionId);
        uint96 total = _totalOf(terms, session);
        uint96 amount = voucher.amount < total ? voucher.amount : total;
        if (amount <= session.presented()) revert AmountNotHigher(amount, session.presented());
        if (!_isSignedBy(terms.voucherKey, voucher, signature)) revert BadSignature();

        _sessions[sessionId] = session.withPresented(amount);
        emit VoucherPresented(sessionId, amount);
    }

    /// @inheritdoc IJobMarketplace
    function finalizeSession(SessionTerms calldata terms) external nonReentrant {
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Closing) revert SessionNotClosing(sessionId);
        uint40 challengeEnd = session.challengeEnd();
        if (block.timestamp < challengeEnd) revert ChallengeRunning(challengeEnd);
        _closeAtPresented(terms, sessionId, session, CloseReason.Finalized);
    }

    /// @inheritdoc IJobMarketplace
    function triggerSessionTimeout(SessionTerms calldata terms) external nonReentrant {
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (!session.isOpen()) revert SessionNotOpen(sessionId);
        uint40 timeoutAt = terms.expiry + TIMEOUT_GRACE;
        if (block.timestamp < timeoutAt) revert NotExpired(timeoutAt);
        _closeAtPresented(terms, sessionId, session, CloseReason.TimedOut);
    }

    /// @inheritdoc IJobMarketplace
    function getJob(SessionTerms calldata terms) external view returns (bytes32 sessionId, Session memory session) {
        sessionId = sessionIdOf(terms);
        session = _sessions[sessionId].unpack();
    }

    /// @inheritdoc IJobMarketplace
    function sessions(bytes32 sessionId) external view returns (Session memory session) {
        return _sessions[sessionId].unpack();
    }

    /// @inheritdoc IJobMarketplace
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32) {
        return _voucherDigest(voucher);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.JobMarketplace.v1");
    }

    /// @inheritdoc IJobMarketplace
    function sessionIdOf(SessionTerms calldata terms) public pure returns (bytes32) {
        return RawTerms.id(terms);
    }

    /// @dev Everything of an opening but the money.
    function _open(SessionTerms calldata terms) private returns (bytes32 sessionId) {
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        if (terms.deposit == 0) revert ZeroDeposit();
        if (terms.voucherKey == address(0)) revert ZeroVoucherKey();
        uint40 nowAt = uint40(block.timestamp);
        if (terms.expiry <= nowAt || terms.expiry > nowAt + MAX_SESSION) {
            revert ExpiryOutOfRange(terms.expiry, nowAt + 1, nowAt + MAX_SESSION);
        }
        PackedSession session;
        (sessionId, session) = _load(terms);
        if (session.status() != SessionStatus.None) revert SessionExists(sessionId);
        if (!NODES.isServing(terms.host, terms.model, terms.token)) {
            revert HostNotServing(terms.host, terms.model, terms.token);
        }

        uint16 fee = feeBps;
        _sessions[sessionId] = PackedSessionLib.opened(fee);
        emit SessionOpened(sessionId, terms.host, terms.renter, terms, fee);
    }

    /// @dev Hands out the refunds of a batch, those to one renter in one token that follow each other as one.
    function _refund(Completion[] calldata completions, uint96[] memory refunds) private {
        address renter;
        address token;
        uint256 sum;
        for (uint256 i = 0; i < refunds.length; ++i) {
            if (refunds[i] == 0) continue;
            SessionTerms calldata terms = completions[i].terms;
            if (terms.rawRenter() != renter || terms.rawToken() != token) {
                _payOrCredit(renter, token, sum);
                (renter, token, sum) = (terms.rawRenter(), terms.rawToken(), 0);
            }
            sum += refunds[i];
        }
        _payOrCredit(renter, token, sum);
    }
}
