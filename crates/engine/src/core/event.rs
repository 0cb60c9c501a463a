//! What a lane is told.

use alloy_primitives::Bytes;
use capstan_base::{B256, U256, UnixSeconds};
use capstan_chain::{BlockRef, Fees, GasPrice, Receipt, SendOutcome, SignedTransaction};
use capstan_store::{FlightId, Intent, IntentId};

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

/// What a search for the transaction that used a nonce brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// It is this one.
    Found {
        /// Its hash.
        hash: B256,
        /// Its block's height and hash.
        block: (u64, B256),
    },
    /// No transaction of the blocks that were looked at used it.
    NotFound,
    /// The chain could not be searched.
    Unavailable,
}

/// Whether an intent's effect is on the chain, by whatever transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is, in a final block.
    Done,
    /// It is, in a block that is not final yet.
    NotFinal,
    /// It is, and no endpoint can say whether in a final block: those have no state so old.
    Unread,
    /// It is not, or there is no way to tell.
    NotDone,
    /// The chain could not be asked.
    Unavailable,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A queued intent was read from the store. Known ones are ignored.
    Queued(Box<Intent>),
    /// The chain was looked at.
    Viewed(Box<View>),
    /// The chain said what a call would do; `None` if it could not be asked.
    Estimated(Vec<IntentId>, Option<Estimate>),
    /// The chain was asked for an intent's effect.
    Asked(IntentId, Answer),
    /// An attempt was signed and stored.
    Recorded {
        /// Its nonce.
        nonce: u64,
        /// Its flight.
        flight: FlightId,
        /// Its bytes.
        signed: SignedTransaction,
        /// Its fees.
        fees: Fees,
        /// True if it only uses the nonce up.
        voids: bool,
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
    /// The transaction that used a nonce was searched for.
    Searched {
        /// Nonce.
        nonce: u64,
        /// What was found.
        search: Search,
    },
}

/// Revert data as text for a person.
pub(super) fn revert_text(data: &Bytes) -> String {
    if data.is_empty() { "no revert data".to_owned() } else { data.to_string() }
}
