//! The bench's figures: medians over rounds, under the names that others read.

use serde::Serialize;

use super::{Measured, median};

/// What one round measured.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Settlements per second, one at a time.
    pub naive: f64,
    /// The same, pipelined without a store.
    pub pipelined: f64,
    /// By the engine, one in a transaction.
    pub single: Measured,
    /// By the engine, in batches.
    pub batched: Measured,
    /// Milliseconds from the start to the first attempt, with 100,000 open intents.
    pub restart_ms: f64,
}

/// Medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    rounds: usize,
    naive_per_s: f64,
    pipelined_per_s: f64,
    single_per_s: f64,
    batched_per_s: f64,
    single_over_naive: f64,
    single_over_pipelined: f64,
    batched_over_pipelined: f64,
    engine_cpu_ms_per_settlement: f64,
    engine_cpu_ms_per_single_settlement: f64,
    settlements_per_batch: f64,
    restart_100k_ms: f64,
}

impl Figures {
    /// Of these rounds, in each of which the engine settled so many in batches.
    pub fn of(rounds: &[Round], batched: usize) -> Self {
        let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let (naive, pipelined) = (middle(|round| round.naive), middle(|round| round.pipelined));
        let single = middle(|round| round.single.per_second);
        let together = middle(|round| round.batched.per_second);
        let items = u32::try_from(batched).map_or(f64::NAN, f64::from);
        let per_batch = |round: &Round| {
            items / u32::try_from(round.batched.transactions).map_or(f64::NAN, f64::from)
        };
        Self {
            rounds: rounds.len(),
            naive_per_s: rounded(naive, 2),
            pipelined_per_s: rounded(pipelined, 1),
            single_per_s: rounded(single, 1),
            batched_per_s: rounded(together, 1),
            single_over_naive: rounded(single / naive, 1),
            single_over_pipelined: rounded(single / pipelined, 3),
            batched_over_pipelined: rounded(together / pipelined, 3),
            engine_cpu_ms_per_settlement: rounded(middle(|round| round.batched.cpu_ms), 3),
            engine_cpu_ms_per_single_settlement: rounded(middle(|round| round.single.cpu_ms), 3),
            settlements_per_batch: rounded(median(rounds.iter().map(per_batch).collect()), 1),
            restart_100k_ms: rounded(middle(|round| round.restart_ms), 0),
        }
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
