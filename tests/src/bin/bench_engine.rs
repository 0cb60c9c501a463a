//! `cargo xtask bench engine`: settlements per second, beside the plain ways in the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench stops where it cannot go on, and prints its figures"
)]

use capstan_tests::bench::{Measured, Stage, median, naive, pipelined, restart, settle};
use clap::Parser;
use serde_json::json;

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
    let (mut naives, mut pipes) = (Vec::new(), Vec::new());
    let (mut singles, mut batches): (Vec<Measured>, Vec<Measured>) = (Vec::new(), Vec::new());
    let mut restarts = Vec::new();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}: opening sessions", args.rounds);
        let mut stage = Stage::set(NAIVE + 2 * args.singles + args.batched).await;
        eprintln!("  one at a time");
        naives.push(naive(&mut stage, NAIVE).await);
        eprintln!("  pipelined");
        pipes.push(pipelined(&mut stage, args.singles).await);
        eprintln!("  engine, single");
        singles.push(settle(&mut stage, args.singles, 1).await);
        eprintln!("  engine, batched");
        batches.push(settle(&mut stage, args.batched, 50).await);
        eprintln!("  engine, restart with {OPEN} open intents");
        restarts.push(restart(&stage, OPEN).await.as_secs_f64() * 1e3);
        eprintln!(
            "  {:.1} naive, {:.0} pipelined, {singles:.0?}, {batches:.0?}",
            naives.last().unwrap(),
            pipes.last().unwrap()
        );
    }
    let rate = |all: &[Measured]| median(all.iter().map(|one| one.per_second).collect());
    let cpu = |all: &[Measured]| median(all.iter().map(|one| one.cpu_ms).collect());
    let per_tx = |one: &Measured| args.batched as f64 / one.transactions as f64;
    let items = median(batches.iter().map(per_tx).collect());
    let (naive, pipelined) = (median(naives), median(pipes));
    let (single, batched) = (rate(&singles), rate(&batches));
    let figures = json!({
        "rounds": args.rounds,
        "naive_per_s": round(naive, 2),
        "pipelined_per_s": round(pipelined, 1),
        "single_per_s": round(single, 1),
        "batched_per_s": round(batched, 1),
        "single_over_naive": round(single / naive, 1),
        "single_over_pipelined": round(single / pipelined, 3),
        "batched_over_pipelined": round(batched / pipelined, 3),
        "engine_cpu_ms_per_settlement": round(cpu(&batches), 3),
        "engine_cpu_ms_per_single_settlement": round(cpu(&singles), 3),
        "settlements_per_batch": round(items, 1),
        "restart_100k_ms": round(median(restarts), 0),
    });
    if args.json {
        println!("{figures}");
    } else {
        println!("{figures:#}");
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
