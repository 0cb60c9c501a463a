//! Seeded fault runs, two at a time, and one table over all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program prints, and stops where it cannot go on"
)]

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use capstan_tests::faults::{Plan, Totals, play};
use clap::Parser;
use futures_util::{StreamExt as _, stream};

#[derive(Parser)]
struct Args {
    /// Runs; the seed of each is one above that of the one before
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Seed of the first run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Folder for what runs leave behind: plan, log, database
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Print each run's outcome on standard error
    #[arg(long)]
    each: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let begun = Instant::now();
    let seeds = (0..args.runs).map(|run| (run, args.seed.wrapping_add(run)));
    let mut runs = stream::iter(seeds)
        .map(|(run, seed)| {
            let keep = args.keep.clone();
            async move {
                // Of its own, so that a run that breaks takes no other with it.
                let played =
                    tokio::spawn(async move { play(&Plan::draw(seed), keep.as_deref()).await });
                (run, seed, played.await)
            }
        })
        .buffer_unordered(usize::try_from(args.jobs).expect("a few"));
    let mut totals = Totals::default();
    while let Some((run, seed, played)) = runs.next().await {
        match played {
            Ok(outcome) => {
                totals.add(run, &outcome);
                if args.each {
                    clear_line();
                    eprintln!("{}", serde_json::to_string(&outcome).expect("JSON"));
                }
                if !outcome.verdict.is_good() {
                    clear_line();
                    eprintln!("run {run} (seed {seed}): {}", outcome.verdict.problems().join("; "));
                }
            }
            Err(error) => {
                clear_line();
                eprintln!("run {run} (seed {seed}) broke off: {error}");
                totals.broke_off(run, seed, error.to_string());
            }
        }
        progress(&totals, args.runs, begun);
    }
    clear_line();
    if args.json {
        println!("{}", serde_json::to_string(&totals).expect("JSON"));
    } else {
        print!("{}", totals.text());
    }
    if totals.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn progress(totals: &Totals, runs: u64, begun: Instant) {
    if std::io::stderr().is_terminal() {
        eprint!(
            "\r{} of {runs} runs, {} failed, {} kills, {} faults, {} s\x1b[K",
            totals.runs,
            totals.failures.len(),
            totals.kills,
            totals.faults_injected,
            begun.elapsed().as_secs()
        );
        let _ = std::io::stderr().flush();
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
