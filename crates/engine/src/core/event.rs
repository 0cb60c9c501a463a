//! What a lane is told.

use alloy_primitives::Bytes;
use capstan_base::{B256, U256, UnixSeconds};
use capstan_chain::{BlockRef, Fees, GasPrice, Receipt, SendOutcome, SignedTransaction};
use capstan_store::{Intent, IntentId};

use crate::chain::Estimate;

/// One look at the chain. The head is read before everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Newest block.
    pub head: BlockRef,
    /// Highest block that is final by the lane's policy; `None` before there is one.
    pub final_height: Option<u64>,
    /// Account's transactions in blocks.
    pub account_nonce: u64,
    /// Account's wei.
    pub balance: U256,
    /// What gas costs.
    pub gas_price: GasPrice,
    /// Time of this machine.
    pub now: UnixSeconds,
}

/// Whether a block is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// The hash at its height is its hash.
    Yes,
    /// The hash at its height is another.
    No,
    /// The chain could not say.
    Unknown,
}

/// What was found of a nonce's attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// One has a receipt.
    Found {
        /// Which.
        hash: B256,
        /// The receipt.
        receipt: Receipt,
        /// Whether its block is on the chain.
        canonical: Canonical,
    },
    /// Every one was asked for and none has a receipt.
    Missing,
    /// At least one could not be asked for, and no other has a receipt.
    Unavailable,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A queued intent was read from the store. Known ones are ignored.
    Queued(Box<Intent>),
    /// The chain was looked at.
    Viewed(Box<View>),
    /// The chain said what an intent's call would do; `None` if it could not be asked.
    Estimated(IntentId, Option<Estimate>),
    /// An attempt was signed and stored.
    Recorded {
        /// Its nonce.
        nonce: u64,
        /// Its bytes.
        signed: SignedTransaction,
        /// Its fees.
        fees: Fees,
    },
    /// An attempt could not be signed; nothing was stored.
    NotSigned {
        /// Its nonce.
        nonce: u64,
        /// Why.
        reason: String,
    },
    /// Bytes were handed over, or not.
    Sent {
        /// Nonce.
        nonce: u64,
        /// Attempt.
        hash: B256,
        /// What became of it.
        outcome: SendOutcome,
    },
    /// A nonce's attempts were looked for.
    Looked {
        /// Nonce.
        nonce: u64,
        /// How many attempts were asked for.
        attempts: usize,
        /// Whether the block the lane named is on the chain.
        anchor: Canonical,
        /// What was found.
        look: Look,
    },
}

/// Revert data as text for a person.
pub(super) fn revert_text(data: &Bytes) -> String {
    if data.is_empty() { "no revert data".to_owned() } else { data.to_string() }
}
