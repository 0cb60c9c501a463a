//! The crate from outside, on the project's own model; one file per subject.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a fixture that fails fails its test"
)]

mod audit;
mod engine;
mod files;
mod fixture;
mod templates;
mod tokens;
