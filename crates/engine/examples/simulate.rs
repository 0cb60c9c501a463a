//! Plays many runs of the engine's simulator; `cargo xtask simulate` builds and starts it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer command speaks to a terminal"
)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use capstan_engine::sim::{self, Outcome, Totals};
use clap::Parser;
use serde_json::json;

/// Seconds between two lines of progress.
const PROGRESS_SECONDS: u64 = 10;

/// Plays seeded runs of the engine against a simulated chain.
#[derive(Parser)]
struct Args {
    /// Runs to play
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// Seed of the first run; each further run has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Intents of each run, at least
    #[arg(long, default_value_t = 50)]
    intents: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Print every step of the runs
    #[arg(long)]
    trace: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let started = Instant::now();
    let (next, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..args.threads.clamp(1, args.runs.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= args.runs {
                        break;
                    }
                    let seed = args.seed.wrapping_add(index);
                    let outcome = sim::caught(seed, || sim::run(seed, args.intents, args.trace));
                    if args.trace {
                        println!("run {}", outcome.seed);
                        outcome.trace.iter().for_each(|line| println!("{line}"));
                    }
                    let Ok(mut total) = total.lock() else { break };
                    total.add(outcome);
                    let seconds = started.elapsed().as_secs();
                    if seconds >= told.load(Ordering::Relaxed).saturating_add(PROGRESS_SECONDS) {
                        told.store(seconds, Ordering::Relaxed);
                        let (runs, failed) = (index.saturating_add(1), total.failures.len());
                        eprintln!("{runs} of {} runs, {failed} failed, {seconds} s", args.runs);
                    }
                }
            });
        }
    });
    let Ok(mut total) = total.into_inner() else { return ExitCode::FAILURE };
    total.failures.sort_by_key(|outcome| outcome.seed);
    report(&args, &total, started.elapsed().as_secs_f64());
    if total.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(args: &Args, total: &Totals, seconds: f64) {
    let replay = |outcome: &Outcome| {
        let (seed, intents) = (outcome.seed, args.intents);
        format!("cargo xtask simulate --runs 1 --seed {seed} --intents {intents} --trace")
    };
    let said = |outcome: &Outcome| -> Vec<String> {
        outcome.violations.iter().map(ToString::to_string).collect()
    };
    if args.json {
        let failure = |outcome: &Outcome| {
            let (seed, violations, replay) = (outcome.seed, said(outcome), replay(outcome));
            json!({ "seed": seed, "violations": violations, "replay": replay })
        };
        let failures: Vec<_> = total.failures.iter().map(failure).collect();
        let mut document = json!({ "seconds": seconds, "failures": failures });
        if let Some(fields) = document.as_object_mut() {
            let figures = total.figures().into_iter();
            fields.extend(figures.map(|(name, value)| (name.to_owned(), json!(value))));
        }
        println!("{document:#}");
        return;
    }
    for outcome in &total.failures {
        println!("seed {}:", outcome.seed);
        said(outcome).iter().for_each(|line| println!("  {line}"));
        println!("  {}", replay(outcome));
    }
    let figures: Vec<_> =
        total.figures().iter().map(|(name, value)| format!("{name} {value}")).collect();
    println!("{}, seconds {seconds:.1}", figures.join(", "));
}
