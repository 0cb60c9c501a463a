//! `cargo xtask bench`: how fast it is, beside the plain way in the same run.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::commands::demo::play_built;
use crate::repo::Repo;

/// Measures the product, always beside a baseline of the same run.
///
/// Builds with optimisation, needs an otherwise idle machine to mean anything, and prints medians
/// of several rounds. A rate alone says as much about the machine as about the product: compare the
/// ratios.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Engine(EngineArgs),
}

/// Settlements per second of the transaction engine, on its durable store and a chain of 1 s blocks.
///
/// Real closes of real sessions from one key: one at a time (`naive`), pipelined without a store,
/// by the engine singly, and by the engine in batches; processor time for each, and how soon a
/// restart with 100,000 open intents does its first right thing.
#[derive(clap::Args)]
struct EngineArgs {
    /// Rounds of every measurement; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Print one JSON document on stdout, and progress on stderr only
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let What::Engine(args) = &args.what;
    let rounds = args.rounds.to_string();
    let mut arguments = vec!["--rounds", &rounds];
    if args.json {
        arguments.push("--json");
    }
    play_built(repo, "bench_engine", &["--release"], &arguments)
}
