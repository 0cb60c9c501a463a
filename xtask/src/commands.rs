//! One file per command, named as the command is.

pub(crate) mod artifacts;
pub(crate) mod bench;
pub(crate) mod contracts_coverage;
pub(crate) mod contracts_long;
pub(crate) mod contracts_mutate;
pub(crate) mod contracts_static;
pub(crate) mod contracts_symbolic;
pub(crate) mod demo;
pub(crate) mod devnet;
pub(crate) mod faults;
pub(crate) mod gas;
pub(crate) mod simulate;
pub(crate) mod test;
pub(crate) mod tidy;
pub(crate) mod tools;
