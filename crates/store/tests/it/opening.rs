//! Opening: one process at a time, clear errors, and what was written is there again.

use capstan_store::{Store, StoreError};

use crate::samples::intent;

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capstan.db");
    let id = {
        let store = Store::open(&path).unwrap();
        store.submit_intent(intent("a")).await.unwrap().id()
    };
    let store = Store::open(&path).unwrap();
    assert_eq!(store.intent(id).await.unwrap().unwrap().request, intent("a"));
}

#[test]
fn a_second_open_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capstan.db");
    let first = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(first);
    Store::open(&path).unwrap();
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let error = Store::open("/proc/capstan/none.db").unwrap_err();
    assert!(error.to_string().contains("/proc/capstan/none.db.lock"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. } | StoreError::Lock { .. }), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_file_that_is_no_database_is_refused_unharmed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "not a database ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_table_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capstan.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("CREATE TABLE sessions (id TEXT, user_agent TEXT)").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::ForeignTable { table: "sessions" }), "{error}");
    let columns: u32 = sql
        .query_row("SELECT count(*) FROM pragma_table_info('sessions')", [], |row| row.get(0))
        .unwrap();
    assert_eq!(columns, 2);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("capstan.db")).unwrap();
    store.submit_intent(intent("a")).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", file.file_name());
        files += 1;
    }
    assert!(files >= 3, "database, journal and lock");
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_elsewhere_commits_and_can_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capstan.db");
    let error = Store::open_read_only(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert!(!path.exists(), "a look makes no file");

    let writer = Store::open(&path).unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    let id = writer.submit_intent(intent("a")).await.unwrap().id();
    assert_eq!(reader.intent(id).await.unwrap().unwrap().request, intent("a"));
    let error = reader.submit_intent(intent("b")).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert_eq!(reader.quick_check().await.unwrap(), Vec::<String>::new());
    // And when nobody writes.
    drop(writer);
    assert!(reader.intent(id).await.unwrap().is_some());
    drop(reader);
    let reader = Store::open_read_only(&path).unwrap();
    assert!(reader.intent(id).await.unwrap().is_some());
}
