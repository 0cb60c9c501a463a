//! Tests of the values: properties, and vectors computed by another implementation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers outside #[test] functions")]

mod amount;
mod price;
mod receipt;
mod signature;
mod tally;
mod transaction;
mod transcript;
mod vectors;
