//! Solidity twins of the session types, for their ABI encoding and EIP-712 hashes.

use alloy_sol_types::sol;

sol! {
    /// As `SessionTerms` in `contracts/src/interfaces/SessionTypes.sol`.
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

    /// As `Voucher` there; EIP-712 type.
    struct Voucher {
        bytes32 sessionId;
        uint96 amount;
        uint64 tokens;
        bytes32 transcriptRoot;
    }

    /// As `Receipt` in `contracts/src/interfaces/IHostSlashing.sol`; EIP-712 type.
    struct Receipt {
        bytes32 sessionId;
        uint96 amount;
        uint64 tokens;
        bytes32 transcriptRoot;
        bool last;
    }

    /// Output of an agent, under the domain of the AgentRegistry; never sent on chain.
    struct AgentOutput {
        uint256 requestId;
        uint256 agentId;
        bytes32 dataHash;
        uint64 executions;
        uint64 consensusRound;
    }

    /// Proof of holding the voucher key when a connection attaches to a session; never sent on chain.
    struct Attach {
        bytes32 sessionId;
        bytes32 challenge;
    }
}
