//! Tests of the store from outside.
#![allow(missing_docs, reason = "test names say what they check")]

mod conformance;
mod crash;
mod opening;
mod rentals;
mod samples;
mod sessions;
