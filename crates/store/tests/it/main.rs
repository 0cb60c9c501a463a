//! Tests of the store from outside.
#![cfg(test)]

mod conformance;
mod crash;
mod machines;
mod migrations;
mod opening;
mod receipts;
mod rentals;
mod samples;
mod sessions;
mod signing_journal;
mod stores;
mod twins;
