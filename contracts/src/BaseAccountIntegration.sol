// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {_packValidationData} from "@account-abstraction/contracts/core/Helpers.sol";
import {UserOperationLib} from "@account-abstraction/contracts/core/UserOperationLib.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IBaseAccountIntegration, Policy} from "./interfaces/IBaseAccountIntegration.sol";
import {Call} from "./interfaces/ISelfBatch.sol";
import {ISessionAccount} from "./interfaces/ISessionAccount.sol";
import {ISessionAccountFactory} from "./interfaces/ISessionAccountFactory.sol";
import {IVersioned} from "./interfaces/IVersioned.sol";
import {AccountCode} from "./libraries/AccountCode.sol";
import {MarketplaceCalls} from "./libraries/MarketplaceCalls.sol";
import {PaymasterData} from "./libraries/PaymasterData.sol";
import {SponsorLedger} from "./SponsorLedger.sol";

/// @title Gas for renters, from a market of sponsors.
/// @dev Validation reads no clock, which bundlers forbid (ERC-7562): the operation names its day, the limits are
/// counted for that day, and the EntryPoint refuses the operation on any other.
contract BaseAccountIntegration is SponsorLedger, IPaymaster, Ownable2Step, IVersioned {
    using UserOperationLib for PackedUserOperation;

    /// @inheritdoc IBaseAccountIntegration
    /// @dev Settling takes up to 28,000, the first credit of an account being 20,000 of them. Before it, the EntryPoint
    /// may spend 20,000 of the limit, and of 10,000 of its own, on the log of a failed operation. And settling takes
    /// 6,000 at least: the EntryPoint charges for a limit that is more than 40,000 above what is used.
    uint256 public constant POST_OP_GAS_LIMIT = 45_000;

    /// What an operation costs after the EntryPoint took the measure it tells `postOp`. No less than the truth in any
    /// state of the books, for the price of a unit of gas is whatever the sponsor likes: what is missing here would be
    /// taken out of the other sponsors' money at that price.
    uint256 private constant SETTLING_GAS = 8_500;
    /// More where a charge is not used up: earnings and a credit are written, and the credit may have been empty.
    uint256 private constant CREDIT_GAS = 4_500;
    uint256 private constant FIRST_CREDIT_GAS = 17_100;

    /// Bytes; some fifteen calls. The EntryPoint keeps it in memory while it settles, where every word then costs more
    /// the more there is, so a bound on it makes SETTLING_GAS one too.
    uint256 private constant MAX_CALL_DATA = 8_192;

    /// @inheritdoc IBaseAccountIntegration
    /// @dev The least that bundlers accept.
    uint32 public constant UNSTAKE_DELAY = 1 days;

    /// Wei in the unit that prices are for.
    uint256 private constant PRICE_UNIT = 1e18;

    /// Stands for the factory where the sender delegates (EntryPoint v0.8).
    bytes20 private constant DELEGATION_MARKER = bytes20(bytes2(0x7702));

    /// @inheritdoc IBaseAccountIntegration
    address public immutable MARKETPLACE;
    /// @inheritdoc IBaseAccountIntegration
    address public immutable FACTORY;
    address private immutable ACCOUNT_CODE;

    /// @dev What `postOp` needs to settle one operation; the policy may have changed by then.
    struct Pending {
        address sponsor;
        address account;
        uint256 maxCost;
        address token;
        uint96 price;
        uint256 charge;
    }

    modifier onlyEntryPoint() {
        if (msg.sender != ENTRY_POINT) revert NotEntryPoint(msg.sender);
        _;
    }

    constructor(address entryPoint, address marketplace, ISessionAccountFactory factory, address owner_)
        SponsorLedger(entryPoint)
        Ownable(owner_)
    {
        if (marketplace == address(0)) revert ZeroAddress();
        MARKETPLACE = marketplace;
        FACTORY = address(factory);
        ACCOUNT_CODE = factory.IMPLEMENTATION();
    }

    /// @inheritdoc IPaymaster
    function validatePaymasterUserOp(PackedUserOperation calldata userOp, bytes32, uint256 maxCost)
        external
        onlyEntryPoint
        returns (bytes memory context, uint256 validationData)
    {
        (address sponsor, uint32 day, address token, uint128 maxCharge) = PaymasterData.read(userOp.paymasterAndData);
        Policy memory policy = _policies[sponsor];
        _checkSender(userOp);
        _checkCalls(userOp.callData, policy.calls);
        uint256 maxFeePerGas = userOp.unpackMaxFeePerGas();
        if (maxFeePerGas > policy.maxFeePerGas) revert GasPriceTooHigh(maxFeePerGas, policy.maxFeePerGas);
        uint256 postOpGasLimit = userOp.unpackPostOpGasLimit();
        if (postOpGasLimit != POST_OP_GAS_LIMIT) revert PostOpGasLimit(postOpGasLimit, POST_OP_GAS_LIMIT);
        if (token != policy.token) revert WrongToken(token, policy.token);

        address account = userOp.sender;
        _reserve(sponsor, account, day, maxCost, policy);
        uint256 charge = _chargeRoundedUp(maxCost, policy.price);
        if (charge > maxCharge) revert ChargeTooHigh(charge, maxCharge);
        if (charge != 0) _takeCharge(sponsor, account, token, charge);
        context = abi.encode(Pending(sponsor, account, maxCost, token, policy.price, charge));
        validationData = _within(day);
    }

    /// @inheritdoc IPaymaster
    /// @dev Calls nobody, and the limit on its gas is known to be enough, so it cannot fail.
    function postOp(PostOpMode, bytes calldata context, uint256 actualGasCost, uint256 actualUserOpFeePerGas)
        external
        onlyEntryPoint
    {
        Pending memory pending = abi.decode(context, (Pending));
        uint256 cost = _upTo(actualGasCost + SETTLING_GAS * actualUserOpFeePerGas, pending.maxCost);
        uint256 charge = _chargeRoundedUp(cost, pending.price);
        if (charge != pending.charge) {
            uint256 creditGas = CREDIT_GAS;
            if (_credits[pending.account][pending.token] == 0) creditGas += FIRST_CREDIT_GAS;
            uint256 costWithCredit = _upTo(cost + creditGas * actualUserOpFeePerGas, pending.maxCost);
            charge = _chargeRoundedUp(costWithCredit, pending.price);
            // Where the credit would cost all there is to credit, none is written.
            if (charge != pending.charge) {
                cost = costWithCredit;
                _returnCharge(pending.sponsor, pending.account, pending.token, pending.charge - charge);
            }
        }
        // A part of what was set aside within 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        _release(pending.sponsor, pending.account, uint96(pending.maxCost - cost));
        emit OperationSponsored(pending.sponsor, pending.account, cost, pending.token, charge);
    }

    /// @inheritdoc IBaseAccountIntegration
    function addStake() external payable {
        // The EntryPoint would take the stake for locked again, and a stranger could keep it there without a wei.
        bool unlocking = IEntryPoint(ENTRY_POINT).getDepositInfo(address(this)).withdrawTime != 0;
        if (unlocking && msg.sender != owner()) revert StakeUnlocking();
        IEntryPoint(ENTRY_POINT).addStake{value: msg.value}(UNSTAKE_DELAY);
    }

    /// @inheritdoc IBaseAccountIntegration
    function unlockStake() external onlyOwner {
        IEntryPoint(ENTRY_POINT).unlockStake();
    }

    /// @inheritdoc IBaseAccountIntegration
    function withdrawStake(address payable to) external onlyOwner {
        IEntryPoint(ENTRY_POINT).withdrawStake(to);
    }

    /// @inheritdoc IVersioned
    function interfaceVersion() external pure returns (bytes32) {
        return keccak256("capstan.BaseAccountIntegration.v1");
    }

    /// @dev A factory is a stranger's code at the sponsor's cost, and so are calls into code that reads them in
    /// another way.
    function _checkSender(PackedUserOperation calldata userOp) private view {
        if (!AccountCode.runs(userOp.sender, ACCOUNT_CODE)) revert NotSessionAccount(userOp.sender);
        if (userOp.initCode.length == 0) return;
        bytes20 factory = bytes20(userOp.initCode);
        if (factory != bytes20(FACTORY) && factory != DELEGATION_MARKER) revert FactoryNotAllowed(address(factory));
    }

    /// @dev Decoded as the account will decode it, so that both see the same calls.
    function _checkCalls(bytes calldata callData, uint8 kinds) private view {
        if (callData.length > MAX_CALL_DATA) revert CallDataTooLong(callData.length, MAX_CALL_DATA);
        Call[] memory calls;
        // Shorter data counts as filled up with zeros, like that of any call.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 entry = bytes4(callData);
        if (entry == ISessionAccount.execute.selector) {
            calls = abi.decode(callData[4:], (Call[]));
        } else if (entry == ISessionAccount.executeWithKey.selector) {
            (, calls) = abi.decode(callData[4:], (address, Call[]));
        } else {
            revert CallNotSponsored(address(0), entry);
        }
        if (calls.length == 0) revert NothingToSponsor();
        for (uint256 i = 0; i < calls.length; ++i) {
            if (!_isSponsored(calls[i], kinds)) revert CallNotSponsored(calls[i].to, bytes4(calls[i].data));
        }
    }

    function _isSponsored(Call memory item, uint8 kinds) private view returns (bool) {
        bytes4 selector = bytes4(item.data);
        if (item.to == MARKETPLACE) return MarketplaceCalls.kindOf(selector) & kinds != 0;
        if (selector != IERC20.approve.selector || item.value != 0 || item.data.length < 36) return false;
        address spender;
        bytes memory data = item.data;
        assembly ("memory-safe") {
            // The word behind the selector.
            spender := mload(add(data, 0x24))
        }
        return spender == MARKETPLACE && kinds & (MarketplaceCalls.OPEN | MarketplaceCalls.TOP_UP) != 0;
    }

    /// @dev The EntryPoint never takes more than `most`.
    function _upTo(uint256 cost, uint256 most) private pure returns (uint256) {
        return cost < most ? cost : most;
    }

    /// @dev The first second of the day to the last, as the EntryPoint counts: after the one, up to the other.
    function _within(uint32 day) private pure returns (uint256) {
        uint48 start = uint48(day) * 1 days;
        return _packValidationData(false, start + 1 days - 1, start - 1);
    }

    /// @dev Base units of a price's token for `cost` wei; rounding is to the sponsor's good.
    function _chargeRoundedUp(uint256 cost, uint96 price) private pure returns (uint256) {
        return (cost * price + PRICE_UNIT - 1) / PRICE_UNIT;
    }
}
