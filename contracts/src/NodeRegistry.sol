// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {INodeRegistry, Node, Offer, Price} from "./interfaces/INodeRegistry.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {EntryPause} from "./EntryPause.sol";

/// @title Hosts.
/// @dev Nobody owns this contract: a stake leaves to its host, or where the slasher sends it. The stake token is FAB,
/// which calls no hooks, so no function needs a reentrancy guard.
contract NodeRegistry is INodeRegistry, IVersioned, EntryPause {
    using SafeERC20 for IERC20;

    /// @inheritdoc INodeRegistry
    uint96 public constant MIN_STAKE = 1000e18;
    /// @inheritdoc INodeRegistry
    uint40 public constant UNBONDING_DELAY = 32 days;
    /// @inheritdoc INodeRegistry
    uint40 public constant CLAIM_INTERVAL = 10 seconds;
    /// @inheritdoc INodeRegistry
    uint40 public constant CLAIM_BURST = 60;
    /// Bytes. Any public URL fits; what every reader of the event has to carry stays small.
    uint256 public constant MAX_ENDPOINT = 256;
    /// Bytes. A region's name, not its description.
    uint256 public constant MAX_REGION = 64;

    /// @inheritdoc INodeRegistry
    IERC20 public immutable STAKE_TOKEN;
    IModelRegistry public immutable MODELS;
    /// @inheritdoc INodeRegistry
    address public immutable MARKETPLACE;
    /// @inheritdoc INodeRegistry
    address public immutable SLASHER;

    /// @dev A `Node`, the generation of its price list, and until when its claims have used up its pace, in one slot.
    /// The list lies under the generation, so that it ends with the registration: prices of an earlier life, of models
    /// revoked since, do not come back.
    struct Record {
        uint96 stake;
        uint40 unbondsAt;
        uint48 infoBlock;
        uint32 generation;
        uint40 claimsUsedUpAt;
    }

    mapping(address host => Record) private _records;
    mapping(bytes32 offerKey => Price) private _prices;

    error ZeroAddress();

    /// @param marketplace May have no code yet, nor may `slasher`: they are deployed later, to addresses known beforehand.
    constructor(IERC20 stakeToken, IModelRegistry models, address marketplace, address slasher, address circuitBreaker)
        EntryPause(circuitBreaker)
    {
        if (address(stakeToken) == address(0) || address(models) == address(0)) revert ZeroAddress();
        if (marketplace == address(0) || slasher == address(0)) revert ZeroAddress();
        MARKETPLACE = marketplace;
        STAKE_TOKEN = stakeToken;
        MODELS = models;
        SLASHER = slasher;
    }

    /// @inheritdoc INodeRegistry
    function registerNode(
        uint96 stake,
        string calldata endpoint,
        string calldata region,
        bytes32 metadataHash,
        Offer[] calldata offers
    ) external whenEntryOpen {
        Record memory record = _records[msg.sender];
        if (_isRegistered(record)) revert AlreadyRegistered(msg.sender);
        if (stake < MIN_STAKE) revert StakeTooLow(stake, MIN_STAKE);
        if (offers.length == 0) revert NoOffers();

        record.stake = stake;
        record.infoBlock = uint48(block.number);
        _records[msg.sender] = record;
        emit NodeRegistered(msg.sender, stake);
        _announce(endpoint, region, metadataHash);
        _setOffers(record.generation, offers);
        STAKE_TOKEN.safeTransferFrom(msg.sender, address(this), stake);
    }

    /// @inheritdoc INodeRegistry
    function updateInfo(string calldata endpoint, string calldata region, bytes32 metadataHash) external {
        _registered().infoBlock = uint48(block.number);
        _announce(endpoint, region, metadataHash);
    }

    /// @inheritdoc INodeRegistry
    function setOffers(Offer[] calldata offers) external {
        if (offers.length == 0) revert NoOffers();
        _setOffers(_registered().generation, offers);
    }

    /// @inheritdoc INodeRegistry
    function removeOffer(bytes32 model, address token) external {
        bytes32 key = _offerKey(msg.sender, _registered().generation, model, token);
        if (!_isOffered(_prices[key])) revert OfferNotFound(model, token);
        delete _prices[key];
        emit OfferSet(msg.sender, model, token, 0, 0);
    }

    /// @inheritdoc INodeRegistry
    function addStake(uint96 amount) external whenEntryOpen {
        Record storage record = _registered();
        uint96 stake = record.stake + amount;
        record.stake = stake;
        emit StakeAdded(msg.sender, amount, stake);
        STAKE_TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc INodeRegistry
    function startUnbonding() external {
        Record storage record = _registered();
        if (record.unbondsAt != 0) revert Unbonding(record.unbondsAt);
        uint40 unbondsAt = uint40(block.timestamp) + UNBONDING_DELAY;
        record.unbondsAt = unbondsAt;
        emit UnbondingStarted(msg.sender, unbondsAt);
    }

    /// @inheritdoc INodeRegistry
    function cancelUnbonding() external {
        Record storage record = _registered();
        if (record.unbondsAt == 0) revert NotUnbonding();
        record.unbondsAt = 0;
        emit UnbondingCancelled(msg.sender);
    }

    /// @inheritdoc INodeRegistry
    function withdrawStake() external {
        Record memory record = _registered();
        if (record.unbondsAt == 0) revert NotUnbonding();
        if (block.timestamp < record.unbondsAt) revert StillUnbonding(record.unbondsAt);
        _records[msg.sender] =
            Record({stake: 0, unbondsAt: 0, infoBlock: 0, generation: record.generation + 1, claimsUsedUpAt: 0});
        emit StakeWithdrawn(msg.sender, record.stake);
        STAKE_TOKEN.safeTransfer(msg.sender, record.stake);
    }

    /// @inheritdoc INodeRegistry
    /// @dev The generic cell rate algorithm (ITU-T I.371): one word of state, and nothing to reset or count down.
    function admitClaim(address host, bytes32 model, address token) external {
        if (msg.sender != MARKETPLACE) revert NotMarketplace(msg.sender);
        Record memory record = _records[host];
        if (!_isServing(record, host, model, token)) revert NotServing(host, model, token);
        uint256 start = record.claimsUsedUpAt > block.timestamp ? record.claimsUsedUpAt : block.timestamp;
        uint256 next = start + CLAIM_INTERVAL;
        uint256 latest = block.timestamp + CLAIM_BURST * CLAIM_INTERVAL;
        if (next > latest) revert ClaimsTooFast(host, next - latest);
        // Not above `latest`.
        // forge-lint: disable-next-line(unsafe-typecast)
        record.claimsUsedUpAt = uint40(next);
        _records[host] = record;
    }

    /// @inheritdoc INodeRegistry
    function slash(address host, uint96 amount, address recipient) external {
        if (msg.sender != SLASHER) revert NotSlasher(msg.sender);
        Record storage record = _records[host];
        uint96 stake = record.stake;
        if (amount == 0 || amount > stake) revert SlashOutOfRange(amount, stake);
        uint96 left = stake - amount;
        record.stake = left;
        emit StakeSlashed(host, amount, left, recipient);
        STAKE_TOKEN.safeTransfer(recipient, amount);
    }

    /// @inheritdoc INodeRegistry
    function getNode(address host) external view returns (Node memory) {
        Record memory record = _records[host];
        return Node({stake: record.stake, unbondsAt: record.unbondsAt, infoBlock: record.infoBlock});
    }

    /// @inheritdoc INodeRegistry
    function priceOf(address host, bytes32 model, address token) external view returns (Price memory) {
        return _prices[_offerKey(host, _records[host].generation, model, token)];
    }

    /// @inheritdoc INodeRegistry
    function isServing(address host, bytes32 model, address token) external view returns (bool) {
        return _isServing(_records[host], host, model, token);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.NodeRegistry.v2");
    }

    function _announce(string calldata endpoint, string calldata region, bytes32 metadataHash) private {
        if (bytes(endpoint).length == 0) revert EmptyEndpoint();
        if (bytes(endpoint).length > MAX_ENDPOINT) revert EndpointTooLong(bytes(endpoint).length, MAX_ENDPOINT);
        if (bytes(region).length > MAX_REGION) revert RegionTooLong(bytes(region).length, MAX_REGION);
        emit NodeInfo(msg.sender, endpoint, region, metadataHash);
    }

    function _setOffers(uint32 generation, Offer[] calldata offers) private {
        for (uint256 i = 0; i < offers.length; ++i) {
            Offer calldata offer = offers[i];
            for (uint256 j = 0; j < i; ++j) {
                if (offers[j].model == offer.model && offers[j].token == offer.token) {
                    revert DuplicateOffer(offer.model, offer.token);
                }
            }
            Price calldata price = offer.price;
            if (!_isOffered(price)) revert ZeroPrice(offer.model, offer.token);
            if (!MODELS.isApproved(offer.model)) revert ModelNotApproved(offer.model);
            _prices[_offerKey(msg.sender, generation, offer.model, offer.token)] = price;
            emit OfferSet(msg.sender, offer.model, offer.token, price.input, price.output);
        }
    }

    function _isServing(Record memory record, address host, bytes32 model, address token) private view returns (bool) {
        return record.stake >= MIN_STAKE && record.unbondsAt == 0
            && _isOffered(_prices[_offerKey(host, record.generation, model, token)]);
    }

    function _registered() private view returns (Record storage record) {
        record = _records[msg.sender];
        if (!_isRegistered(record)) revert NotRegistered(msg.sender);
    }

    /// @dev Every registration names its block, and no block has number zero but the first.
    function _isRegistered(Record memory record) private pure returns (bool) {
        return record.infoBlock != 0;
    }

    function _isOffered(Price memory price) private pure returns (bool) {
        return price.input != 0 || price.output != 0;
    }

    function _offerKey(address host, uint32 generation, bytes32 model, address token) private pure returns (bytes32) {
        return keccak256(abi.encode(host, generation, model, token));
    }
}
