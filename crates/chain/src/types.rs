//! What a chain answers, in this product's terms.

use capstan_base::{Address, Amount, B256, SessionId, SessionTerms, U256, UnixSeconds};

pub use alloy_primitives::{Bytes, LogData};

/// Which state a read is made against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockTag {
    /// The newest block the endpoint knows.
    #[default]
    Latest,
    /// The newest block that is safe from reorgs of this chain (on a rollup: posted to its L1).
    Safe,
    /// The newest block that is final (on a rollup: its L1 block is final).
    Finalized,
    /// The block of this number.
    Number(u64),
}

/// One block, as far as anything here needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash: two blocks of one height differ in it.
    pub hash: B256,
    /// When it was made, by the chain's own clock.
    pub timestamp: UnixSeconds,
    /// EIP-1559 base fee, wei per gas; `None` on chains without one.
    pub base_fee: Option<u128>,
}

/// What used a nonce of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceUse {
    /// The mined transaction.
    pub tx_hash: B256,
    /// Its block.
    pub block: BlockRef,
}

impl NonceUse {
    /// True if both name the same transaction in the same block.
    pub fn agrees(&self, other: &Self) -> bool {
        let told = |used: &Self| (used.tx_hash, used.block.number, used.block.hash);
        told(self) == told(other)
    }
}

/// Gas that a call would need, or why it would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GasEstimate {
    /// Gas units, without a margin.
    Gas(u64),
    /// It would revert with this data; see [`crate::bindings::decode_revert`].
    Revert(Bytes),
}

/// One log of a receipt or a log query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Contract that emitted it.
    pub address: Address,
    /// Topics and data.
    pub data: LogData,
    /// Block it lies in.
    pub block_number: u64,
    /// Transaction that emitted it.
    pub tx_hash: B256,
}

/// A transaction that was included, whether it succeeded or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub tx_hash: B256,
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block: compare with [`crate::ChainClient::block_hash`] to see whether the block
    /// is still canonical.
    pub block_hash: B256,
    /// False if it reverted; it cost gas all the same.
    pub success: bool,
    /// Gas units used.
    pub gas_used: u64,
    /// Wei per gas that was really paid.
    pub effective_gas_price: u128,
    /// OP stack: wei paid for data on the L1, on top of gas.
    pub l1_fee: u128,
    /// Contract it created.
    pub contract_address: Option<Address>,
    /// What it emitted.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// True if both tell the same of a transaction: everything that anything is concluded from. What
    /// it paid is left out, since not every dialect tells all of it.
    pub fn agrees(&self, other: &Self) -> bool {
        let told = |receipt: &Self| {
            (receipt.block_number, receipt.block_hash, receipt.success, receipt.gas_used)
        };
        self.tx_hash == other.tx_hash && told(self) == told(other) && self.logs == other.logs
    }

    /// Wei that the sender paid beyond the transaction's value.
    pub fn cost(&self) -> U256 {
        U256::from(self.gas_used)
            .saturating_mul(U256::from(self.effective_gas_price))
            .saturating_add(U256::from(self.l1_fee))
    }
}

/// Where a session stands on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// No session was ever opened under this id.
    None,
    /// Open.
    Active,
    /// The renter asked to close; the challenge window runs.
    Closing,
    /// Settled for good.
    Closed,
}

/// The slot of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Where it stands.
    pub status: SessionStatus,
    /// Protocol fee, basis points of what the host is paid, fixed at opening.
    pub fee_bps: u16,
    /// When a closing session may be finalised; zero unless closing.
    pub challenge_end: UnixSeconds,
    /// Highest amount presented while closing.
    pub presented: Amount,
    /// Added to the deposit since opening.
    pub top_up: Amount,
}

/// One host in the node registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// FAB at stake.
    pub stake: Amount,
    /// When the stake may be withdrawn; `None` while serving.
    pub unbonds_at: Option<UnixSeconds>,
    /// Block of the newest [`NodeInfo`].
    pub info_block: u64,
}

/// A host's record in one token: base units of protocol fee, decayed to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// By what its work brought.
    pub merit: u128,
    /// By what work that failed would have brought.
    pub fault: u128,
}

/// What a host says of itself, from its newest event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Base URL of its API. Written by a stranger: check before connecting.
    pub endpoint: String,
    /// Region, in the host's own words.
    pub region: String,
    /// Hash of further metadata, zero if there is none.
    pub metadata_hash: B256,
}

/// A session as its opening event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// Its terms; their hash is the id that was asked for.
    pub terms: SessionTerms,
    /// Protocol fee, basis points.
    pub fee_bps: u16,
    /// Block of the event.
    pub block_number: u64,
    /// Transaction that opened it.
    pub tx_hash: B256,
}

/// What ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The host completed it.
    Completed,
    /// The renter's close was finalised after its challenge window.
    Finalized,
    /// Somebody timed it out after expiry and grace.
    TimedOut,
}

/// How a session was settled: `host_paid + fee + refund` is the deposit and every top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Session that was closed.
    pub session_id: SessionId,
    /// What ended it.
    pub reason: CloseReason,
    /// Payment token; the zero address is the native coin.
    pub token: Address,
    /// Credited to the host.
    pub host_paid: Amount,
    /// Protocol fee.
    pub fee: Amount,
    /// Returned to the renter.
    pub refund: Amount,
    /// Tokens of the voucher; zero without one.
    pub tokens: u64,
    /// Transcript root of the voucher; zero without one.
    pub transcript_root: B256,
    /// Transaction that closed it.
    pub tx_hash: B256,
    /// Its block.
    pub block_number: u64,
}
