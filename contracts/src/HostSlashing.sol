// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Evidence, IHostSlashing, Receipt, Slash, SlashStatus} from "./interfaces/IHostSlashing.sol";
import {IJobMarketplace} from "./interfaces/IJobMarketplace.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {Session, SessionStatus, SessionTerms} from "./interfaces/SessionTypes.sol";

/// @title Slashing of hosts.
/// @dev The owner, a timelock, can uphold an appeal and nothing else. What is slashed leaves the registry with the
/// report, so the registry keeps no account of it and a host's exit meets no pending slash. Order in each function:
/// guards, effects, event, then calls; all of them go to contracts of the protocol.
contract HostSlashing is IHostSlashing, IVersioned, Ownable2Step {
    using SafeERC20 for IERC20;

    /// @inheritdoc IHostSlashing
    /// @dev More than the thirteen days that the slowest vote and its timelock can take to uphold an appeal.
    uint40 public constant APPEAL_DELAY = 14 days;
    /// @inheritdoc IHostSlashing
    /// @dev A lie under two signatures is no accident. Half, and not the whole: a host of many renters that is caught
    /// by one of them has something left to lose to the next.
    uint16 public constant EQUIVOCATION_BPS = 5000;
    /// @inheritdoc IHostSlashing
    /// @dev An operator's mistake can look like this, and the harm is bounded by what the renter signed ahead.
    uint16 public constant OVERCLAIM_BPS = 2000;
    /// @inheritdoc IHostSlashing
    /// @dev Pays the report many times over, and far too little for a host to rent from itself for its sake.
    uint16 public constant COMPENSATION_BPS = 1000;
    /// Nobody's: the token refuses the zero address.
    address public constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    uint256 private constant BASIS_POINTS = 10_000;
    bytes32 private constant RECEIPT_TYPEHASH =
        keccak256("Receipt(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot,bool last)");
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    INodeRegistry public immutable NODES;
    IJobMarketplace public immutable MARKET;
    IERC20 public immutable STAKE_TOKEN;
    /// @inheritdoc IHostSlashing
    /// @dev The registry's unbonding delay. A host that stopped serving as the session ended is gone by then, and one
    /// that went on must not be worse off; nor do keys of long ago, once they leak, make evidence.
    uint40 public immutable EVIDENCE_WINDOW;

    mapping(bytes32 sessionId => mapping(Evidence evidence => Slash)) private _slashes;

    error ZeroAddress();
    error NotTheSlasher(address slasher);

    constructor(INodeRegistry nodes, IJobMarketplace market, address owner_) Ownable(owner_) {
        if (address(nodes) == address(0) || address(market) == address(0)) revert ZeroAddress();
        address slasher = nodes.SLASHER();
        if (slasher != address(this)) revert NotTheSlasher(slasher);
        NODES = nodes;
        MARKET = market;
        STAKE_TOKEN = nodes.STAKE_TOKEN();
        EVIDENCE_WINDOW = nodes.UNBONDING_DELAY();
    }

    /// @inheritdoc IHostSlashing
    function reportEquivocation(
        SessionTerms calldata terms,
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external {
        (bytes32 sessionId,) = _sessionOf(terms);
        if (
            first.tokens != second.tokens
                || (first.amount == second.amount && first.transcriptRoot == second.transcriptRoot)
        ) revert NoContradiction();
        _checkReceipt(sessionId, terms.host, first, firstSignature);
        _checkReceipt(sessionId, terms.host, second, secondSignature);
        _report(sessionId, terms, Evidence.Equivocation, EQUIVOCATION_BPS);
    }

    /// @inheritdoc IHostSlashing
    /// @dev Of the ways to close a session, only completion by the host pays more than was presented, and nothing is
    /// presented before the renter asks to close.
    function reportOverclaim(SessionTerms calldata terms, Receipt calldata receipt, bytes calldata signature) external {
        (bytes32 sessionId, Session memory session) = _sessionOf(terms);
        if (!receipt.last) revert NotLast();
        if (session.status != SessionStatus.Closed) revert SessionNotClosed(sessionId);
        if (session.challengeEnd != 0) revert RenterAskedToClose(sessionId);
        if (session.presented <= receipt.amount) revert NotOverclaimed(session.presented, receipt.amount);
        _checkReceipt(sessionId, terms.host, receipt, signature);
        _report(sessionId, terms, Evidence.Overclaim, OVERCLAIM_BPS);
    }

    /// @inheritdoc IHostSlashing
    function cancelSlash(SessionTerms calldata terms, Evidence evidence) external onlyOwner {
        (bytes32 sessionId, Slash storage slash) = _pendingOf(terms, evidence);
        uint96 amount = slash.amount;
        slash.status = SlashStatus.Cancelled;
        emit SlashCancelled(sessionId, terms.host, evidence, amount);
        STAKE_TOKEN.safeTransfer(terms.host, amount);
    }

    /// @inheritdoc IHostSlashing
    function executeSlash(SessionTerms calldata terms, Evidence evidence) external {
        (bytes32 sessionId, Slash storage slash) = _pendingOf(terms, evidence);
        if (block.timestamp < slash.executableAt) revert AppealRunning(slash.executableAt);
        uint96 amount = slash.amount;
        uint96 compensation = _partRoundedDown(amount, COMPENSATION_BPS);
        uint96 burned = amount - compensation;
        slash.status = SlashStatus.Executed;
        emit SlashExecuted(sessionId, terms.host, evidence, terms.renter, compensation, burned);
        STAKE_TOKEN.safeTransfer(terms.renter, compensation);
        STAKE_TOKEN.safeTransfer(BURN_ADDRESS, burned);
    }

    /// @inheritdoc IHostSlashing
    function slashOf(bytes32 sessionId, Evidence evidence) external view returns (Slash memory) {
        return _slashes[sessionId][evidence];
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.HostSlashing.v1");
    }

    /// @inheritdoc IHostSlashing
    /// @dev The domain is the marketplace's, so the base that computes a contract's own is of no use here.
    function receiptDigest(Receipt calldata receipt) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Capstan"), keccak256("1"), block.chainid, address(MARKET))
        );
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
    }

    /// @dev Holds a part of the stake as it is now. Reports that follow find less, so together they never reach it.
    function _report(bytes32 sessionId, SessionTerms calldata terms, Evidence evidence, uint16 bps) private {
        uint40 acceptedUntil = terms.expiry + EVIDENCE_WINDOW;
        if (block.timestamp > acceptedUntil) revert EvidenceTooOld(acceptedUntil);
        if (_slashes[sessionId][evidence].status != SlashStatus.None) revert AlreadyReported(sessionId, evidence);
        uint96 amount = _partRoundedDown(NODES.getNode(terms.host).stake, bps);
        if (amount == 0) revert NothingAtStake(terms.host);

        uint40 executableAt = uint40(block.timestamp) + APPEAL_DELAY;
        _slashes[sessionId][evidence] = Slash({status: SlashStatus.Pending, executableAt: executableAt, amount: amount});
        emit SlashReported(sessionId, terms.host, evidence, msg.sender, amount, executableAt);
        NODES.slash(terms.host, amount, address(this));
    }

    function _pendingOf(SessionTerms calldata terms, Evidence evidence)
        private
        view
        returns (bytes32 sessionId, Slash storage slash)
    {
        sessionId = _idOf(terms);
        slash = _slashes[sessionId][evidence];
        if (slash.status != SlashStatus.Pending) revert NotPending(sessionId, evidence);
    }

    /// @dev A session that was opened: its host was serving then, and its terms are what both parties agreed on.
    function _sessionOf(SessionTerms calldata terms) private view returns (bytes32 sessionId, Session memory session) {
        sessionId = _idOf(terms);
        session = MARKET.sessions(sessionId);
        if (session.status == SessionStatus.None) revert UnknownSession(sessionId);
    }

    function _checkReceipt(bytes32 sessionId, address host, Receipt calldata receipt, bytes calldata signature)
        private
        view
    {
        if (receipt.sessionId != sessionId) revert WrongSession(sessionId, receipt.sessionId);
        // No signer is the zero address, and that served no session.
        (address signer,,) = ECDSA.tryRecover(receiptDigest(receipt), signature);
        if (signer != host) revert BadSignature();
    }

    function _idOf(SessionTerms calldata terms) private pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    /// @dev A part is at most the whole, which fits 96 bits.
    function _partRoundedDown(uint96 whole, uint16 bps) private pure returns (uint96) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(uint256(whole) * bps / BASIS_POINTS);
    }
}
