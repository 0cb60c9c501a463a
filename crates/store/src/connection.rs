//! Opening a connection with the settings durability depends on, and the lock against a second process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Result, StoreError};

/// How long a statement waits for a lock. Only an operator's `sqlite3` shell can hold one, since the
/// process lock keeps every other writer out.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection: more than this crate has.
const STATEMENTS: usize = 128;

/// Held as long as the store lives; the operating system frees it when the process dies.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock file beside `database`, or says that another process has it.
    pub(crate) fn take(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let failed = |source| StoreError::Lock { path: path.clone(), source: Arc::new(source) };
        let file = open_own(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: database.to_path_buf() })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Opens or creates a file that only its owner may read: signed vouchers lie in a database, and
/// whoever has one may spend it at its host.
fn open_own(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The one connection that writes.
pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    // SQLite gives its journals the permissions of the file they belong to. What is wrong with a
    // path it says better itself.
    let _ = open_own(path);
    let connection = Connection::open(path).and_then(|connection| {
        prepare(&connection)?;
        // WAL lets readers go on beside the writer; FULL makes each commit survive a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    });
    connection.map_err(failed_to_open(path))
}

/// A connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).and_then(|connection| {
        prepare(&connection)?;
        Ok(connection)
    });
    connection.map_err(failed_to_open(path))
}

/// A database that dies with the process, for tests and dry runs.
pub(crate) fn open_memory() -> Result<Connection> {
    let connection = Connection::open_in_memory().and_then(|connection| {
        prepare(&connection)?;
        Ok(connection)
    });
    connection.map_err(failed_to_open(Path::new(":memory:")))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn failed_to_open(path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Open { path, source: Arc::new(source.into()) }
}
