//! What many runs come to, and a run that panics: it must not take the others, or its seed, along.

use std::any::Any;
use std::panic::{UnwindSafe, catch_unwind};

use super::report::{Outcome, Violation};

/// Sums over runs.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    runs: u64,
    intents: u64,
    lost: u64,
    double: u64,
    stuck: u64,
    other: u64,
    deaths: u64,
    sends: u64,
    recovered_max_blocks: u64,
    recovered_max_seed: u64,
    /// Runs that did not keep every promise.
    pub failures: Vec<Outcome>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, outcome: Outcome) {
        self.runs = self.runs.saturating_add(1);
        self.intents = self.intents.saturating_add(outcome.intents);
        self.deaths = self.deaths.saturating_add(outcome.deaths);
        self.sends = self.sends.saturating_add(outcome.sends);
        let recovered = outcome.recovered_blocks.unwrap_or(0);
        if recovered > self.recovered_max_blocks {
            (self.recovered_max_blocks, self.recovered_max_seed) = (recovered, outcome.seed);
        }
        for violation in &outcome.violations {
            let counter = match violation {
                Violation::Lost(..) => &mut self.lost,
                Violation::Double(..) => &mut self.double,
                Violation::Stuck(..) => &mut self.stuck,
                _ => &mut self.other,
            };
            *counter = counter.saturating_add(1);
        }
        if !outcome.violations.is_empty() {
            self.failures.push(outcome);
        }
    }

    /// Every figure by its name, as reports print them.
    pub fn figures(&self) -> [(&'static str, u64); 10] {
        [
            ("runs", self.runs),
            ("intents", self.intents),
            ("lost", self.lost),
            ("double", self.double),
            ("stuck", self.stuck),
            ("other", self.other),
            ("recovered_max_blocks", self.recovered_max_blocks),
            ("recovered_max_seed", self.recovered_max_seed),
            ("deaths", self.deaths),
            ("sends", self.sends),
        ]
    }
}

/// What a run of this seed came to; a panic within is a promise not kept.
pub fn caught(seed: u64, play: impl FnOnce() -> Outcome + UnwindSafe) -> Outcome {
    catch_unwind(play).unwrap_or_else(|panic| {
        let violations = vec![Violation::Panicked(words(&*panic))];
        Outcome { seed, violations, ..Outcome::default() }
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without words".to_owned())
}
