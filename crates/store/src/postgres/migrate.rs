//! Numbered migrations, embedded in the program; one table says how far a database has come.

use std::sync::Arc;

use sqlx::{Connection, Executor, PgConnection, Row};

use crate::error::{Result, StoreError};
use crate::migrate::is_of_single_chain;

/// Each migration once, in order. A published one is never edited: a change is a new file.
const MIGRATIONS: &[(u32, &str)] = &[(1, include_str!("../../schema/postgres/0001_capstan.sql"))];

/// Lock that one migrating machine at a time holds; the letters of "capstan" as a number.
const LOCK: i64 = 0x63_61_70_73_74_61_6e;

/// Brings the database to the newest schema in one transaction: all of it or nothing. Machines that
/// start at once wait for the first, and find its work done.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<()> {
    const OPERATION: &str = "prepare the schema";
    let mut transaction = connection.begin().await.map_err(StoreError::statement(OPERATION))?;
    let found = lock_and_look(&mut transaction).await.map_err(StoreError::statement(OPERATION))?;
    let (found, known) = (u32::try_from(found).unwrap_or(u32::MAX), newest());
    if found > known {
        return Err(StoreError::SchemaTooNew { found, known });
    }
    if found == 0 {
        set_single_chain_aside(&mut transaction).await?;
    }
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        apply(&mut transaction, *version, sql).await.map_err(failed(*version))?;
    }
    transaction.commit().await.map_err(StoreError::statement(OPERATION))
}

/// Refuses a database that is not at the newest schema, for those who only look.
pub(super) async fn check_schema(sql: &mut PgConnection) -> Result<()> {
    const OPERATION: &str = "read the schema version";
    let look =
        async { if is_there(sql, "capstan_schema").await? { version(sql).await } else { Ok(0) } };
    let found = look.await.map_err(StoreError::statement(OPERATION))?;
    match (u32::try_from(found).unwrap_or(u32::MAX), newest()) {
        (found, known) if found > known => Err(StoreError::SchemaTooNew { found, known }),
        (found, known) if found < known => Err(StoreError::SchemaTooOld { found, known }),
        _ => Ok(()),
    }
}

fn newest() -> u32 {
    MIGRATIONS.iter().map(|(version, _)| *version).max().unwrap_or(0)
}

fn failed(version: u32) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Migrate { version, source: Arc::new(source.into()) }
}

async fn lock_and_look(sql: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *sql).await?;
    if !is_there(sql, "capstan_schema").await? {
        sql.execute(
            "CREATE TABLE capstan_schema (
                 version INT PRIMARY KEY,
                 applied_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp())",
        )
        .await?;
    }
    version(sql).await
}

async fn version(sql: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query("SELECT coalesce(max(version), 0) AS version FROM capstan_schema")
        .fetch_one(sql)
        .await?
        .try_get("version")
}

async fn is_there(sql: &mut PgConnection, table: &str) -> sqlx::Result<bool> {
    sqlx::query("SELECT to_regclass($1) IS NOT NULL AS there")
        .bind(table)
        .fetch_one(sql)
        .await?
        .try_get("there")
}

async fn apply(sql: &mut PgConnection, version: u32, statements: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(statements).execute(&mut *sql).await?;
    sqlx::query("INSERT INTO capstan_schema (version) VALUES ($1)")
        .bind(i64::from(version))
        .execute(sql)
        .await
        .map(drop)
}

/// A node of the time before there were several chains kept a `sessions` table of its own. Its rows
/// get the chain they are of, and stay readable under another name beside ours. Any other table of
/// that name belongs to somebody else.
async fn set_single_chain_aside(sql: &mut PgConnection) -> Result<()> {
    let move_aside = async {
        if !is_there(sql, "sessions").await? {
            return Ok(true);
        }
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT attname::TEXT FROM pg_attribute
             WHERE attrelid = to_regclass('sessions') AND attnum > 0 AND NOT attisdropped",
        )
        .fetch_all(&mut *sql)
        .await?;
        if !is_of_single_chain(&columns) {
            return Ok(false);
        }
        sqlx::raw_sql(include_str!("../../schema/postgres/0000_single_chain.sql"))
            .execute(sql)
            .await?;
        tracing::info!("sessions of a single-chain node are kept as single_chain_sessions");
        Ok(true)
    };
    match move_aside.await.map_err(failed(0))? {
        true => Ok(()),
        false => Err(StoreError::ForeignTable { table: "sessions" }),
    }
}
