//! The store's handle: opening it, and the two roads every method takes.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::connection::{ProcessLock, open_memory, open_reader, open_writer};
use crate::error::{Result, StoreError};
use crate::lanes::release_all;
use crate::migrate::{check_schema, migrate};
use crate::reader::Readers;
use crate::writer::{Writer, WriterStats};

/// Reader threads: reads are short, and two keep a long listing from holding up a lookup.
const READERS: usize = 2;

/// The database. Clones share it; the last one to go closes the file.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

// Fields drop in this order: no file is unlocked while a thread still uses it.
#[derive(Debug)]
struct Shared {
    /// None in memory, where a second connection would see another database.
    readers: Option<Readers>,
    /// None if opened to read only.
    writer: Option<Writer>,
    _lock: Option<ProcessLock>,
}

impl Store {
    /// Opens or creates the file, alone: a second process is refused. Blocks for the migrations.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let lock = ProcessLock::take(path)?;
        let mut connection = open_writer(path)?;
        migrate(&mut connection)?;
        release_all(&connection).map_err(StoreError::statement("free the lanes"))?;
        let connections = (0..READERS).map(|_| open_reader(path)).collect::<Result<_>>()?;
        let readers = Some(Readers::start(connections)?);
        let writer = Some(Writer::start(connection)?);
        Ok(Self { shared: Arc::new(Shared { readers, writer, _lock: Some(lock) }) })
    }

    /// Opens an existing file beside whichever process writes it. Takes no lock and migrates
    /// nothing; every write is refused as [`StoreError::ReadOnly`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let connection = open_reader(path.as_ref())?;
        check_schema(&connection)?;
        let readers = Some(Readers::start(vec![connection])?);
        Ok(Self { shared: Arc::new(Shared { readers, writer: None, _lock: None }) })
    }

    /// A database that ends with its last handle.
    pub fn open_in_memory() -> Result<Self> {
        let mut connection = open_memory()?;
        migrate(&mut connection)?;
        let writer = Some(Writer::start(connection)?);
        Ok(Self { shared: Arc::new(Shared { readers: None, writer, _lock: None }) })
    }

    /// Writes and commits so far: their ratio is what group commit saves.
    pub fn stats(&self) -> WriterStats {
        self.shared.writer.as_ref().map(Writer::stats).unwrap_or_default()
    }

    /// What SQLite's own check finds wrong with the file; empty if nothing. Reads all of it.
    pub async fn quick_check(&self) -> Result<Vec<String>> {
        const OPERATION: &str = "check the file";
        self.read(OPERATION, |sql| {
            let rows = || {
                let mut rows = sql.prepare("PRAGMA quick_check")?;
                let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
                rows.filter(|row| !matches!(row, Ok(line) if line == "ok"))
                    .collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement(OPERATION))
        })
        .await
    }

    /// Limits the file's size, in pages of 4096 bytes: beyond it the disk is full to the store. A
    /// quota for operators, and how tests fill a disk. No less than the file has already.
    pub async fn limit_pages(&self, pages: u32) -> Result<()> {
        const OPERATION: &str = "limit the file's size";
        self.write(OPERATION, move |sql| {
            sql.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                .map_err(StoreError::statement(OPERATION))
        })
        .await
    }

    pub(crate) async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.shared.writer {
            Some(writer) => writer.write(operation, work).await,
            None => Err(StoreError::ReadOnly { operation }),
        }
    }

    pub(crate) async fn read<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.shared.readers {
            Some(readers) => readers.read(operation, work).await,
            None => self.write(operation, work).await,
        }
    }
}
