//! `cargo xtask simulate`: the transaction engine through thousands of crashes and lies.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::repo::{self, Repo};

/// Plays seeded runs of the transaction engine against a simulated chain.
///
/// Each run draws from its seed a chain with one to four endpoints, one or two engines and at least
/// fifty intents, and then blocks, reorganisations, lies, lost messages, evictions, foreign
/// transactions and crashes at any point between two effects. When the faults end, every intent has
/// to end, none may have its effect twice or not at all, and the store has to say what the chain
/// says. Nothing depends on time or threads: the same seed is the same run.
///
/// Prints what all runs came to, the seed of each failure and the command that replays it. The exit
/// code is 0 only if every promise was kept.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs to play
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// Seed of the first run; each further run has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Intents of each run, at least
    #[arg(long, default_value_t = 50)]
    intents: u64,
    /// Print every step of the runs
    #[arg(long)]
    trace: bool,
    /// Print one JSON document on stdout, and progress on stderr only
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let mut command = repo.cargo();
    command.args(["run", "--quiet", "-p", "capstan-engine", "--features", "simulation"]);
    command.args(["--example", "simulate", "--"]);
    for (flag, value) in [("--runs", args.runs), ("--seed", args.seed), ("--intents", args.intents)]
    {
        command.arg(flag).arg(value.to_string());
    }
    command.args(args.trace.then_some("--trace")).args(args.json.then_some("--json"));
    eprintln!("$ {}", repo::display(&command));
    let status = command.status().context("start the simulator")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
