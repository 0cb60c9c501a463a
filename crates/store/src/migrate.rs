//! Numbered migrations, embedded in the program; `user_version` says how far a file has come.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::{Result, StoreError};

/// Each migration once, in order. A published one is never edited: a change is a new file.
const MIGRATIONS: &[(u32, &str)] = &[
    (1, include_str!("../schema/0001_engine.sql")),
    (2, include_str!("../schema/0002_sessions.sql")),
    (3, include_str!("../schema/0003_flights.sql")),
    (4, include_str!("../schema/0004_receipts.sql")),
];

/// Brings the file to the newest schema, each step in its own transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let (found, _) = versions(connection, MIGRATIONS)?;
    if found == 0 {
        set_single_chain_aside(connection)?;
    }
    bring_up(connection, MIGRATIONS)
}

/// Applies what is missing of `migrations`, each in its own transaction.
pub(crate) fn bring_up(connection: &mut Connection, migrations: &[(u32, &str)]) -> Result<()> {
    let (found, known) = versions(connection, migrations)?;
    if found > known {
        return Err(StoreError::SchemaTooNew { found, known });
    }
    let failed = |version| {
        move |source: rusqlite::Error| StoreError::Migrate {
            version,
            source: Arc::new(source.into()),
        }
    };
    for (version, sql) in migrations.iter().filter(|(version, _)| *version > found) {
        apply(connection, *version, sql).map_err(failed(*version))?;
    }
    Ok(())
}

/// Refuses a file that is not at the newest schema, for those who may not bring it there.
pub(crate) fn check_schema(connection: &Connection) -> Result<()> {
    match versions(connection, MIGRATIONS)? {
        (found, known) if found > known => Err(StoreError::SchemaTooNew { found, known }),
        (found, known) if found < known => Err(StoreError::SchemaTooOld { found, known }),
        _ => Ok(()),
    }
}

/// Schema of the file, and the newest of this program.
fn versions(connection: &Connection, migrations: &[(u32, &str)]) -> Result<(u32, u32)> {
    let found = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::statement("read the schema version"))?;
    Ok((found, migrations.iter().map(|(version, _)| *version).max().unwrap_or(0)))
}

fn apply(connection: &mut Connection, version: u32, sql: &str) -> rusqlite::Result<()> {
    // A rebuilt table is dropped while others refer to it; the switch does nothing in a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    let applied = apply_unchecked(connection, version, sql);
    connection.pragma_update(None, "foreign_keys", true)?;
    applied
}

fn apply_unchecked(connection: &mut Connection, version: u32, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql)?;
    let dangling: i64 =
        transaction
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
    if dangling > 0 {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some(format!("{dangling} rows refer to nothing")),
        ));
    }
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// Columns of the `sessions` table that a node for a single chain kept, by which it is known.
const SINGLE_CHAIN: [&str; 3] = ["id", "job_id", "tokens"];

/// True if a `sessions` table with these columns is a single-chain node's.
pub(crate) fn is_of_single_chain(columns: &[String]) -> bool {
    let is_there = |name| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    SINGLE_CHAIN.into_iter().all(is_there)
}

/// A node of the time before there were several chains kept a `sessions` table of its own. Its rows
/// get the chain they are of, and stay readable under another name beside ours. Any other table of
/// that name belongs to somebody else.
fn set_single_chain_aside(connection: &mut Connection) -> Result<()> {
    match move_aside(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::ForeignTable { table: "sessions" }),
        Err(source) => Err(StoreError::Migrate { version: 0, source: Arc::new(source.into()) }),
    }
}

/// False, and nothing done, if the table is another program's.
fn move_aside(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let columns: Vec<String> = transaction
        .prepare("SELECT name FROM pragma_table_info('sessions')")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if columns.is_empty() {
        return Ok(true);
    }
    if !is_of_single_chain(&columns) {
        return Ok(false);
    }
    if !columns.iter().any(|column| column.eq_ignore_ascii_case("chain_id")) {
        // It was always Base Sepolia. SQLite has no ADD COLUMN IF NOT EXISTS.
        transaction
            .execute_batch("ALTER TABLE sessions ADD COLUMN chain_id BIGINT DEFAULT 84532")?;
    }
    transaction.execute_batch(include_str!("../schema/0000_single_chain.sql"))?;
    transaction.commit()?;
    tracing::info!("sessions of a single-chain node are kept as single_chain_sessions");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_and_run_once() {
        for (index, (version, _)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(*version).unwrap(), index + 1);
        }
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(
            migrate(&mut connection),
            Err(StoreError::SchemaTooNew { found: 999, .. })
        ));
    }

    #[test]
    fn every_table_is_strict() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let loose: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(loose, Vec::<String>::new());
    }
}
