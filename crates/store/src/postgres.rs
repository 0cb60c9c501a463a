//! PostgreSQL, for many machines with one key: the handle, its connections, and the two roads every
//! method takes.
//!
//! ```text
//! machine A: engine (leads lane 1) ─┐            ┌─ lanes: owner, epoch, lease by the server's clock
//! machine B: engine (leads lane 2) ─┼─ sessions,─┤  every write of a lane locks its row and checks
//! machine C: engine (leads none)   ─┘  intents   └─ the epoch; a take-over waits for those at work
//! ```
//!
//! An answered write is on disk: `synchronous_commit` is on. A caller that stops waiting does not
//! undo its write. A write that lost a race against another transaction runs again by itself.

mod attempts;
mod columns;
mod engine_store;
mod flights;
mod intents;
mod lanes;
mod listen;
mod migrate;
mod report;
mod sessions;
mod url;

use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgPool};

use crate::error::{Result, StoreError};
use crate::lanes::LaneKey;
use listen::Listener;
pub use report::Lead;
pub use url::PostgresUrl;

/// Connections of a process that only looks.
const LOOKING: u32 = 2;

/// Connections of one process: enough for PostgreSQL to commit many writes with one flush, few
/// enough that ten machines fit its default limit of 100. One of them listens.
const CONNECTIONS: u32 = 10;

/// How long a call waits for a connection, new or not.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Times a write that lost a race is run again. Each loss means that another write won.
const RACES: u32 = 10;

/// What every connection is told first. What the operator set stronger stays.
///
/// - The fence is right under READ COMMITTED; see `lanes`.
/// - A process that stands still in the middle of a write, stopped or cut off, holds locks that a
///   take-over waits for: two seconds after its last statement the server ends it.
/// - No statement of this crate takes long: one that does waits for something that is stuck.
const SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SET idle_in_transaction_session_timeout = '2s';
    SET statement_timeout = '15s';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');";

/// What a connection that only looks is told besides: the server itself refuses it every write.
const READ_ONLY: &str = "SET default_transaction_read_only = on;";

/// A statement of one aggregate's file, and the transaction it runs in.
type Work<I, T> = for<'c> fn(&'c mut PgConnection, &'c I) -> Working<'c, T>;
type Working<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// The database on a server that many machines share. Clones share the connections.
#[derive(Clone, Debug)]
pub struct PgStore {
    pool: PgPool,
    /// Name of this machine in `sessions.served_by`.
    machine: Arc<str>,
    /// None if connected to look only.
    listener: Option<Arc<Listener>>,
}

impl PgStore {
    /// Connects and brings the schema up to date; machines that start at once do so one after the
    /// other. `machine` is this machine's name among those that share the database: sessions it
    /// serves are its own, and a machine started under the name of one that is gone takes them up.
    pub async fn connect(url: &PostgresUrl, machine: &str) -> Result<Self> {
        let options = url.options().application_name("capstan").disable_statement_logging();
        let mut connection = first_connection(&options).await.map_err(unreachable(url))?;
        migrate::migrate(&mut connection).await?;
        connection.close().await.map_err(unreachable(url))?;
        let pool = pool(CONNECTIONS)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SETTINGS).await.map(drop) })
            })
            .connect_with(options)
            .await
            .map_err(unreachable(url))?;
        let listener = Some(Arc::new(Listener::start(pool.clone())));
        Ok(Self { pool, machine: machine.into(), listener })
    }

    /// Connects to look only, beside whoever writes: migrates nothing, listens to nothing, and every
    /// write is refused as [`StoreError::ReadOnly`].
    pub async fn connect_read_only(url: &PostgresUrl, machine: &str) -> Result<Self> {
        let options = url.options().application_name("capstan").disable_statement_logging();
        let mut connection = first_connection(&options).await.map_err(unreachable(url))?;
        migrate::check_schema(&mut connection).await?;
        connection.close().await.map_err(unreachable(url))?;
        let pool = pool(LOOKING)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SETTINGS).await?;
                    connection.execute(READ_ONLY).await.map(drop)
                })
            })
            .connect_with(options)
            .await
            .map_err(unreachable(url))?;
        Ok(Self { pool, machine: machine.into(), listener: None })
    }

    /// Says to other machines that there is something new for a lane.
    fn announce(&self, lane: LaneKey) {
        if let Some(listener) = &self.listener {
            listener.announce(lane);
        }
    }

    /// Runs `work` in a transaction and answers after its commit. Runs it again if it lost a race.
    async fn write<I, T>(&self, operation: &'static str, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        if self.listener.is_none() {
            return Err(StoreError::ReadOnly { operation });
        }
        let pool = self.pool.clone();
        // A task of its own: a caller that stops waiting must not end it between two statements.
        let task = tokio::spawn(async move {
            let mut races = 0u32;
            loop {
                let result = transaction(&pool, operation, &input, work).await;
                races = races.saturating_add(1);
                match result {
                    Err(error) if error.lost_a_race() && races < RACES => {
                        tracing::debug!(operation, races, "a write lost a race and runs again");
                    }
                    result => return result,
                }
            }
        });
        task.await.unwrap_or(Err(StoreError::Panicked { operation }))
    }

    /// Runs `work` on one connection. Its statements see a state each; see [`PgStore::picture`].
    async fn read<I, T>(&self, operation: &'static str, input: I, work: Work<I, T>) -> Result<T> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::statement(operation))?;
        work(&mut connection, &input).await
    }

    /// Runs `work` on one state of the database.
    async fn picture<I, T>(&self, operation: &'static str, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Sync,
    {
        let mut picture = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(StoreError::statement(operation))?;
        let seen = work(&mut picture, &input).await?;
        picture.rollback().await.map_err(StoreError::statement(operation))?;
        Ok(seen)
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_WITHIN)
}

fn unreachable(url: &PostgresUrl) -> impl FnOnce(sqlx::Error) -> StoreError {
    let server = url.to_string();
    move |source| StoreError::Connect { server, source: Arc::new(source.into()) }
}

async fn first_connection(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let connect = async {
        let mut connection = options.connect().await?;
        connection.execute(SETTINGS).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_WITHIN, connect).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn transaction<I, T>(
    pool: &PgPool,
    operation: &'static str,
    input: &I,
    work: Work<I, T>,
) -> Result<T> {
    let mut transaction = pool.begin().await.map_err(StoreError::statement(operation))?;
    let value = match work(&mut transaction, input).await {
        Ok(value) => value,
        Err(error) => {
            // Fails only with the connection, and then the server rolls back by itself.
            let _ = transaction.rollback().await;
            return Err(error);
        }
    };
    transaction
        .commit()
        .await
        .map_err(|source| StoreError::Commit { source: Arc::new(source.into()) })?;
    Ok(value)
}

#[cfg(test)]
mod tests;
