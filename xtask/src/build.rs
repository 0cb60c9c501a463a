//! Building the workspace, and learning where cargo put each binary.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use crate::repo::{self, Repo};

/// Binaries by name, absolute.
#[derive(Debug, Default)]
pub(crate) struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    pub(crate) fn get(&self, name: &str) -> Result<&PathBuf> {
        self.0.get(name).with_context(|| format!("the build made no binary `{name}`"))
    }
}

/// Runs `cargo build` with these arguments; diagnostics go to stderr as usual.
pub(crate) fn build(repo: &Repo, arguments: &[&str]) -> Result<Binaries> {
    let mut command = repo.cargo();
    command.arg("build").args(arguments);
    let line = repo::display(&command);
    eprintln!("$ {line}");
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start `{line}`"))?;
    let stdout = child.stdout.take().context("cargo's output")?;
    let mut binaries = Binaries::default();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        let Message::CompilerArtifact(artifact) = message.context("read cargo's output")? else {
            continue;
        };
        // A test harness is an executable too, under the name of what it tests.
        if let (true, false, Some(path)) =
            (artifact.target.is_bin(), artifact.profile.test, artifact.executable)
        {
            binaries.0.insert(artifact.target.name, path.into_std_path_buf());
        }
    }
    repo::check(&line, child.wait().with_context(|| format!("wait for `{line}`"))?)?;
    Ok(binaries)
}
