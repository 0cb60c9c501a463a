//! What runs come to.

use core::fmt;

use capstan_base::B256;
use capstan_store::IntentId;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A transaction was sent that the store did not know.
    Unstored(B256),
    /// An effect is in the chain more than once.
    Double(IntentId),
    /// The intent is over, its effect is not there, and there was no reason for that.
    Lost(IntentId, String),
    /// The intent is not over although faults ended long ago.
    Stuck(IntentId, String),
    /// The store says something else than the chain.
    Untrue(IntentId, String),
    /// The intent's transaction cost more than it was allowed to.
    OverBudget(IntentId, String),
    /// The store refused a write of an engine that had the lane.
    Store(String),
    /// The run broke off, with these words.
    Panicked(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstored(hash) => write!(f, "sent before it was stored: {hash}"),
            Self::Double(id) => write!(f, "double: the effect of intent {id} is there twice"),
            Self::Lost(id, detail) => write!(f, "lost: intent {id}: {detail}"),
            Self::Stuck(id, detail) => write!(f, "stuck: intent {id}: {detail}"),
            Self::Untrue(id, detail) => write!(f, "untrue: intent {id}: {detail}"),
            Self::OverBudget(id, detail) => write!(f, "over budget: intent {id}: {detail}"),
            Self::Panicked(words) => write!(f, "the run broke off: {words}"),
            Self::Store(words) => write!(f, "the store refused a write of the leader: {words}"),
        }
    }
}

/// What one run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Intents in it.
    pub intents: u64,
    /// Promises that were not kept.
    pub violations: Vec<Violation>,
    /// Blocks from the last fault to the lane's next transaction in a block; `None` if there was
    /// nothing left to do.
    pub recovered_blocks: Option<u64>,
    /// Blocks from the last fault to the end of the last intent.
    pub ended_blocks: u64,
    /// Times a process died.
    pub deaths: u64,
    /// Transactions sent.
    pub sends: u64,
    /// The schedule, line by line, if it was asked for.
    pub trace: Vec<String>,
}
