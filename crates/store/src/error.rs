//! What can go wrong in the store: one variant per operation that failed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::database_error::DatabaseError;
use crate::flights::FlightId;
use crate::intents::IntentId;
use crate::lanes::LaneKey;

/// Result of every method of this crate.
pub type Result<T, E = StoreError> = core::result::Result<T, E>;

/// A failed operation on the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be opened or prepared.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Database file.
        path: PathBuf,
        /// Why.
        source: Arc<DatabaseError>,
    },
    /// The server could not be reached, or refused the connection.
    #[error("cannot connect to the database {server}")]
    Connect {
        /// Where it is, without user and password.
        server: String,
        /// Why.
        source: Arc<DatabaseError>,
    },
    /// The setting is no URL of a PostgreSQL database. It may hold a password, so it is not shown.
    #[error("not a URL such as postgres://user:password@host:5432/database?sslmode=verify-full")]
    BadUrl,
    /// The lock file beside the database could not be made or locked.
    #[error("cannot make the lock file {}", path.display())]
    Lock {
        /// Lock file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// There is no such file, and this one is not made by opening it.
    #[error("there is no signing journal at {}: without it nothing may be signed; restore the member", path.display())]
    NoJournal {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is one already, and it is never made anew.
    #[error("there is a signing journal at {} already", path.display())]
    JournalExists {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open: two engines on one database would both act.
    #[error("the database {} is in use by another process", path.display())]
    InUse {
        /// Database file.
        path: PathBuf,
    },
    /// A migration failed; the file is as it was before it.
    #[error("migration {version} failed")]
    Migrate {
        /// Number of the migration.
        version: u32,
        /// Why.
        source: Arc<DatabaseError>,
    },
    /// A newer program wrote this file.
    #[error("the database is at schema {found}, this program knows up to {known}")]
    SchemaTooNew {
        /// Schema in the file.
        found: u32,
        /// Newest schema of this program.
        known: u32,
    },
    /// An older program wrote this file, and it was opened to read only.
    #[error(
        "the database is at schema {found}, this program needs {known}; any command that sends brings it up"
    )]
    SchemaTooOld {
        /// Schema in the file.
        found: u32,
        /// Newest schema of this program.
        known: u32,
    },
    /// A table of the same name as one of ours, and not by this program.
    #[error(
        "the database has a table {table} of another program: give Capstan a database, or a schema, of its own"
    )]
    ForeignTable {
        /// The table.
        table: &'static str,
    },
    /// It was opened to read only.
    #[error("cannot {operation}: the database is open to read only")]
    ReadOnly {
        /// What was asked, in the infinitive.
        operation: &'static str,
    },
    /// A thread of the store could not be started.
    #[error("cannot start the {name} thread")]
    Thread {
        /// Which.
        name: &'static str,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// A read or write statement failed; its own changes are undone.
    #[error("cannot {operation}")]
    Statement {
        /// What was being done, in the infinitive.
        operation: &'static str,
        /// Why.
        source: Arc<DatabaseError>,
    },
    /// The transaction that carried the write could not be made durable. With SQLite nothing of it
    /// counts; with PostgreSQL the answer may have been lost after the commit, so that only asking
    /// again tells.
    #[error("cannot commit")]
    Commit {
        /// Why.
        source: Arc<DatabaseError>,
    },
    /// The closure panicked; its changes are undone and the store goes on.
    #[error("a panic stopped the store from being able to {operation}")]
    Panicked {
        /// What was being done, in the infinitive.
        operation: &'static str,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The idempotency key names an intent with another payload.
    #[error("the key {key:?} already belongs to intent {existing}, which has another payload")]
    KeyConflict {
        /// The key.
        key: String,
        /// Intent that has it.
        existing: IntentId,
    },
    /// No intent has this id.
    #[error("there is no intent {0}")]
    UnknownIntent(IntentId),
    /// The intent is not in a state that allows the change.
    #[error("intent {id} is {found}, which does not allow to {operation}")]
    WrongIntentState {
        /// The intent.
        id: IntentId,
        /// State it is in.
        found: &'static str,
        /// What was asked, in the infinitive.
        operation: &'static str,
    },
    /// The nonce belongs to another intent.
    #[error("nonce {nonce} belongs to another intent than {id}")]
    NonceTaken {
        /// The intent that asked for it.
        id: IntentId,
        /// The nonce.
        nonce: u64,
    },
    /// Another engine has taken the lane: this one must stop acting for it.
    #[error("another engine has taken the lane of {} on chain {}", lane.sender, lane.chain_id)]
    Fenced {
        /// The lane.
        lane: LaneKey,
    },
    /// An attempt that carries no intent.
    #[error("an attempt carries at least one intent")]
    NoIntents,
    /// No flight has this id.
    #[error("there is no flight {0}")]
    UnknownFlight(FlightId),
    /// The flight is not in a state that allows the change, or not of the fence's lane.
    #[error("flight {id} is {found}, which does not allow to {operation}")]
    WrongFlightState {
        /// The flight.
        id: FlightId,
        /// State it is in.
        found: &'static str,
        /// What was asked, in the infinitive.
        operation: &'static str,
    },
    /// The ends are not those of the intents the flight carries.
    #[error("flight {flight} carries other intents than the ones whose ends were given")]
    OtherItems {
        /// The flight.
        flight: FlightId,
    },
    /// A value has no JSON form.
    #[error("cannot write {what} as json")]
    Encode {
        /// Which value.
        what: &'static str,
        /// Why.
        source: Arc<serde_json::Error>,
    },
}

impl StoreError {
    /// True if the same call may succeed later without anyone changing it: a lock, a full disk that
    /// somebody empties, a server that comes back.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Open { source, .. }
            | Self::Connect { source, .. }
            | Self::Migrate { source, .. }
            | Self::Statement { source, .. }
            | Self::Commit { source } => source.is_retryable(),
            Self::Thread { .. } => true,
            Self::BadUrl
            | Self::NoJournal { .. }
            | Self::JournalExists { .. }
            | Self::Lock { .. }
            | Self::InUse { .. }
            | Self::SchemaTooNew { .. }
            | Self::SchemaTooOld { .. }
            | Self::ForeignTable { .. }
            | Self::ReadOnly { .. }
            | Self::Panicked { .. }
            | Self::Closed
            | Self::KeyConflict { .. }
            | Self::UnknownIntent(_)
            | Self::WrongIntentState { .. }
            | Self::NonceTaken { .. }
            | Self::Fenced { .. }
            | Self::NoIntents
            | Self::UnknownFlight(_)
            | Self::WrongFlightState { .. }
            | Self::OtherItems { .. }
            | Self::Encode { .. } => false,
        }
    }

    /// True if nothing was done because another transaction ran beside it, and may be done now.
    pub(crate) fn lost_a_race(&self) -> bool {
        match self {
            Self::Statement { source, .. } | Self::Commit { source } => source.lost_a_race(),
            _ => false,
        }
    }

    /// Names the operation a failed statement belonged to.
    pub(crate) fn statement<E: Into<DatabaseError>>(
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Statement { operation, source: Arc::new(source.into()) }
    }
}
