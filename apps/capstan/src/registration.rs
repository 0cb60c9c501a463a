//! Registration on one chain and on many: what is wanted against what the chain has, step by step.

mod apply;
mod each;
mod offers;
mod plan;
mod read;

pub use apply::{Done, apply};
pub use each::{ChainArgs, each_chain};
pub use offers::{Listed, listed, offers, removals};
pub use plan::{Found, Step, Wanted, changes, joining};
pub use read::read;

/// Decimal places of FAB.
pub const FAB_DECIMALS: u8 = 18;
