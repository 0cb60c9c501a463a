//! Threshold wallets: a committee of n members signs for an account, any t of them together, and fewer
//! learn nothing about its key.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod member;
pub mod policy;
pub mod protocol;
pub mod request;
pub mod vault;
