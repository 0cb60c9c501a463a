//! SQL, one file per aggregate: an embedded SQLite database behind one writer thread, and, behind the
//! same seams, PostgreSQL for many machines; see [`postgres`].
//!
//! ```text
//! async caller ──closure──► writer thread ──► SAVEPOINT, closure, RELEASE ─┐ one transaction,
//! async caller ──closure──►   (drains all)    SAVEPOINT, closure, RELEASE ─┤ one fsync
//!              ◄──answer after COMMIT──────────────────────────────────────┘
//! async caller ──closure──► reader threads ─► own read-only connections (WAL snapshot)
//! ```
//!
//! An answered write is on disk: `synchronous = FULL`, and no caller is answered before the commit.
//! A caller that stops waiting does not undo its write.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod attempts;
mod columns;
mod connection;
pub mod database_error;
pub mod engine_store;
pub mod error;
pub mod flights;
pub mod intents;
pub mod lanes;
#[cfg(feature = "memory")]
pub mod memory;
mod migrate;
pub mod postgres;
mod reader;
pub mod receipts;
pub mod rentals;
pub mod session_store;
pub mod sessions;
pub mod signing_journal;
mod store;
mod voucher_guard;
mod writer;

pub use attempts::{Attempt, Broadcast, BroadcastNote, NewAttempt, Recorded, Signed};
pub use database_error::DatabaseError;
pub use engine_store::EngineStore;
pub use error::{Result, StoreError};
pub use flights::{FlightId, FlightState, ItemEnd, OpenFlight};
pub use intents::{
    Failure, FailureCode, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome,
    IntentState, Limits, NewIntent, Place, all_intents, newest_intents,
};
pub use lanes::{Fence, LaneKey, LaneSnapshot};
#[cfg(feature = "memory")]
pub use memory::{MemoryStore, Power};
pub use postgres::{Lead, PgStore, PostgresUrl};
pub use receipts::ReceiptOutcome;
pub use rentals::{NewRental, Rental, RentalInsert, RentalState};
pub use session_store::SessionStore;
pub use sessions::{
    Closing, NewSession, Session, SessionInsert, SessionState, SettleOutcome, Transition,
};
pub use signing_journal::{NewSigning, SignedLately, SigningJournal, SigningOutcome};
pub use store::Store;
pub use voucher_guard::VoucherOutcome;
pub use writer::WriterStats;
