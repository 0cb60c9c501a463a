//! `cargo xtask tidy`: checks the repository's own rules.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::repo::Repo;
use crate::tidy;

/// Checks the rules of this repository that no compiler knows, in under a second.
///
/// From `cargo metadata`: dependencies point down only, rooms on one row do not import each other,
/// SQL stays in `store`, RPC in `chain`, HTTP servers in the features; ARCHITECTURE.md shows the same
/// rooms. Of every file: the first line says what it is, no file is longer than 800 lines, nothing
/// unfinished or private was left behind, every manifest takes version and lints from the workspace.
///
/// All findings are listed at once, each with what to do. The rules are in `xtask/src/tidy/`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(repo: &Repo, _args: &Args) -> Result<ExitCode> {
    check(repo)?;
    eprintln!("tidy");
    Ok(ExitCode::SUCCESS)
}

/// Lists every finding and fails if there is one.
pub(crate) fn check(repo: &Repo) -> Result<()> {
    let findings = tidy::check(repo)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        count => bail!("{count} findings"),
    }
}
