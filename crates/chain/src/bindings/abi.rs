//! Solidity interfaces as Rust types. As the interfaces in `contracts/src/interfaces`.
#![allow(missing_docs, clippy::too_many_arguments, clippy::pedantic)]

use alloy_sol_types::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    interface JobMarketplace {
        struct SessionTerms {
            address host;
            address renter;
            address token;
            uint96 deposit;
            uint40 expiry;
            address voucherKey;
            bytes32 model;
            bytes32 salt;
        }
        struct Voucher {
            bytes32 sessionId;
            uint96 amount;
            uint64 tokens;
            bytes32 transcriptRoot;
        }
        struct Completion {
            SessionTerms terms;
            Voucher voucher;
            bytes signature;
            uint96 claim;
        }
        struct Session {
            uint8 status;
            uint16 feeBps;
            uint40 challengeEnd;
            uint96 presented;
            uint96 topUp;
        }

        event SessionOpened(bytes32 indexed sessionId, address indexed host, address indexed renter, SessionTerms terms, uint16 feeBps);
        event SessionToppedUp(bytes32 indexed sessionId, address indexed payer, uint96 amount, uint96 topUp);
        event SessionClosing(bytes32 indexed sessionId, uint40 challengeEnd, uint96 presented);
        event VoucherPresented(bytes32 indexed sessionId, uint96 amount);
        event SessionClosed(bytes32 indexed sessionId, address indexed host, address indexed renter, uint8 reason, address token, uint96 hostPaid, uint96 fee, uint96 refund, uint64 tokens, bytes32 transcriptRoot);
        event SessionCompletionFailed(uint256 indexed index, bytes32 indexed sessionId, bytes reason);
        event Credited(address indexed account, address indexed token, uint256 amount);
        event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

        error ZeroDeposit();
        error WrongValue(uint256 sent, uint256 expected);
        error NotRenter(address caller);
        error NotHost(address caller);
        error ExpiryOutOfRange(uint40 expiry, uint40 earliest, uint40 latest);
        error ZeroVoucherKey();
        error HostNotServing(address host, bytes32 model, address token);
        error SessionExists(bytes32 sessionId);
        error SessionNotOpen(bytes32 sessionId);
        error SessionNotClosing(bytes32 sessionId);
        error SessionExpired(bytes32 sessionId);
        error ChallengeRunning(uint40 challengeEnd);
        error NotExpired(uint40 timeoutAt);
        error WrongSession(bytes32 expected, bytes32 given);
        error BadSignature();
        error AmountAboveDeposit(uint256 amount, uint256 deposit);
        error ClaimAboveVoucher(uint96 claim, uint96 amount);
        error AmountNotHigher(uint96 amount, uint96 presented);
        error DepositTooLarge();
        error FeeAboveCap(uint16 feeBps, uint16 cap);
        error NothingToWithdraw(address account, address token);
        error WithdrawalFailed(address to);
        error UnexpectedTransferAmount(uint256 received, uint256 expected);

        function createSessionJob(SessionTerms calldata terms) external payable returns (bytes32 sessionId);
        function createSessionJobWithPermit(SessionTerms calldata terms, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external returns (bytes32 sessionId);
        function topUp(SessionTerms calldata terms, uint96 amount) external payable;
        function completeSessionJob(Completion calldata completion) external;
        function completeSessionJobs(Completion[] calldata completions) external;
        function requestSessionClose(SessionTerms calldata terms, uint96 acknowledged) external;
        function presentVoucher(SessionTerms calldata terms, Voucher calldata voucher, bytes calldata signature) external;
        function finalizeSession(SessionTerms calldata terms) external;
        function triggerSessionTimeout(SessionTerms calldata terms) external;
        function getJob(SessionTerms calldata terms) external view returns (bytes32 sessionId, Session memory session);
        function sessions(bytes32 sessionId) external view returns (Session memory session);
        function feeBps() external view returns (uint16);
        function balanceOf(address account, address token) external view returns (uint256);
        function withdraw(address token, address to) external returns (uint256 amount);
        function withdrawMany(address[] calldata tokens, address to) external;
    }

    #[derive(Debug, PartialEq, Eq)]
    interface NodeRegistry {
        struct Price {
            uint128 input;
            uint128 output;
        }
        struct Offer {
            bytes32 model;
            address token;
            Price price;
        }
        struct Node {
            uint96 stake;
            uint40 unbondsAt;
            uint48 infoBlock;
        }

        event NodeInfo(address indexed host, string endpoint, string region, bytes32 metadataHash);

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

        function registerNode(uint96 stake, string calldata endpoint, string calldata region, bytes32 metadataHash, Offer[] calldata offers) external;
        function updateInfo(string calldata endpoint, string calldata region, bytes32 metadataHash) external;
        function setOffers(Offer[] calldata offers) external;
        function removeOffer(bytes32 model, address token) external;
        function addStake(uint96 amount) external;
        function startUnbonding() external;
        function cancelUnbonding() external;
        function withdrawStake() external;
        function getNode(address host) external view returns (Node memory);
        function priceOf(address host, bytes32 model, address token) external view returns (Price memory);
        function isServing(address host, bytes32 model, address token) external view returns (bool);
        function MIN_STAKE() external view returns (uint96);
        function UNBONDING_DELAY() external view returns (uint40);
    }

    #[derive(Debug, PartialEq, Eq)]
    interface ModelRegistry {
        error ZeroModel();
        error AlreadyApproved(bytes32 model);
        error NotApproved(bytes32 model);

        function approveModel(bytes32 model, string calldata uri) external;
        function revokeModel(bytes32 model) external;
        function isApproved(bytes32 model) external view returns (bool);
    }

    #[derive(Debug, PartialEq, Eq)]
    interface IVersioned {
        function interfaceVersion() external view returns (bytes32);
    }

    /// ERC-20 with EIP-2612, and the custom errors of ERC-6093.
    #[derive(Debug, PartialEq, Eq)]
    interface IErc20 {
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error OwnableUnauthorizedAccount(address account);
        error SafeERC20FailedOperation(address token);

        function approve(address spender, uint256 value) external returns (bool);
        function transfer(address to, uint256 value) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function mint(address to, uint256 amount) external;
    }

    /// Predeploy of the OP stack: https://specs.optimism.io/protocol/fjord/predeploys.html
    #[derive(Debug, PartialEq, Eq)]
    interface GasPriceOracle {
        function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256);
    }
}
