// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009} from "./interfaces/IERC3009.sol";
import {IJobMarketplace} from "./interfaces/IJobMarketplace.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {
    CloseReason,
    Completion,
    PackedCompletion,
    Session,
    SessionStatus,
    SessionTerms,
    Voucher
} from "./interfaces/SessionTypes.sol";
import {RawItem} from "./libraries/RawItem.sol";
import {RawTerms} from "./libraries/RawTerms.sol";
import {Sums} from "./libraries/Sums.sol";
import {PackedSession, PackedSessionLib} from "./types/PackedSession.sol";
import {EntryPause} from "./EntryPause.sol";
import {JobBoard} from "./JobBoard.sol";
import {ProtocolFee} from "./ProtocolFee.sol";
import {SessionSettlement} from "./SessionSettlement.sol";

/// @title The marketplace: sessions here, jobs in JobBoard, one ledger under both.
/// @dev The entry points of sessions. Order in each: guards, effects, event, then calls to strangers.
contract JobMarketplace is SessionSettlement, IVersioned {
    using RawItem for PackedCompletion;
    using RawItem for PackedCompletion[];
    using Sums for uint256[];

    /// @inheritdoc IJobMarketplace
    uint40 public constant CHALLENGE_WINDOW = 1 hours;
    /// @inheritdoc IJobMarketplace
    uint40 public constant TIMEOUT_GRACE = 1 hours;
    /// @inheritdoc IJobMarketplace
    uint40 public constant MAX_SESSION = 30 days;

    /// Says with whom a session may be opened; asked at no other time, so it cannot stand in the way of an exit.
    INodeRegistry public immutable NODES;
    /// The code behind every function of IJobs.
    address public immutable BOARD;

    error UnbondingTooShort(uint40 delay, uint40 longestClaim);
    error WrongBoard(address board);
    error CallMissing();

    constructor(INodeRegistry nodes, JobBoard board, address owner_, address feeRecipient_, uint16 feeBps_)
        Ownable(owner_)
        EntryPause(board.CIRCUIT_BREAKER())
        ProtocolFee(feeRecipient_, feeBps_)
    {
        if (address(nodes) == address(0)) revert ZeroAddress();
        if (board.interfaceVersion() != keccak256("capstan.JobBoard.v1") || board.NODES() != nodes) {
            revert WrongBoard(address(board));
        }
        // A host's stake must outlive every claim against it.
        uint40 delay = nodes.UNBONDING_DELAY();
        uint40 longestClaim = MAX_SESSION + TIMEOUT_GRACE + CHALLENGE_WINDOW;
        if (delay <= longestClaim) revert UnbondingTooShort(delay, longestClaim);
        (NODES, BOARD) = (nodes, address(board));
    }

    /// @dev Jobs: JobBoard's code, on this contract's storage and balance. BOARD never changes, so this is no proxy:
    /// it is the second half of one contract.
    fallback() external payable {
        address board = BOARD;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let done := delegatecall(gas(), board, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(done) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }

    /// @dev Coins without a call would belong to nobody.
    receive() external payable {
        revert CallMissing();
    }

    /// @inheritdoc IJobMarketplace
    function createSessionJob(SessionTerms calldata terms) external payable nonReentrant returns (bytes32 sessionId) {
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        sessionId = _open(terms);
        _take(terms.token, terms.deposit);
    }

    /// @inheritdoc IJobMarketplace
    function createSessionJobWithPermit(SessionTerms calldata terms, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (bytes32 sessionId)
    {
        if (terms.token == NATIVE) revert WrongValue(0, terms.deposit);
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        sessionId = _open(terms);
        // Whoever saw the permit in the mempool may have spent it first. Then the allowance is there already, and
        // if it is not, the transfer fails.
        try IERC20Permit(terms.token).permit(terms.renter, address(this), terms.deposit, deadline, v, r, s) {} catch {}
        _pull(terms.renter, terms.token, terms.deposit);
    }

    /// @inheritdoc IJobMarketplace
    function createSessionJobWithAuthorization(
        SessionTerms calldata terms,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (bytes32 sessionId) {
        if (terms.token == NATIVE) revert WrongValue(0, terms.deposit);
        sessionId = _open(terms);
        uint256 before = IERC20(terms.token).balanceOf(address(this));
        IERC3009(terms.token)
            .receiveWithAuthorization(
                terms.renter, address(this), terms.deposit, validAfter, validBefore, sessionId, v, r, s
            );
        _requireReceived(terms.token, before, terms.deposit);
    }

    /// @inheritdoc IJobMarketplace
    function topUp(SessionTerms calldata terms, uint96 amount) external payable nonReentrant whenEntryOpen {
        if (amount == 0) revert ZeroDeposit();
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Active) revert SessionNotOpen(sessionId);
        if (block.timestamp > terms.expiry) revert SessionExpired(sessionId);
        uint256 total = uint256(session.topUp()) + amount;
        if (total + terms.deposit > type(uint96).max) revert DepositTooLarge();

        // The sum with the deposit fits 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 newTopUp = uint96(total);
        _slots[sessionId].session = session.withTopUp(newTopUp);
        emit SessionToppedUp(sessionId, msg.sender, amount, newTopUp);
        _take(terms.token, amount);
    }

    /// @inheritdoc IJobMarketplace
    function completeSessionJob(Completion calldata completion) external nonReentrant {
        _complete(completion);
    }

    /// @inheritdoc IJobMarketplace
    /// @dev An item is checked before it changes anything and then cannot fail, so none needs a call frame of its
    /// own. All effects come before the first refund leaves, and credits are summed over items in one token that
    /// follow each other. Calldata too short for its items is refused as a whole.
    function completeSessionJobs(PackedCompletion[] calldata completions) external nonReentrant {
        bytes32 domain = _domainSeparatorV4();
        // What a run of items of one renter and one token returns, at the place of its first item.
        uint256[] memory refunds = new uint256[](completions.length);
        address token;
        address renter;
        uint256 first;
        uint256 earned;
        uint256 fees;
        for (uint256 i = 0; i < completions.length; ++i) {
            PackedCompletion calldata item = completions.rawAt(i);
            (bytes32 sessionId, bytes memory refusal, uint96 hostPaid, uint96 fee, uint96 refund) =
                _tryComplete(item, domain);
            if (refusal.length != 0) {
                emit SessionCompletionFailed(i, sessionId, refusal);
                continue;
            }
            if (item.rawToken() != token) {
                _credit(msg.sender, token, earned, fees);
                // A refund joins only one of its own token: the place moves on even for a renter that is nobody.
                (token, renter, first, earned, fees) = (item.rawToken(), address(0), i, 0, 0);
            }
            if (item.renter() != renter) (renter, first) = (item.renter(), i);
            unchecked {
                // Each is below 2^96.
                earned += hostPaid;
                fees += fee;
            }
            refunds.rawAdd(first, refund);
        }
        _credit(msg.sender, token, earned, fees);
        for (uint256 i = 0; i < refunds.length; ++i) {
            uint256 refund = refunds.rawAt(i);
            if (refund == 0) continue;
            PackedCompletion calldata item = completions.rawAt(i);
            _payOrCredit(item.renter(), item.rawToken(), refund);
        }
    }

    /// @inheritdoc IJobMarketplace
    function requestSessionClose(SessionTerms calldata terms, uint96 acknowledged) external nonReentrant {
        if (msg.sender != terms.renter) revert NotRenter(msg.sender);
        (bytes32 sessionId, PackedSession session) = _load(terms);
        if (session.status() != SessionStatus.Active) revert SessionNotOpen(sessionId);
        uint96 total = _totalOf(terms.deposit, session);
        if (acknowledged > total) revert AmountAboveDeposit(acknowledged, total);

        uint40 challengeEnd = uint40(block.timestamp) + CHALLENGE_WINDOW;
        _slots[sessionId].session = session.closing(challengeEnd, acknowledged);
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
        uint96 total = _totalOf(terms.deposit, session);
        uint96 amount = voucher.amount < total ? voucher.amount : total;
        if (amount <= session.presented()) revert AmountNotHigher(amount, session.presented());
        if (!_isSignedBy(terms.voucherKey, voucherDigest(voucher), signature)) revert BadSignature();

        _slots[sessionId].session = session.withPresented(amount);
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
        session = _slots[sessionId].session.unpack();
    }

    /// @inheritdoc IJobMarketplace
    function sessions(bytes32 sessionId) external view returns (Session memory session) {
        return _slots[sessionId].session.unpack();
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.JobMarketplace.v2");
    }

    /// @inheritdoc IJobMarketplace
    function sessionIdOf(SessionTerms calldata terms) public pure returns (bytes32) {
        return RawTerms.id(terms);
    }

    /// @inheritdoc IJobMarketplace
    function voucherDigest(Voucher calldata voucher) public view returns (bytes32) {
        return
            _voucherDigest(
                _domainSeparatorV4(), voucher.sessionId, voucher.amount, voucher.tokens, voucher.transcriptRoot
            );
    }

    /// @dev Everything of an opening but the money, and the renter's consent.
    function _open(SessionTerms calldata terms) private whenEntryOpen returns (bytes32 sessionId) {
        if (terms.renter == address(0)) revert ZeroRenter();
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
        _slots[sessionId].session = PackedSessionLib.opened(fee);
        emit SessionOpened(sessionId, terms.host, terms.renter, terms, fee);
    }
}
