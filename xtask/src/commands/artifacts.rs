//! `cargo xtask artifacts`: rebuilds the committed ABIs and bytecode of the contracts.

use std::process::ExitCode;

use anyhow::Result;

use crate::repo::{self, Repo};
use crate::toolchain;

/// Rebuilds `contracts/artifacts`, the ABI and bytecode that the Rust side deploys and calls.
///
/// They are committed so that the product builds with cargo alone. Run this after a change in
/// `contracts/src` and commit what it writes in the same commit; `cargo xtask test` fails while they
/// differ from a rebuild.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only compare, and fail on a difference
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    toolchain::ensure(repo)?;
    rebuild(repo, args.check)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the artifacts, or only compares them with what is committed.
pub(crate) fn rebuild(repo: &Repo, check: bool) -> Result<()> {
    let mode = if check { "check" } else { "write" };
    repo::run_on_stderr(repo.command("node").args(["tools/artifacts.mjs", mode]))
}
