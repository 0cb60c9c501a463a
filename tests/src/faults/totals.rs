//! Many runs as one table.

use serde::Serialize;

use super::run::Outcome;

/// Sums over runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Runs.
    pub runs: usize,
    /// Jobs of all runs.
    pub intents: usize,
    /// Jobs that never happened although the engine was done with them.
    pub lost: usize,
    /// Jobs that happened more than once, or for another amount.
    pub double: usize,
    /// Jobs that were not over when they should have been.
    pub stuck: usize,
    /// Jobs of which the store says other than the chain.
    pub untrue: usize,
    /// Transactions that were broadcast and are not in the store.
    pub unstored: usize,
    /// Runs that failed in another way.
    pub broken: usize,
    /// Most blocks from the last fault to the last effect on the chain.
    pub recovered_max_blocks: u64,
    /// Most blocks from the last fault until every lane was idle, those for finality included.
    pub idle_max_blocks: u64,
    /// Kills.
    pub kills: u64,
    /// Requests spoilt, troubles, kills.
    pub faults_injected: u64,
    /// The engine's transactions that reverted; no fault in itself.
    pub reverted: usize,
    /// Sessions closed by the sender.
    pub settlements: usize,
    /// Transactions that closed them: fewer, since sessions share them.
    pub settle_transactions: usize,
    /// Transactions that closed several sessions.
    pub batches: usize,
    /// Transactions in which an account's own code made several calls (EIP-7702).
    pub self_batches: usize,
    /// Sessions that somebody else closed first.
    pub closed_by_others: usize,
    /// What failed.
    pub failures: Vec<Failure>,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Which of the runs, from 0.
    pub run: u64,
    /// Its own seed.
    pub seed: u64,
    /// What plays it again.
    pub replay: String,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Totals {
    /// Adds a run; `run` is its place among all.
    pub fn add(&mut self, run: u64, outcome: &Outcome) {
        let verdict = &outcome.verdict;
        self.runs += 1;
        self.intents += outcome.intents;
        self.lost += verdict.lost.len();
        self.double += verdict.double.len();
        self.stuck += verdict.stuck.len();
        self.untrue += verdict.untrue.len();
        self.unstored += verdict.unstored.len();
        self.broken += usize::from(!verdict.broken.is_empty());
        self.reverted += verdict.reverted;
        self.settlements += verdict.settlements;
        self.settle_transactions += verdict.settle_transactions;
        self.batches += verdict.batches;
        self.self_batches += verdict.self_batches;
        self.closed_by_others += verdict.closed_by_others;
        self.recovered_max_blocks = self.recovered_max_blocks.max(outcome.recovered_blocks);
        self.idle_max_blocks = self.idle_max_blocks.max(outcome.idle_blocks);
        self.kills += outcome.kills;
        self.faults_injected += outcome.faults;
        if !verdict.is_good() {
            self.fail(run, outcome.seed, verdict.problems());
        }
    }

    /// Adds a run of which nothing is known but that it broke off.
    pub fn broke_off(&mut self, run: u64, seed: u64, why: String) {
        self.runs += 1;
        self.broken += 1;
        self.fail(run, seed, vec![format!("broken: {why}")]);
    }

    fn fail(&mut self, run: u64, seed: u64, problems: Vec<String>) {
        let replay = format!("cargo xtask faults --runs 1 --seed {seed}");
        self.failures.push(Failure { run, seed, replay, problems });
    }

    /// The table, and every failure after it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in [
            ("runs", self.runs as u64),
            ("intents", self.intents as u64),
            ("lost", self.lost as u64),
            ("double", self.double as u64),
            ("stuck", self.stuck as u64),
            ("untrue", self.untrue as u64),
            ("unstored", self.unstored as u64),
            ("broken", self.broken as u64),
            ("recovered_max_blocks", self.recovered_max_blocks),
            ("idle_max_blocks", self.idle_max_blocks),
            ("kills", self.kills),
            ("faults_injected", self.faults_injected),
            ("reverted", self.reverted as u64),
            ("settlements", self.settlements as u64),
            ("settle_transactions", self.settle_transactions as u64),
            ("batches", self.batches as u64),
            ("self_batches", self.self_batches as u64),
            ("closed_by_others", self.closed_by_others as u64),
        ] {
            text.push_str(&format!("{name:<21} {value:>9}\n"));
        }
        for failure in &self.failures {
            text.push_str(&format!("\nrun {} failed: {}\n", failure.run, failure.replay));
            for problem in &failure.problems {
                text.push_str(&format!("  {problem}\n"));
            }
        }
        text
    }
}
