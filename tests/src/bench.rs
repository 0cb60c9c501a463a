//! How fast the engine settles, beside the plain ways of sending transactions, in one run.
//!
//! Imitates a host whose sessions all end at once: real closes with signed vouchers, one key, a
//! chain that makes a block each second, the durable store on. Every session is opened before the
//! clock starts.

mod engine;
mod figures;
mod plain;
mod stage;

pub use engine::{Measured, restart, settle};
pub use figures::{Figures, Round};
pub use plain::{naive, pipelined};
pub use stage::Stage;

/// Settlements per second.
pub fn per_second(count: usize, took: std::time::Duration) -> f64 {
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    count / took.as_secs_f64()
}

/// The median of some runs.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
