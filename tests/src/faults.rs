//! Seeded fault runs: a real engine on a real store settles real sessions through endpoints that
//! fail, on a chain that reorganises, in a process that is killed; then an oracle that shares no
//! code with it says whether everything happened exactly once.
//!
//! ```text
//!  plan (seed) ──► run ──► stage: chain, contracts, sessions      verdict: events, balances
//!                   │                 ▲        ▲                       ▲
//!                   ├─ trouble ───────┘        │ JSON-RPC              │
//!                   └─ child: settler ─► one or two fault proxies ─────┘ what was sent
//! ```

mod child;
mod plan;
mod run;
mod stage;
mod totals;
mod trouble;
mod verdict;
mod wanted;

pub use child::Child;
pub use plan::{Death, Phase, Plan, Trouble};
pub use run::{Outcome, play};
pub use stage::Stage;
pub use totals::Totals;
pub use verdict::Verdict;
