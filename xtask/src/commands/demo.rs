//! `cargo xtask demo`: the product's main job on real parts, from a fresh clone.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::build;
use crate::repo::{self, BINARY_VARIABLE, Repo};
use crate::toolchain;

/// Package and binary that play the demo.
const PACKAGE: &str = "capstan-tests";
const BINARY: &str = "demo";

/// Shows the product at work on two local chains.
///
/// Installs the pinned tools, builds the binary, starts two local EVM chains with the ids of Base
/// Sepolia (84532) and opBNB testnet (5611), deploys the contracts, and starts a host with a small
/// real model and a renter on each chain. It streams an answer, drops a connection in the middle of
/// one, and prints who was paid what, where, in which transaction, and that the sums agree.
///
/// Everything runs on this machine and is gone afterwards. The exit code is 0 only if every sum
/// agrees to the base unit.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document on stdout, and progress on stderr only
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    play(repo, BINARY, if args.json { &["--json"] } else { &[] })
}

/// Builds the product and runs a binary of the scenarios' package with the tools at hand.
pub(crate) fn play(repo: &Repo, name: &str, arguments: &[&str]) -> Result<ExitCode> {
    play_built(repo, name, &[], arguments)
}

/// The same with options for the build.
pub(crate) fn play_built(
    repo: &Repo,
    name: &str,
    options: &[&str],
    arguments: &[&str],
) -> Result<ExitCode> {
    toolchain::ensure(repo)?;
    let build = [&["-p", "capstan", "-p", PACKAGE, "--bins"], options].concat();
    let binaries = build::build(repo, &build)?;
    let mut command = repo.command(binaries.get(name)?);
    command.env(BINARY_VARIABLE, binaries.get("capstan")?).args(arguments);
    eprintln!("$ {}", repo::display(&command));
    let status = command.status().with_context(|| format!("start the {name}"))?;
    // A program ended by a signal has no code of its own.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
