//! A killed process and a full disk: no answered write is lost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use capstan_store::{Store, StoreError};

use crate::samples::intent;

/// Names the database to a child that this binary starts as itself.
const CHILD_DATABASE: &str = "CAPSTAN_STORE_CRASH_DATABASE";

/// Not a test of its own: the child that writes until it is killed.
#[test]
#[ignore = "run by a_killed_writer_keeps_every_answered_write"]
fn child_that_writes_for_ever() {
    let Some(path) = std::env::var_os(CHILD_DATABASE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(Store::open(path).unwrap());
        let mut next = 0u32;
        loop {
            // Several at once, so that the kill falls into a batch.
            let (first, second, third) =
                (next.to_string(), (next + 1).to_string(), (next + 2).to_string());
            let (a, b, c) = tokio::join!(
                store.submit_intent(intent(&first)),
                store.submit_intent(intent(&second)),
                store.submit_intent(intent(&third)),
            );
            println!("answered {first} {}", a.unwrap().id());
            println!("answered {second} {}", b.unwrap().id());
            println!("answered {third} {}", c.unwrap().id());
            next += 3;
        }
    });
}

#[tokio::test]
async fn a_killed_writer_keeps_every_answered_write() {
    for round in 0..3u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capstan.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes_for_ever", "--ignored", "--nocapture"])
            .env(CHILD_DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answered = Vec::new();
        let wanted = 20 + usize::try_from(round).unwrap() * 13;
        for line in lines.by_ref() {
            answered.push(line.unwrap());
            if answered.len() >= wanted {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it managed to say before it died counts too.
        answered.extend(lines.map_while(Result::ok));

        let store = Store::open(&path).unwrap();
        let mut checked = 0;
        for line in &answered {
            let Some(rest) = line.split("answered ").nth(1) else { continue };
            let Some((key, id)) = rest.split_once(' ') else { continue };
            let stored = store.intent_by_key(key).await.unwrap().unwrap();
            assert_eq!(stored.id.to_string(), id);
            checked += 1;
        }
        assert!(checked >= 15, "{checked} of {answered:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_a_retryable_error_and_reads_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("capstan.db")).unwrap();
    let kept = store.submit_intent(intent("kept")).await.unwrap().id();
    store.limit_pages(1).await.unwrap();
    let mut large = intent("large");
    large.data = vec![7; 1 << 20].into();
    let (error, small) =
        tokio::join!(store.submit_intent(large.clone()), store.submit_intent(intent("small")));
    let error = error.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(matches!(error, StoreError::Statement { .. } | StoreError::Commit { .. }));
    assert!(store.intent(kept).await.unwrap().is_some());
    // Whoever was told yes is there; whoever was told no is not.
    assert_eq!(store.intent_by_key("small").await.unwrap().is_some(), small.is_ok());
    assert_eq!(store.intent_by_key("large").await.unwrap(), None);
    store.limit_pages(u32::MAX / 2).await.unwrap();
    store.submit_intent(large).await.unwrap();
}
