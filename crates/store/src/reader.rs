//! Threads that read, each on its own connection, beside the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{Result, StoreError};

type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Handle of the reader threads. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Option<Sender<Query>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(crate) fn start(connections: Vec<Connection>) -> Result<Self> {
        let (queue, queries) = channel::<Query>();
        let queries = Arc::new(Mutex::new(queries));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let queries = Arc::clone(&queries);
                std::thread::Builder::new()
                    .name("store-reader".to_owned())
                    .spawn(move || run(&connection, &queries))
                    .map_err(|source| StoreError::Thread {
                        name: "reader",
                        source: Arc::new(source),
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self { queue: Some(queue), threads })
    }

    /// Runs `work` on a snapshot that holds every write answered before the call.
    pub(crate) async fn read<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| in_snapshot(connection, work)))
                .unwrap_or(Err(StoreError::Panicked { operation }));
            // A caller that stopped waiting needs no answer.
            let _ = caller.send(result);
        });
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(query).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Several statements of one closure see one state of the database.
fn in_snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let snapshot =
        connection.unchecked_transaction().map_err(StoreError::statement("begin a read"))?;
    work(&snapshot)
}

fn run(connection: &Connection, queries: &Mutex<Receiver<Query>>) {
    loop {
        let next = queries.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(query) => query(connection),
            Err(_) => return,
        }
    }
}
