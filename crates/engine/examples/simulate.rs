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

use capstan_engine::sim::{self, Outcome, Violation};
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

/// What all runs came to.
#[derive(Default)]
struct Total {
    runs: u64,
    intents: u64,
    lost: u64,
    double: u64,
    stuck: u64,
    other: u64,
    deaths: u64,
    sends: u64,
    recovered_max_blocks: u64,
    recovered_max_seed: u64,
    failures: Vec<Outcome>,
}

impl Total {
    fn add(&mut self, outcome: Outcome) {
        self.runs = self.runs.saturating_add(1);
        self.intents = self.intents.saturating_add(outcome.intents);
        self.deaths = self.deaths.saturating_add(outcome.deaths);
        self.sends = self.sends.saturating_add(outcome.sends);
        let recovered = outcome.recovered_blocks.unwrap_or(0);
        if recovered > self.recovered_max_blocks {
            (self.recovered_max_blocks, self.recovered_max_seed) = (recovered, outcome.seed);
        }
        for violation in &outcome.violations {
            let counter = match violation {
                Violation::Lost(..) => &mut self.lost,
                Violation::Double(..) => &mut self.double,
                Violation::Stuck(..) => &mut self.stuck,
                _ => &mut self.other,
            };
            *counter = counter.saturating_add(1);
        }
        if !outcome.violations.is_empty() {
            self.failures.push(outcome);
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let started = Instant::now();
    let (next, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..args.threads.clamp(1, args.runs.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= args.runs {
                        break;
                    }
                    let outcome = sim::run(args.seed.wrapping_add(index), args.intents, args.trace);
                    if args.trace {
                        println!("run {}", outcome.seed);
                        outcome.trace.iter().for_each(|line| println!("{line}"));
                    }
                    let Ok(mut total) = total.lock() else { break };
                    total.add(outcome);
                    let seconds = started.elapsed().as_secs();
                    if seconds >= told.load(Ordering::Relaxed).saturating_add(PROGRESS_SECONDS) {
                        told.store(seconds, Ordering::Relaxed);
                        let (runs, failed) = (total.runs, total.failures.len());
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

fn report(args: &Args, total: &Total, seconds: f64) {
    let replay = |outcome: &Outcome| {
        let (seed, intents) = (outcome.seed, args.intents);
        format!("cargo xtask simulate --runs 1 --seed {seed} --intents {intents} --trace")
    };
    let said = |outcome: &Outcome| -> Vec<String> {
        outcome.violations.iter().map(ToString::to_string).collect()
    };
    if args.json {
        let failures: Vec<_> = total
            .failures
            .iter()
            .map(|outcome| {
                json!({
                    "seed": outcome.seed, "violations": said(outcome), "replay": replay(outcome),
                })
            })
            .collect();
        let document = json!({
            "runs": total.runs, "intents": total.intents, "lost": total.lost,
            "double": total.double, "stuck": total.stuck, "other": total.other,
            "recovered_max_blocks": total.recovered_max_blocks,
            "recovered_max_seed": total.recovered_max_seed,
            "deaths": total.deaths, "sends": total.sends,
            "seconds": seconds, "failures": failures,
        });
        println!("{document:#}");
        return;
    }
    for outcome in &total.failures {
        println!("seed {}:", outcome.seed);
        said(outcome).iter().for_each(|line| println!("  {line}"));
        println!("  {}", replay(outcome));
    }
    println!(
        "runs {}, intents {}, lost {}, double {}, stuck {}, other {}, recovered_max_blocks {} \
         (seed {}), seconds {seconds:.1}; {} deaths, {} transactions sent",
        total.runs,
        total.intents,
        total.lost,
        total.double,
        total.stuck,
        total.other,
        total.recovered_max_blocks,
        total.recovered_max_seed,
        total.deaths,
        total.sends,
    );
}
