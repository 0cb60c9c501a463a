//! The store's handle: opening it, and the two roads every method takes.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::connection::{ProcessLock, open_memory, open_reader, open_writer};
use crate::error::{Result, StoreError};
use crate::lanes::release_all;
use crate::migrate::migrate;
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
    writer: Writer,
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
        let writer = Writer::start(connection)?;
        Ok(Self { shared: Arc::new(Shared { readers, writer, _lock: Some(lock) }) })
    }

    /// A database that ends with its last handle.
    pub fn open_in_memory() -> Result<Self> {
        let mut connection = open_memory()?;
        migrate(&mut connection)?;
        let writer = Writer::start(connection)?;
        Ok(Self { shared: Arc::new(Shared { readers: None, writer, _lock: None }) })
    }

    /// Writes and commits so far: their ratio is what group commit saves.
    pub fn stats(&self) -> WriterStats {
        self.shared.writer.stats()
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
        self.shared.writer.write(operation, work).await
    }

    pub(crate) async fn read<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.shared.readers {
            Some(readers) => readers.read(operation, work).await,
            None => self.shared.writer.write(operation, work).await,
        }
    }
}
