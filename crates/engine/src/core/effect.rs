//! What a lane asks for.

use core::ops::Range;

use alloy_primitives::Bytes;
use capstan_base::{B256, U256};
use capstan_chain::{Call, TxFields};
use capstan_store::{Failure, FlightId, Inclusion, IntentId, ItemEnd};

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
    /// A nonce is used up, and no endpoint can say by what: whether the intent was done is not known,
    /// and it waits for an endpoint that keeps history.
    NonceUnexplained {
        /// Intent that waits.
        intent: IntentId,
        /// The nonce.
        nonce: u64,
    },
    /// Final blocks are gone from the chain: the account's nonce is below what was used up in them.
    FinalityBroken {
        /// The account's nonce.
        nonce: u64,
        /// It was this once, and final.
        was: u64,
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
        /// Intents it is for, in the order of the call.
        intents: Vec<IntentId>,
        /// The call.
        call: Call,
    },
    /// Ask whether an intent's effect is on the chain: [`super::Event::Asked`].
    Ask {
        /// The intent.
        intent: IntentId,
        /// Its call.
        call: Call,
        /// Highest final block, if there is one.
        final_height: Option<u64>,
    },
    /// Sign, store, and only then answer: [`super::Event::Recorded`] or
    /// [`super::Event::NotSigned`]. If the store fails the lane starts again from the store.
    Sign {
        /// Intents it is for, in the order of the call.
        intents: Vec<IntentId>,
        /// What to sign.
        tx: Box<TxFields>,
        /// Most wei a rollup may charge besides.
        rollup_fee: U256,
        /// True for an empty transaction that only uses the nonce up.
        voids: bool,
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
    /// Find the transaction that used a nonce: [`super::Event::Searched`].
    Search {
        /// Nonce.
        nonce: u64,
        /// A block at which it was not used yet; the first block if unknown.
        from: u64,
        /// The newest block.
        to: u64,
    },
    /// Hand over again what was mined at these nonces and final: the chain has lost it.
    Restore(Range<u64>),
    /// Store where a flight was mined.
    Include(FlightId, Inclusion),
    /// Store that its block is gone.
    Unmine(FlightId, String),
    /// Store that it is final, and what became of what it carries.
    Finalise(FlightId, Inclusion, Vec<(IntentId, ItemEnd)>),
    /// Store that another transaction used its nonce; its intents are queued again.
    Lose(FlightId, String),
    /// Store that a queued intent is given up.
    Fail(IntentId, Failure),
    /// Add to an intent's history: a stable word and a detail.
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
