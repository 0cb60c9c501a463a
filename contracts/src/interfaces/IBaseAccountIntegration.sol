// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev What a sponsor pays for. One that never set a policy pays for nothing.
struct Policy {
    /// Wei that one account may cost in a day, and all accounts together.
    uint96 dailyPerUser;
    uint96 dailyTotal;
    /// Wei per gas that an operation may offer at most.
    uint64 maxFeePerGas;
    /// Kinds of marketplace calls, added up: 1 open, 2 top up, 4 close. Zero stops everything.
    uint8 calls;
    /// What users pay with, and how many of its base units per 10^18 wei, the sponsor's premium included. Both zero:
    /// users pay nothing.
    address token;
    uint96 price;
}

/// @title Gas for renters, from a market of sponsors: an ERC-4337 paymaster for EntryPoint v0.8.
/// @notice Anyone may be a sponsor: pay native coin in, set a policy, and operations of `SessionAccount`s that name
/// the sponsor are paid from that money and no other. A sponsor that sets a price is paid in its token for each
/// operation; one that does not gives gas away within its limits. The sponsor may take out what is unspent at any
/// time, and nothing can pause that.
///
/// An operation names sponsor and day, and for a sponsor with a price also the token and the largest charge it
/// accepts (`libraries/PaymasterData.sol`). It is refused unless
/// - its sender runs the `SessionAccount` of FACTORY, as a clone or by delegation, so that its calls mean what they
///   say, and is created, if at all, by FACTORY;
/// - it calls `execute` or `executeWithKey` with marketplace calls of the policy's kinds, and approvals of the
///   marketplace where the policy lets sessions be opened or topped up, and with nothing else;
/// - its gas price is within the policy, and its largest cost within the sponsor's balance, what is left of the day
///   for the account, and what is left for all;
/// - in the sponsor's token, the largest cost is no more than the charge it accepts.
///
/// Charges are taken before the operation runs, from the account's credit here and then by allowance, and what was
/// not used is credited to the account afterwards and pays for its next operation. So an account that spends its
/// tokens or withdraws its allowance in the operation itself has paid all the same. Nothing outside this contract is
/// called after an operation, so no token and no recipient can make the settlement fail.
///
/// @dev Assumptions, limits and worst cases:
/// - Accounts are free to make, so `dailyPerUser` bounds an honest user and `dailyTotal` bounds the sponsor's loss.
///   Operations can be made to cost what they may: a user who is also the bundler can turn all of `dailyTotal` of a
///   sponsor without a price into its own income, every day, with as many accounts as that takes. A sponsor with a
///   price is paid for the same.
/// - A day is the one of UTC, so an account may spend twice its limit around midnight.
/// - The calls are checked and not what they do: a session in a token that its host wrote itself runs that token's
///   code at the sponsor's cost, within the limits.
/// - An operation that fails is paid for like one that succeeds.
/// - If the EntryPoint finds after the operation that its gas limits did not cover its cost, it undoes the settlement
///   and keeps the largest cost: the sponsor has spent that, and has been paid for it.
/// - What settling costs after the EntryPoint's own measure is charged as a constant above the truth: by 800 to 1,600
///   gas, or 4,500 where a credit paid for the operation. The difference stays in the EntryPoint's deposit, is
///   nobody's, and keeps the deposit above the sum of all balances. It holds for the gas that storage and logs cost
///   since Prague: before a fork that makes them dearer, sponsors should move to a paymaster made for it.
/// - Where the unused part of a charge would not pay for its own credit, the account pays the charge in full.
/// - The price is the sponsor's word; users accept it operation by operation, by the largest charge they name.
/// - Tokens must move exactly the amount asked; others are refused. A rebasing or malicious token can leave its own
///   credits short, and no other's. A token that forbids transfers to this contract cannot be used, and one that
///   forbids transfers from it keeps its credits here.
/// - An account that does not exist yet has no allowance, so its first operation needs a sponsor without a price, a
///   credit made before by `creditFor`, or its own coin.
/// - A sponsor that withdraws or changes its policy makes operations that wait for inclusion fail there. Bundlers
///   look at an operation again before they include it, and may trust the paymaster less: it is one for all sponsors.
/// - Bundlers take operations only if this contract has a stake, as it writes storage of its own in validation. The
///   stake belongs to the owner, a timelock, which can do nothing else: without stake gas is no longer sponsored by
///   public bundlers, and no sponsor's money is touched.
interface IBaseAccountIntegration {
    event SponsorFunded(address indexed sponsor, address indexed payer, uint256 amount);
    event SponsorWithdrawn(address indexed sponsor, address indexed to, uint256 amount);
    event PolicySet(address indexed sponsor, Policy policy);
    /// One operation is settled: what it took of the sponsor's balance, wei, and what its account paid, base units.
    event OperationSponsored(
        address indexed sponsor, address indexed account, uint256 cost, address token, uint256 charge
    );
    event Credited(address indexed account, address indexed token, address indexed payer, uint256 amount);
    event CreditWithdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);
    event EarningsWithdrawn(address indexed sponsor, address indexed token, address indexed to, uint256 amount);

    error NotEntryPoint(address caller);
    error ZeroAddress();
    error ZeroAmount();
    error BalanceTooLow(uint256 amount, uint256 balance);
    error NothingToWithdraw(address account, address token);
    error UnexpectedTransferAmount(uint256 received, uint256 expected);
    error InvalidCalls(uint8 calls);
    /// A token without a price, or a price without a token.
    error InvalidPrice(address token, uint96 price);
    /// Earnings of an operation that is not settled yet; they can be had in any later transaction.
    error OperationInFlight(address sponsor);
    /// The sponsor took earnings in this transaction, and so can earn nothing more in it.
    error EarningsTaken(address sponsor);
    /// The stake is on its way to the owner, and more would start its delay again.
    error StakeUnlocking();

    error NotSessionAccount(address sender);
    error FactoryNotAllowed(address factory);
    error PostOpGasLimit(uint256 given, uint256 expected);
    error CallDataTooLong(uint256 length, uint256 maximum);
    error CallNotSponsored(address to, bytes4 selector);
    error NothingToSponsor();
    error GasPriceTooHigh(uint256 maxFeePerGas, uint64 maximum);
    error WrongToken(address given, address expected);
    error UserLimitExceeded(uint256 spent, uint96 limit);
    error TotalLimitExceeded(uint256 spent, uint96 limit);
    error ChargeTooHigh(uint256 charge, uint128 accepted);

    /// @notice Adds native coin to a sponsor's balance; anyone may.
    function fund(address sponsor) external payable;

    /// @notice The caller takes unspent coin out of its balance as a sponsor.
    function withdraw(uint256 amount, address payable to) external;

    /// @notice Replaces the caller's policy as a sponsor. Operations already validated are settled at the old price.
    function setPolicy(Policy calldata policy) external;

    /// @notice Pays tokens in for an account's later operations, by the caller's allowance; anyone may.
    function creditFor(address account, address token, uint256 amount) external;

    /// @notice Sends all of the caller's credit to `to`.
    function withdrawCredit(address token, address to) external returns (uint256 amount);

    /// @notice Sends all that the caller earned as a sponsor to `to`.
    function withdrawEarnings(address token, address to) external returns (uint256 amount);

    /// @notice Adds to this contract's stake in the EntryPoint. A gift to the owner: only it can take the stake out,
    /// and while it is about to, only it can add more.
    function addStake() external payable;

    /// @notice Owner only: the stake can be taken out after UNSTAKE_DELAY.
    function unlockStake() external;

    /// @notice Owner only.
    function withdrawStake(address payable to) external;

    /// @notice A sponsor's unspent coin, wei.
    function balanceOf(address sponsor) external view returns (uint256);

    function policyOf(address sponsor) external view returns (Policy memory);

    /// @notice Wei that all accounts cost the sponsor on a day; known for the newest day only, zero for others.
    function spentOf(address sponsor, uint32 day) external view returns (uint256);

    /// @notice The same for one account.
    function spentBy(address sponsor, address account, uint32 day) external view returns (uint256);

    /// @notice Base units that pay for the account's next operations.
    function creditOf(address account, address token) external view returns (uint256);

    /// @notice Base units that a sponsor earned and did not take yet.
    function earningsOf(address sponsor, address token) external view returns (uint256);

    function ENTRY_POINT() external view returns (address);
    function MARKETPLACE() external view returns (address);
    function FACTORY() external view returns (address);
    /// The `paymasterPostOpGasLimit` that every operation has to name.
    function POST_OP_GAS_LIMIT() external view returns (uint256);
    /// Seconds.
    function UNSTAKE_DELAY() external view returns (uint32);
}
