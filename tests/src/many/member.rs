//! One engine of several, from outside: a process that takes commands and is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Said, Setup};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Member {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Submissions it has not confirmed.
    unanswered: BTreeSet<u64>,
}

impl Member {
    pub(super) async fn start(binary: &Path, setup: &Setup) -> Self {
        let mut process = Command::new(binary)
            .arg(serde_json::to_string(setup).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the member starts");
        let commands = process.stdin.take().expect("its input");
        let answers = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut member = Self { process, commands, answers, unanswered: BTreeSet::new() };
        while member.hear().await != Said::Ready {}
        member
    }

    /// Gives it a command, `submit` with a number or `leads`.
    pub(super) async fn tell(&mut self, command: &str) {
        if let Some(number) = command.strip_prefix("submit ") {
            self.unanswered.insert(number.parse().expect("a number"));
        }
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.expect("it takes a command");
    }

    pub(super) async fn leads(&mut self) -> bool {
        self.tell("leads").await;
        loop {
            if let Said::Leads(leads) = self.hear().await {
                return leads;
            }
        }
    }

    /// Waits so long for answers and gives what is left without one.
    pub(super) async fn unanswered_after(&mut self, time: Duration) -> BTreeSet<u64> {
        let all = async {
            while !self.unanswered.is_empty() {
                self.hear().await;
            }
        };
        let _ = tokio::time::timeout(time, all).await;
        core::mem::take(&mut self.unanswered)
    }

    /// SIGKILL. Gives what it has not confirmed; it may have stored it.
    pub(super) async fn kill(&mut self) -> BTreeSet<u64> {
        self.process.kill().await.expect("killed");
        core::mem::take(&mut self.unanswered)
    }

    async fn hear(&mut self) -> Said {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.expect("it answers").expect("text").expect("it runs");
        let said = serde_json::from_str(&line).expect("an answer");
        if let Said::Submitted(number) = said {
            self.unanswered.remove(&number);
        }
        said
    }
}
