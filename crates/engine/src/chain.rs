//! The seam to a chain: what a lane must be able to ask and to send.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256, UnixSeconds};

/// Which block counts as the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadTag {
    /// Newest block, JSON-RPC `latest`.
    Included,
    /// JSON-RPC `safe`.
    Safe,
    /// JSON-RPC `finalized`.
    Finalized,
}

/// A block's header, as far as the engine cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Block time.
    pub timestamp: UnixSeconds,
    /// Wei per gas burnt (EIP-1559); `None` on a chain without it.
    pub base_fee: Option<u128>,
}

/// What the chain asks for gas now, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// EIP-1559.
    Eip1559 {
        /// Base fee of the newest block.
        base: u128,
        /// Suggested priority fee.
        priority: u128,
    },
    /// A chain with one gas price.
    Legacy {
        /// Suggested price.
        gas_price: u128,
    },
}

/// A call to estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Sender.
    pub from: Address,
    /// Contract or account called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// What the chain says a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// It would go through.
    Gas {
        /// Gas it would use.
        gas: u64,
        /// Wei a rollup may charge besides, for posting it to its own chain (OP stack: L1 fee).
        /// Not bounded by any field of the transaction, so it comes out of the intent's budget.
        l1_fee: U256,
    },
    /// It would revert, with this data. Only if the EVM said so: any other refusal is an error.
    Revert(Bytes),
}

/// What became of handing over raw bytes. The adapter reads it from the codes and words of the
/// nodes it knows; the engine never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// A node took it.
    Accepted,
    /// A node has it already, in its pool or in a block.
    AlreadyKnown,
    /// The account's nonce is past it, in that node's view.
    NonceTooLow,
    /// The node refuses gaps and there is one before it.
    NonceTooHigh,
    /// Below the pool's price, or no more than 10 % above what it would replace.
    Underpriced,
    /// The account cannot pay for it.
    InsufficientFunds,
    /// The pool, or the account's share of it, is full.
    PoolFull,
    /// Refused for another reason.
    Rejected(String),
    /// Timeout or transport error: it may have been taken.
    Unknown(String),
}

/// A transaction's receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// True if it did not revert.
    pub status: bool,
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Gas used.
    pub gas_used: u64,
    /// Wei per gas paid.
    pub effective_gas_price: u128,
}

/// The chain could not be asked. Says nothing about what is on it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation}: {message}")]
pub struct ChainError {
    /// What was asked, in the infinitive.
    pub operation: &'static str,
    /// The transport's or node's words.
    pub message: String,
}

/// One chain, as a lane sees it.
///
/// Reads may come from any node and may lag or contradict each other: the engine draws no negative
/// conclusion from one answer. An adapter that asks several nodes should answer `receipt` with a
/// receipt if any has one, `block_hash` by majority, and `account_nonce` from the freshest head.
#[async_trait]
pub trait LaneChain: Send + Sync + 'static {
    /// The chain's EIP-155 id, which signatures bind to.
    fn chain_id(&self) -> ChainId;
    /// A head; `None` if the chain has no such block yet, as with tags on a young chain.
    async fn head(&self, tag: HeadTag) -> Result<Option<Head>, ChainError>;
    /// Hash of the canonical block at a height; `None` if there is none yet.
    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError>;
    /// Transactions the account has in blocks up to the newest one, its pool not counted.
    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError>;
    /// Wei the account holds at the newest block.
    async fn balance(&self, account: Address) -> Result<U256, ChainError>;
    /// Runs a call without effect.
    async fn estimate_gas(&self, call: &Call) -> Result<Estimate, ChainError>;
    /// What gas costs now.
    async fn suggest_fees(&self) -> Result<Fees, ChainError>;
    /// Hands signed bytes over. Sending the same bytes again is harmless.
    async fn send_raw(&self, raw: &Bytes) -> SendOutcome;
    /// Receipt of a transaction; `None` if the node has none.
    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError>;
}
