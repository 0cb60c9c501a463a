//! `cargo xtask faults`: the engine on real parts while everything fails that can.

use std::process::ExitCode;

use anyhow::Result;

use crate::commands::demo::play;
use crate::repo::Repo;

/// Runs the engine against failing endpoints, reorganised chains and kills.
///
/// Each run settles real sessions, in batches, and makes plain transfers on a chain of its own, from a
/// process on a real database, through one or two endpoints that drop, delay, garble and lie. Some
/// jobs cannot be done, and some sessions are closed by others first. The chain is reorganised, the
/// pool forgets, fees jump, others use the key, the disk fills up, the process is killed at numbered
/// writes and at any moment. Then the faults stop, and the chain's own events and
/// balances have to say that everything happened exactly once.
///
/// What goes wrong is drawn from the seed, so that a run can be repeated, its timing aside: run
/// number n of `--seed S` is `--runs 1 --seed S+n`. A failed run prints that command. The exit code
/// is 0 only if every run is good.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many runs; the seed of each is one above that of the one before
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Seed of the first run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs at once
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Folder that gets plan, log and database of each run
    #[arg(long)]
    keep: Option<String>,
    /// Print one JSON document on stdout, and progress on stderr only
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let [runs, seed, jobs] = [args.runs, args.seed, args.jobs].map(|number| number.to_string());
    let mut arguments = vec!["--runs", &runs, "--seed", &seed, "--jobs", &jobs];
    if let Some(folder) = &args.keep {
        arguments.extend(["--keep", folder]);
    }
    if args.json {
        arguments.push("--json");
    }
    play(repo, "faults", &arguments)
}
