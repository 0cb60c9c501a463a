// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Price of one model in one payment token, base units per million tokens. Both zero means not offered, so
/// an offered price has at least one side above zero.
struct Price {
    uint128 input;
    uint128 output;
}

/// @dev One line of a host's price list.
struct Offer {
    bytes32 model;
    address token;
    Price price;
}

/// @dev State of one host: one storage slot.
struct Node {
    /// FAB at stake, base units (18 decimals).
    uint96 stake;
    /// Unix seconds from which an unbonding stake may be withdrawn; 0 while serving.
    uint40 unbondsAt;
    /// Block of the newest NodeInfo event: where endpoint, region and metadata hash are read.
    uint48 infoBlock;
}

/// @title Hosts: stake, price list, endpoint.
/// @dev Nothing of unbounded length is stored: endpoint and region live in the NodeInfo event, whose block the
/// node's slot names. Prices are one slot per (host, model, token).
/// While entry is paused nobody registers and no stake is added; every other function works as always.
/// Assumption: the stake token moves exactly the amount asked, and no account can refuse it. FAB does.
/// Worst case: a faulty slasher can take stakes. It can hold up nobody's exit: what it did not take is paid out
/// after the delay, whatever is under appeal.
interface INodeRegistry {
    event NodeRegistered(address indexed host, uint96 stake);
    event NodeInfo(address indexed host, string endpoint, string region, bytes32 metadataHash);
    /// A zero price withdraws the offer.
    event OfferSet(address indexed host, bytes32 indexed model, address indexed token, uint128 input, uint128 output);
    event StakeAdded(address indexed host, uint96 amount, uint96 stake);
    event UnbondingStarted(address indexed host, uint40 unbondsAt);
    event UnbondingCancelled(address indexed host);
    event StakeWithdrawn(address indexed host, uint96 amount);
    /// `stake` is what is left.
    event StakeSlashed(address indexed host, uint96 amount, uint96 stake, address recipient);

    error AlreadyRegistered(address host);
    error NotRegistered(address host);
    error StakeTooLow(uint96 stake, uint96 minimum);
    error EmptyEndpoint();
    error EndpointTooLong(uint256 length, uint256 maximum);
    error RegionTooLong(uint256 length, uint256 maximum);
    error NoOffers();
    error ZeroPrice(bytes32 model, address token);
    error DuplicateOffer(bytes32 model, address token);
    error ModelNotApproved(bytes32 model);
    error OfferNotFound(bytes32 model, address token);
    error Unbonding(uint40 unbondsAt);
    error NotUnbonding();
    error StillUnbonding(uint40 unbondsAt);
    error NotMarketplace(address caller);
    error NotServing(address host, bytes32 model, address token);
    /// In `wait` seconds the host may claim again.
    error ClaimsTooFast(address host, uint256 wait);
    error NotSlasher(address caller);
    error SlashOutOfRange(uint96 amount, uint96 stake);

    /// @notice Registers the caller as a host; `stake` FAB are taken by allowance. Two offers for the same
    /// (model, token) in one call are refused.
    function registerNode(
        uint96 stake,
        string calldata endpoint,
        string calldata region,
        bytes32 metadataHash,
        Offer[] calldata offers
    ) external;

    function updateInfo(string calldata endpoint, string calldata region, bytes32 metadataHash) external;

    /// @notice Sets or changes prices. Sessions already open keep the price their parties agreed on.
    function setOffers(Offer[] calldata offers) external;

    function removeOffer(bytes32 model, address token) external;

    function addStake(uint96 amount) external;

    /// @notice From now on the host takes no new session; the stake can be withdrawn after UNBONDING_DELAY.
    function startUnbonding() external;

    function cancelUnbonding() external;

    /// @notice Pays the stake out after the delay and deletes the node with its whole price list.
    function withdrawStake() external;

    /// @notice Marketplace only: lets a host take one more job on. Refused unless it serves, and once it has taken
    /// CLAIM_BURST at once: it then gets one more every CLAIM_INTERVAL.
    function admitClaim(address host, bytes32 model, address token) external;

    /// @notice Slasher only: moves `amount`, above zero and at most the stake, to `recipient`. A host left with less
    /// than MIN_STAKE takes no new session until it adds to its stake, and leaves with the rest like any other.
    function slash(address host, uint96 amount, address recipient) external;

    function getNode(address host) external view returns (Node memory);

    /// @notice Price of a model in a token; both zero if not offered.
    function priceOf(address host, bytes32 model, address token) external view returns (Price memory);

    /// @notice True while a new session may be opened: registered, not unbonding, stake sufficient, model offered.
    function isServing(address host, bytes32 model, address token) external view returns (bool);

    function STAKE_TOKEN() external view returns (IERC20);
    /// The one account that may slash; fixed for ever.
    function SLASHER() external view returns (address);
    function MIN_STAKE() external view returns (uint96);
    /// Seconds for which one claim counts.
    function CLAIM_INTERVAL() external view returns (uint40);
    /// How many jobs a host that has rested may claim at once.
    function CLAIM_BURST() external view returns (uint40);
    function MARKETPLACE() external view returns (address);
    /// Seconds; longer than MAX_SESSION + TIMEOUT_GRACE + CHALLENGE_WINDOW of the marketplace.
    function UNBONDING_DELAY() external view returns (uint40);
}
