//! The buying side from outside: the book alone, and the link against a scripted host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a fixture that fails fails its test"
)]

mod book;
mod host;
mod link;
mod receipts;
