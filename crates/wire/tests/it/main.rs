//! Tests of everything that crosses a socket: round trips, foreign bytes, the OpenAI contract.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers outside #[test] functions")]

mod answers;
mod credential;
mod errors;
mod messages;
mod page;
mod requests;
mod samples;
mod stop;
