//! The copy of the contracts in which faults are tried.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::mutants::Mutant;
use crate::repo::Repo;
use crate::toolchain;

/// Ignored by git; kept, so that the next run need not compile everything again.
const FOLDER: &str = "contracts/cache/mutate";

/// What the copy consists of; tools and libraries are linked.
const COPIED: [&str; 5] = [
    "contracts/src",
    "contracts/test",
    "contracts/artifacts",
    "contracts/foundry.toml",
    "contracts/snapshots",
];
const LINKED: [&str; 2] = ["tools", ".tools"];

/// Slow, or measured on code without faults.
const SKIPPED_TESTS: &str = "{test/invariant/*,test/symbolic/*,test/*Gas*}";

/// A fault may make the tests this much slower before it counts as noticed.
const PATIENCE: u32 = 5;
/// Compiling one file is never slower than this, on however busy a machine.
const COMPILING: Duration = Duration::from_secs(180);

/// What the tests said to a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Killed,
    TimedOut,
    Survived,
    NotCompiled,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Killed => "killed",
            Self::TimedOut => "timed out",
            Self::Survived => "SURVIVED",
            Self::NotCompiled => "does not compile",
        })
    }
}

pub(super) struct Bench<'a> {
    repo: &'a Repo,
    folder: PathBuf,
    tests: Option<String>,
    limit: Duration,
    /// Held while the copy is in use.
    _guard: File,
}

impl<'a> Bench<'a> {
    pub(super) fn set_up(repo: &'a Repo, tests: Option<&str>) -> Result<Self> {
        let folder = repo.path(FOLDER);
        fs::create_dir_all(folder.join("contracts")).context(FOLDER)?;
        let guard = File::create(folder.join("lock")).context("create the copy's lock")?;
        guard.lock().context("lock the copy")?;
        for path in COPIED {
            let to = folder.join(path);
            if to.is_dir() {
                fs::remove_dir_all(&to).with_context(|| format!("empty {}", to.display()))?;
            }
            copy(&repo.path(path), &to).with_context(|| format!("copy {path}"))?;
        }
        for path in LINKED {
            link(&repo.path(path), &folder.join(path))?;
        }
        link(&repo.path(".tools/node_modules"), &folder.join("contracts/lib"))?;
        let tests = tests.map(str::to_owned);
        Ok(Self { repo, folder, tests, limit: Duration::MAX, _guard: guard })
    }

    /// Runs the tests without a fault, and takes their time as the measure.
    pub(super) fn prove_sound(&mut self) -> Result<()> {
        // Once to compile and once to measure.
        for _ in 0..2 {
            let start = Instant::now();
            if self.test()? != Verdict::Survived {
                bail!("the tests fail without any fault: run `cargo xtask test --only contracts`");
            }
            self.limit = COMPILING + start.elapsed() * PATIENCE;
        }
        Ok(())
    }

    /// Tries one fault. The copy is whole again afterwards.
    pub(super) fn judge(&self, file: &str, source: &str, mutant: &Mutant) -> Result<Verdict> {
        let path = self.folder.join(file);
        fs::write(&path, mutant.apply(source)).with_context(|| format!("change {file}"))?;
        let verdict = self.test();
        fs::write(&path, source).with_context(|| format!("restore {file}"))?;
        verdict
    }

    #[allow(clippy::disallowed_methods, reason = "nothing else runs in this process")]
    fn test(&self) -> Result<Verdict> {
        let log = self.folder.join("forge.log");
        let output = File::create(&log).context("create forge's log")?;
        let errors = output.try_clone().context("share forge's log")?;
        let mut command = self.command();
        command.stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        let mut child = command.spawn().context("start forge")?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().context("wait for forge")? {
                break status;
            }
            if start.elapsed() > self.limit {
                child.kill().context("stop forge")?;
                child.wait().context("wait for forge")?;
                return Ok(Verdict::TimedOut);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if status.success() {
            return Ok(Verdict::Survived);
        }
        let log = fs::read(&log).context("read forge's log")?;
        let log = String::from_utf8_lossy(&log);
        if log.contains("Compiler run failed") {
            return Ok(Verdict::NotCompiled);
        }
        if !log.contains("[FAIL") {
            bail!("forge failed, but no test did: {log}");
        }
        Ok(Verdict::Killed)
    }

    fn command(&self) -> Command {
        let mut command = toolchain::program(self.repo, "forge");
        command
            .current_dir(self.folder.join("contracts"))
            .env("FOUNDRY_PROFILE", "default")
            .env("FOUNDRY_GAS_SNAPSHOT_EMIT", "false")
            .args(["test", "--offline", "--fail-fast", "--no-match-path"])
            .arg(SKIPPED_TESTS);
        if let Some(tests) = &self.tests {
            command.args(["--match-path", tests]);
        }
        command
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry.with_context(|| from.display().to_string())?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if at.is_symlink() {
        toolchain::remove_if_present(at)?;
    }
    symlink(to, at).with_context(|| format!("link {} to {}", at.display(), to.display()))
}
