//! A settler: the engine on a real store and real endpoints in a process of its own, which a test
//! tells what to settle and kills as it likes. Set-up comes in a file, commands on standard input,
//! one word a line; answers are JSON lines on standard output.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, Bytes, U256};
use capstan_base::{ChainId, UnixSeconds};
use capstan_store::{LaneKey, NewIntent};
use serde::{Deserialize, Serialize};

mod deadly_store;

pub use deadly_store::{DeadlyStore, KillPoint};

/// Environment variable with a [`KillPoint`].
pub const KILL_ENV: &str = "SETTLER_KILL";

/// What it works with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Database file.
    pub database: PathBuf,
    /// Chain.
    pub chain_id: u64,
    /// The marketplace and the registry of hosts there: what can share a transaction, and what has
    /// happened already, is asked of these.
    pub contracts: [Address; 2],
    /// Endpoints, in order of preference.
    pub urls: Vec<String>,
    /// The sender's key: play money, made for this run.
    pub key: B256,
    /// Blocks on top of one that is final.
    pub finality_depth: u64,
    /// Milliseconds between looks at the chain.
    pub poll_ms: u64,
    /// When the run began, Unix milliseconds.
    pub began_ms: u64,
    /// What to have on the chain.
    pub jobs: Vec<Job>,
}

/// One effect that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Idempotency key.
    pub name: String,
    /// Submitted so long after the beginning, milliseconds.
    pub at_ms: u64,
    /// Contract or account.
    pub to: Address,
    /// Wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// Whether the chain itself refuses to do it twice.
    pub repeat_safe: bool,
    /// Not before this chain time.
    pub not_before: Option<u64>,
    /// Given up if not sent by this chain time.
    pub deadline: Option<u64>,
}

impl Job {
    /// The job as an intent of this lane.
    pub fn intent(&self, chain_id: ChainId, sender: Address) -> NewIntent {
        let lane = LaneKey { chain_id, sender };
        let (to, value, data) = (self.to, self.value, self.data.clone());
        let time = |seconds: Option<u64>| seconds.map(|at| UnixSeconds::new(at).expect("a time"));
        NewIntent {
            repeat_safe: self.repeat_safe,
            not_before: time(self.not_before),
            deadline: time(self.deadline),
            ..NewIntent::new(self.name.clone(), lane, to, value, data)
        }
    }
}

/// One line of its output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// The engine runs.
    Ready,
    /// Where things stand; on every change.
    Counts(Counts),
    /// Everything it knows; on the command `report`.
    Report {
        /// Every intent, the engine's own included.
        intents: Vec<Told>,
    },
}

/// How many intents stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Jobs that are in the store.
    pub submitted: usize,
    /// Intents, the engine's own included.
    pub intents: usize,
    /// Of those: in a block that is not final yet.
    pub included: usize,
    /// Of those: final, or given up.
    pub over: usize,
}

impl Counts {
    /// True once nothing is left to do.
    pub fn is_idle(&self, jobs: usize) -> bool {
        self.submitted == jobs && self.over == self.intents
    }
}

/// What the store says of an intent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Idempotency key.
    pub name: String,
    /// State, in the store's word.
    pub state: String,
    /// Transaction it is in, and whether that went through.
    pub mined: Option<(B256, bool)>,
    /// Why it was given up.
    pub failure: Option<String>,
    /// Hashes of its attempts.
    pub attempts: Vec<B256>,
    /// What else happened.
    pub history: Vec<String>,
}

impl Told {
    /// True if nothing more happens to it.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "final" | "failed")
    }

    /// True if it ended as something the chain refuses.
    pub fn has_failed(&self) -> bool {
        match &self.failure {
            Some(why) => why.starts_with("reverted"),
            None => self.state == "final" && self.mined.is_some_and(|(_, success)| !success),
        }
    }
}

/// Intents by name.
pub fn by_name(intents: Vec<Told>) -> BTreeMap<String, Told> {
    intents.into_iter().map(|told| (told.name.clone(), told)).collect()
}
