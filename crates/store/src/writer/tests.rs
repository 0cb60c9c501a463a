//! Tests of the writer: batches, errors of one's own, errors of the commit, panics.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

fn writer() -> Arc<Writer> {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE rows (n INTEGER PRIMARY KEY,
                 parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED) STRICT;",
        )
        .unwrap();
    Arc::new(Writer::start(connection).unwrap())
}

fn insert(n: i64) -> impl FnOnce(&Connection) -> Result<()> + Send + 'static {
    move |sql| {
        sql.execute("INSERT INTO rows (n) VALUES (?1)", [n])
            .map(|_| ())
            .map_err(StoreError::statement("insert"))
    }
}

async fn count(writer: &Writer) -> i64 {
    writer
        .write("count", |sql| {
            sql.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))
                .map_err(StoreError::statement("count"))
        })
        .await
        .unwrap()
}

/// Keeps the writer busy until the returned sender is dropped, so that what follows is one batch.
async fn hold(writer: &Arc<Writer>) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let busy = Arc::clone(writer);
    tokio::spawn(async move {
        busy.write("hold", move |_| {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        })
        .await
    });
    running.await.unwrap();
    release
}

#[tokio::test]
async fn waiting_writes_share_one_commit() {
    let writer = writer();
    let release = hold(&writer).await;
    let writes: Vec<_> = (0..100)
        .map(|n| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { writer.write("insert", insert(n)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(release);
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let stats = writer.stats();
    assert_eq!(stats.writes, 101);
    assert!(stats.commits <= 3, "{} commits", stats.commits);
    assert_eq!(count(&writer).await, 100);
}

#[tokio::test]
async fn an_error_or_a_panic_undoes_only_its_own_changes() {
    let writer = writer();
    let release = hold(&writer).await;
    let (first, second, third, fourth) = tokio::join!(
        biased_release(release),
        writer.write("insert", insert(1)),
        writer.write::<(), _>("refuse", |sql| {
            insert(2)(sql)?;
            Err(StoreError::Closed)
        }),
        writer.write::<(), _>("panic", |sql| {
            insert(3)(sql)?;
            panic!("a bug in a closure");
        }),
    );
    let () = first;
    assert!(second.is_ok());
    assert!(matches!(third, Err(StoreError::Closed)));
    assert!(matches!(fourth, Err(StoreError::Panicked { operation: "panic" })));
    assert_eq!(count(&writer).await, 1);
}

/// Releases the writer once the futures polled beside it have queued their work.
async fn biased_release(release: mpsc::Sender<()>) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(release);
}

#[tokio::test]
async fn a_failed_commit_is_told_to_everyone_and_nothing_of_it_stays() {
    let writer = writer();
    let release = hold(&writer).await;
    let ((), good, orphan, own) = tokio::join!(
        biased_release(release),
        writer.write("insert", insert(1)),
        writer.write("orphan", |sql| {
            sql.execute("INSERT INTO rows (n, parent) VALUES (2, 99)", [])
                .map(|_| ())
                .map_err(StoreError::statement("insert"))
        }),
        writer.write::<(), _>("refuse", |_| Err(StoreError::Closed)),
    );
    assert!(matches!(good, Err(StoreError::Commit { .. })), "{good:?}");
    assert!(matches!(orphan, Err(StoreError::Commit { .. })));
    assert!(matches!(own, Err(StoreError::Closed)));
    assert_eq!(count(&writer).await, 0);
    writer.write("insert", insert(3)).await.unwrap();
    assert_eq!(count(&writer).await, 1);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_harms_nobody() {
    let writer = writer();
    let release = hold(&writer).await;
    {
        let write = writer.write("insert", insert(1));
        let _ = tokio::time::timeout(Duration::from_millis(10), write).await;
    }
    drop(release);
    assert_eq!(count(&writer).await, 1);
}
