//! What a lane asks for.

use alloy_primitives::Bytes;
use capstan_base::{B256, U256};
use capstan_chain::{Call, TxFields};
use capstan_store::{Failure, Inclusion, IntentId};

/// Something for an operator to know. Nothing waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// The account cannot pay for an intent, which waits.
    InsufficientFunds {
        /// Which.
        intent: IntentId,
        /// Wei it needs.
        needed: U256,
        /// Wei there are, beyond what is in flight.
        available: U256,
    },
    /// Nodes refuse an attempt's bytes.
    Refused {
        /// For which intent.
        intent: IntentId,
        /// What they say.
        reason: String,
    },
    /// A nonce was used up by a transaction the engine did not make: another program has the key.
    NonceUsedByAnother {
        /// Intent that lost it.
        intent: IntentId,
        /// The nonce.
        nonce: u64,
    },
}

/// Something to do. Its result, if it has one, comes back as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask what a call from the lane's account would do: [`super::Event::Estimated`].
    Estimate {
        /// Intent it is for.
        intent: IntentId,
        /// The call.
        call: Call,
    },
    /// Sign, store, and only then answer: [`super::Event::Recorded`] or
    /// [`super::Event::NotSigned`]. If the store fails the lane starts again from the store.
    Sign {
        /// Intent it is for.
        intent: IntentId,
        /// What to sign.
        tx: Box<TxFields>,
    },
    /// Hand over bytes that are stored: [`super::Event::Sent`].
    Broadcast {
        /// Nonce.
        nonce: u64,
        /// Attempt.
        hash: B256,
        /// Its bytes.
        raw: Bytes,
    },
    /// Look for receipts of all of a nonce's attempts, and whether `anchor` is on the chain:
    /// [`super::Event::Looked`].
    Look {
        /// Nonce.
        nonce: u64,
        /// All attempts.
        hashes: Vec<B256>,
        /// Block to check, by height and hash.
        anchor: Option<(u64, B256)>,
    },
    /// Store where an intent was mined.
    Include(IntentId, Inclusion),
    /// Store that its block is gone.
    Unmine(IntentId, String),
    /// Store that it is final.
    Finalise(IntentId, Inclusion),
    /// Store that it is given up.
    Fail(IntentId, Failure),
    /// Store that it is queued again.
    Requeue(IntentId, String),
    /// Add to its history: a stable word and a detail.
    Note(IntentId, &'static str, String),
    /// Submit an empty intent of the lane's own: a nonce no intent wants blocks those behind it.
    FillGap {
        /// The nonce.
        nonce: u64,
        /// Makes this gap another than an earlier one at the same nonce.
        blocked: IntentId,
    },
    /// Tell an operator.
    Alert(Alert),
}
