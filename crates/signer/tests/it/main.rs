//! Whole committees in one process, with every message carried by the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "test helpers outside #[test] functions"
)]

mod cluster;
mod crashes;
mod keys;
mod malice;
mod members;
mod policy;
mod vault;
