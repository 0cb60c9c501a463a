//! The settler as a child: started, told, counted, killed, started again on the same database.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::fs::OpenOptions;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::sync::watch;

use crate::settler::{Counts, KILL_ENV, KillPoint, Line, Setup, Told};
use crate::tools;

/// Longest wait for a start or a report.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running settler, or a dead one.
pub struct Child {
    process: Process,
    input: ChildStdin,
    counts: watch::Receiver<Option<Counts>>,
    reports: watch::Receiver<Option<Vec<Told>>>,
}

/// Where a settler's files lie.
pub struct Home {
    setup: PathBuf,
    /// What it logs.
    pub log: PathBuf,
}

impl Home {
    /// Writes the set-up into a folder.
    pub fn make(folder: &Path, setup: &Setup) -> Self {
        let path = folder.join("settler.json");
        let text = serde_json::to_vec(setup).expect("JSON");
        std::fs::write(&path, text).expect("the set-up is written");
        Self { setup: path, log: folder.join("settler.log") }
    }
}

impl Child {
    /// Starts one; it dies at `point`, if it gets there.
    pub async fn start(home: &Home, point: Option<KillPoint>) -> Self {
        let mut command = Command::new(tools::beside("settler"));
        let filter = std::env::var("CAPSTAN_LOG").unwrap_or_else(|_| "debug,hyper=info".into());
        command
            .arg(&home.setup)
            .env("CAPSTAN_LOG", filter)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(point) = point {
            command.env(KILL_ENV, point.to_string());
        }
        let mut process = command.spawn().expect("the settler starts");
        let input = process.stdin.take().expect("its input");
        let output = process.stdout.take().expect("its output");
        let mut errors = process.stderr.take().expect("its log");
        // By a pipe: a limit on its files must not silence it.
        let mut log =
            OpenOptions::new().create(true).append(true).open(&home.log).await.expect("a log file");
        tokio::spawn(async move { tokio::io::copy(&mut errors, &mut log).await });
        let (tell_counts, counts) = watch::channel(None);
        let (tell_report, reports) = watch::channel(None);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // A line cut off by a kill is none.
                match serde_json::from_str(&line) {
                    Ok(Line::Counts(counts)) => drop(tell_counts.send(Some(counts))),
                    Ok(Line::Report { intents }) => drop(tell_report.send(Some(intents))),
                    Ok(Line::Ready) | Err(_) => {}
                }
            }
        });
        Self { process, input, counts, reports }
    }

    /// Newest counts; none before the first.
    pub fn counts(&self) -> Option<Counts> {
        *self.counts.borrow()
    }

    /// True if it is dead.
    pub fn is_dead(&mut self) -> bool {
        self.process.try_wait().expect("its status").is_some()
    }

    /// SIGKILL, if it lives.
    pub async fn kill(&mut self) {
        // It may have died a moment ago.
        let _ = self.process.kill().await;
    }

    /// A command. One to a dead settler is lost.
    pub async fn tell(&mut self, command: &str) {
        let _ = self.input.write_all(format!("{command}\n").as_bytes()).await;
    }

    /// Everything it knows.
    pub async fn report(&mut self) -> Option<Vec<Told>> {
        self.tell("report").await;
        let told = self.reports.wait_for(Option::is_some);
        tokio::time::timeout(PATIENCE, told).await.ok()?.ok()?.clone()
    }
}
