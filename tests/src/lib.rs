//! The harness of whole-product scenarios: local chains, contracts, real processes, and an oracle
//! that reads money off the chain without the product's own code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a scenario that cannot go on stops here, and the demo prints"
)]

pub mod anvil;
pub mod bench;
pub mod fake_host;
pub mod fault_proxy;
pub mod faults;

pub mod key;
pub mod many;
pub mod oracle;
pub mod paper;
pub mod process;
pub mod python;
pub mod renter;
pub mod scene;
pub mod settler;
pub mod socket;
pub mod tools;
pub mod upstream;
pub mod world;
