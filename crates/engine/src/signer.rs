//! The seam to a key. `evm` has the one for a key held in this process.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};

/// Fees a transaction offers, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxFees {
    /// EIP-1559, transaction type 2.
    Eip1559 {
        /// Most it pays in all.
        max_fee: u128,
        /// Most of it that goes to the block's producer; no more than `max_fee`.
        priority_fee: u128,
    },
    /// Before EIP-2718, with the chain id of EIP-155.
    Legacy {
        /// What it pays.
        gas_price: u128,
    },
}

impl TxFees {
    /// Most it pays per gas.
    pub const fn max_fee(self) -> u128 {
        match self {
            Self::Eip1559 { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// Most that goes to the block's producer, if that is said apart.
    pub const fn priority_fee(self) -> Option<u128> {
        match self {
            Self::Eip1559 { priority_fee, .. } => Some(priority_fee),
            Self::Legacy { .. } => None,
        }
    }

    /// From the stored pair.
    pub const fn from_parts(max_fee: u128, priority_fee: Option<u128>) -> Self {
        match priority_fee {
            Some(priority_fee) => Self::Eip1559 { max_fee, priority_fee },
            None => Self::Legacy { gas_price: max_fee },
        }
    }
}

/// A transaction to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTx {
    /// Chain it is valid on.
    pub chain_id: ChainId,
    /// Sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Fees.
    pub fees: TxFees,
    /// Contract or account called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// Keccak-256 of them.
    pub hash: B256,
}

/// A key could not sign. The text never holds key material.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignerError(pub String);

/// A key that signs transactions of one account. Signing the same transaction twice may give other
/// bytes; the engine stores what it got and never signs again to send again.
#[async_trait]
pub trait LaneSigner: Send + Sync + 'static {
    /// The account.
    fn address(&self) -> Address;
    /// Signs.
    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError>;
}
