//! The host's rooms from outside, without a chain: meter, session, backends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a fixture that fails fails its test"
)]

mod ceiling;
mod fixture;
mod machines;
mod meter;
mod node;
mod outbox;
mod receipts;
mod reference;
mod session;
mod settling;
mod stage;
mod table;
mod upstream;
mod watch;
