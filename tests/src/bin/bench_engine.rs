//! `cargo xtask bench engine`: settlements per second, beside the plain ways in the same run.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench stops where it cannot go on, and prints its figures"
)]

use capstan_tests::bench::{Figures, Round, Stage, naive, pipelined, restart, settle};
use clap::Parser;

/// Open intents of the restart that is measured.
const OPEN: usize = 100_000;

#[derive(Parser)]
struct Args {
    /// Rounds of every measurement; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Sessions each round settles singly, and by the pipelined way
    #[arg(long, default_value_t = 1500)]
    singles: usize,
    /// Sessions each round settles in batches
    #[arg(long, default_value_t = 6000)]
    batched: usize,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Sessions the one-at-a-time way settles: one a block, so its rate needs few.
const NAIVE: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args = Args::parse();
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        eprintln!("round {number} of {}: opening sessions", args.rounds);
        let mut stage = Stage::set(NAIVE + 2 * args.singles + args.batched).await;
        eprintln!("  one at a time");
        let naive = naive(&mut stage, NAIVE).await;
        eprintln!("  pipelined");
        let pipelined = pipelined(&mut stage, args.singles).await;
        eprintln!("  engine, single");
        let single = settle(&mut stage, args.singles, 1).await;
        eprintln!("  engine, batched");
        let batched = settle(&mut stage, args.batched, 50).await;
        eprintln!("  engine, restart with {OPEN} open intents");
        let restart_ms = restart(&stage, OPEN).await.as_secs_f64() * 1e3;
        let round = Round { naive, pipelined, single, batched, restart_ms };
        eprintln!("  {round:.1?}");
        rounds.push(round);
    }
    let figures = Figures::of(&rounds, args.batched);
    let text = if args.json {
        serde_json::to_string(&figures)
    } else {
        serde_json::to_string_pretty(&figures)
    };
    println!("{}", text.expect("JSON"));
}
