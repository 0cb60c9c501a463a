//! The lane's core: decides everything, does nothing.
//!
//! No clock, socket or disk: what happened comes in as an [`Event`], what to do goes out as
//! [`Effect`]s, so that a simulator can drive it through any schedule.
//!
//! ```text
//!   queued ──estimate──► signing ──stored──► pending ──receipt──► included ──at finality──► final
//!     ▲  └─reverts─► failed                  │    ▲                  │
//!     │                                      │    └──────reorg───────┘
//!     └── nonce used by another transaction ─┘        (same bytes again)
//!         (seen twice, the second time at finality)
//! ```

mod bind;
mod effect;
mod event;
mod fees;
mod flight;
mod follow;
mod gaps;
mod lane;
mod look;
mod queue;
mod shared_gas;
#[cfg(test)]
mod tests;
mod window;

pub use effect::{Alert, Effect};
pub use event::{Answer, Canonical, Event, Look, Search, View};
pub use lane::Lane;
