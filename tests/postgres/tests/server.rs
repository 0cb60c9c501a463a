//! The server keeps what it answered, and goes when the process that started it goes.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "no runtime here whose thread a sleep could block")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn what_was_answered_survives_a_kill() {
    let Some(mut server) = capstan_test_postgres::start() else { return };
    let url = server.database("kept");
    assert!(url.starts_with("postgres://capstan@localhost/kept?host=%2F"), "{url}");
    server.sql("kept", "CREATE TABLE rows (n INT); INSERT INTO rows VALUES (7)");
    server.kill();
    server.restart();
    assert_eq!(server.sql("kept", "SELECT n FROM rows"), "7");
    assert_eq!(server.sql("kept", "SHOW fsync"), "on");
}

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "run by a_killed_test_leaves_nothing_behind"]
fn child_that_waits() {
    let Some(server) = capstan_test_postgres::start() else { return };
    println!("\nfolder {}", server.sql("postgres", "SHOW data_directory"));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_test_leaves_nothing_behind() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_waits", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let folder = lines.find_map(|line| line.strip_prefix("folder ").map(str::to_owned));
    child.kill().unwrap();
    child.wait().unwrap();
    let Some(folder) = folder else { return };
    let folder = Path::new(&folder).parent().unwrap();
    let start = Instant::now();
    while folder.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "{} is left", folder.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}
