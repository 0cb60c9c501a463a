//! Whole-product scenarios: real chains, real processes, raw protocols.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario that cannot go on stops here"
)]

mod admission;
mod batches;
mod choosing;
mod closing;
mod crash;
mod delegate;
mod deploy;
mod drops;
mod fault_proxy;
mod faults;
mod figures;
mod frames;
mod hosts;
mod http;
mod left_behind;
mod many;
mod openai_client;
mod operations;
mod outage;
mod overcount;
mod paid_session;
mod recovery;
mod registration;
mod renting;
mod slow_reader;
mod startup;
mod telling;
mod two_chains;
mod upstream;
mod vouchers;
mod worth;
