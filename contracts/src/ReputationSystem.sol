// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IProtocolFee} from "./interfaces/IProtocolFee.sol";
import {IReputationSystem, Score} from "./interfaces/IReputationSystem.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";

/// @title Reputation of hosts.
/// @dev A close writes nothing here: it would cost every session more than its voucher check. The marketplace's ledger
/// sums the fees beside the balance it writes anyway, and this contract reads the sum. No function can revert for a
/// reason that lies in its state, as the marketplace records faults on the way out of a job.
contract ReputationSystem is IReputationSystem, IVersioned {
    /// @inheritdoc IReputationSystem
    /// @dev A month: long enough that a week off costs little, short enough that a bad host of last year is forgotten.
    uint40 public constant HALF_LIFE = 30 days;

    uint256 private constant BASIS_POINTS = 10_000;

    /// @inheritdoc IReputationSystem
    address public immutable MARKETPLACE;

    struct Record {
        Score score;
        /// The marketplace's sum when it was last taken over.
        uint128 seen;
        /// When that was; 0 for never.
        uint40 syncedAt;
    }

    mapping(address host => mapping(address token => Record)) private _records;

    /// @param marketplace May be an address that has no code yet: the two name each other.
    constructor(address marketplace) {
        if (marketplace == address(0)) revert ZeroMarketplace();
        MARKETPLACE = marketplace;
    }

    /// @inheritdoc IReputationSystem
    function sync(address host, address token) external {
        _sync(host, token, 0);
    }

    /// @inheritdoc IReputationSystem
    function recordFault(address host, address token, uint128 weight) external {
        if (msg.sender != MARKETPLACE) revert NotMarketplace(msg.sender);
        emit FaultRecorded(host, token, weight);
        _sync(host, token, weight);
    }

    /// @inheritdoc IReputationSystem
    function scoreOf(address host, address token) external view returns (Score memory score) {
        (score,) = _current(host, token);
    }

    /// @inheritdoc IReputationSystem
    function scoresOf(address[] calldata hosts, address token) external view returns (Score[] memory scores) {
        scores = new Score[](hosts.length);
        for (uint256 i = 0; i < hosts.length; ++i) {
            (scores[i],) = _current(hosts[i], token);
        }
    }

    /// @inheritdoc IReputationSystem
    function qualityOf(address host, address token) external view returns (uint16 bps) {
        (Score memory score,) = _current(host, token);
        uint256 whole = uint256(score.merit) + score.fault;
        if (whole == 0) return 0;
        // At most 10,000.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(score.merit * BASIS_POINTS / whole);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.ReputationSystem.v1");
    }

    function _sync(address host, address token, uint128 fault) private {
        (Score memory score, uint128 brought) = _current(host, token);
        score.fault = _cappedSum(score.fault, fault);
        _records[host][token] = Record({score: score, seen: brought, syncedAt: uint40(block.timestamp)});
        emit ScoreSynced(host, token, score.merit, score.fault);
    }

    /// @dev The record as of now, and the marketplace's sum it takes in.
    function _current(address host, address token) private view returns (Score memory score, uint128 brought) {
        Record memory record = _records[host][token];
        // Fees lie in the upper half of a ledger word.
        // forge-lint: disable-next-line(unsafe-typecast)
        brought = uint128(IProtocolFee(MARKETPLACE).feesBroughtBy(host, token));
        // Before the first time, as old as one HALF_LIFE.
        (uint256 from, uint256 to) = record.syncedAt == 0
            ? (block.timestamp, block.timestamp + HALF_LIFE)
            : (uint256(record.syncedAt), block.timestamp);
        uint128 merit = _cappedSum(record.score.merit, brought - record.seen);
        score = Score({merit: _decayed(merit, from, to), fault: _decayed(record.score.fault, from, to)});
    }

    /// @dev Falls from one multiple of HALF_LIFE to the next along a straight line to the half, which is at most 6 %
    /// off the curve; over exactly one HALF_LIFE it is the half. The lines hang on the calendar and not on the last
    /// sync: each begun anew at every sync, the slope of its start would last, and whoever has a record synced every
    /// day would stretch its half-life by 40 %.
    function _decayed(uint128 amount, uint256 from, uint256 to) private pure returns (uint128) {
        uint256 halvings = to / HALF_LIFE - from / HALF_LIFE;
        uint256 twice = 2 * uint256(HALF_LIFE);
        // More than `amount` only where a halving follows, and never twice as much.
        uint256 left = uint256(amount) * (twice - to % HALF_LIFE) / (twice - from % HALF_LIFE) >> halvings;
        // Not above `amount`.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint128(left);
    }

    /// @dev A score is no money: at the end of its range it stays there, rather than hold up the job that adds to it.
    function _cappedSum(uint128 a, uint128 b) private pure returns (uint128) {
        uint256 sum = uint256(a) + b;
        // Checked on this line.
        // forge-lint: disable-next-line(unsafe-typecast)
        return sum > type(uint128).max ? type(uint128).max : uint128(sum);
    }
}
