//! `cargo xtask contracts-mutate`: faults put into the contracts, to see which ones no test notices.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::repo::Repo;
use crate::toolchain;

mod bench;
mod mutants;
mod text;

use bench::{Bench, Verdict};
use mutants::Mutant;

const SOURCES: &str = "contracts/src";
/// Interfaces have no code, and what is in `dev` is not deployed.
const LEFT_OUT: [&str; 2] = ["contracts/src/interfaces/", "contracts/src/dev/"];

/// Puts small faults into the contracts, one at a time, and lists those that every test survives.
///
/// Comparisons, arithmetic, logic and shifts are turned round, constants moved by one, refusals,
/// assignments, calls, events and modifiers deleted. For each fault the contract tests run until the
/// first one fails, without invariants and gas tests. What survives shows a thin test, or a fault that
/// changes nothing: judge each. Inline assembly is left alone.
///
/// All of it happens in a copy under `contracts/cache/mutate`; your files are only read. A fault takes
/// about as long as compiling the file that it is in, so take a sample: `--file NodeRegistry.sol
/// --sample 30 --seed 2`. The same seed draws the same sample from the same sources.
///
/// The exit code is 0 whatever survives, unless the tests fail without any fault.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only files whose path under contracts/src ends like this; may be given often
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,
    /// How many faults of each file to try, drawn at random; by default all
    #[arg(long)]
    sample: Option<usize>,
    /// Seed of the sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run only tests whose file matches this glob, such as `test/NodeRegistry*`
    #[arg(long, value_name = "GLOB")]
    tests: Option<String>,
    /// Begin no fault after this many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// A fault and what the tests said to it.
struct Tried {
    file: String,
    mutant: Mutant,
    verdict: Verdict,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let files = files(repo, &args.file)?;
    let mut plan = Vec::new();
    for (file, source) in &files {
        let mutants = sample(mutants::of(source), args.sample, args.seed);
        plan.extend(mutants.into_iter().map(|mutant| (file, source, mutant)));
    }
    toolchain::ensure(repo)?;
    let mut bench = Bench::set_up(repo, args.tests.as_deref())?;
    eprintln!("{} faults; first the tests without one", plan.len());
    bench.prove_sound()?;

    let end = args.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let mut tried = Vec::new();
    for (number, (file, source, mutant)) in (1..).zip(&plan) {
        if end.is_some_and(|end| Instant::now() > end) {
            break;
        }
        let verdict = bench.judge(file, source, mutant)?;
        eprintln!("{number}/{} {verdict}: {}", plan.len(), line(file, mutant));
        tried.push(Tried { file: (*file).clone(), mutant: mutant.clone(), verdict });
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&tried, plan.len()))?);
    } else {
        print!("{}", table(&tried, plan.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sources by path from the repository's root.
fn files(repo: &Repo, wanted: &[String]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    gather(repo.root(), SOURCES, &mut files)?;
    let is_wanted =
        |path: &String| wanted.is_empty() || wanted.iter().any(|end| ends_like(path, end));
    for end in wanted {
        if !files.keys().any(|path| ends_like(path, end)) {
            bail!("no file under {SOURCES} ends like `{end}`");
        }
    }
    files.retain(|path, _| is_wanted(path));
    Ok(files)
}

fn gather(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder)).with_context(|| format!("list {folder}"))? {
        let entry = entry.with_context(|| format!("list {folder}"))?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().with_context(|| path.clone())?.is_dir() {
            gather(root, &path, files)?;
        } else if path.ends_with(".sol") && !LEFT_OUT.iter().any(|out| path.starts_with(out)) {
            let source = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            files.insert(path, source);
        }
    }
    Ok(())
}

/// Whole names only: `Escrow.sol` is not `PaymentEscrow.sol`.
fn ends_like(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// In the order of the file.
fn sample(mut mutants: Vec<Mutant>, size: Option<usize>, seed: u64) -> Vec<Mutant> {
    if let Some(size) = size {
        fastrand::Rng::with_seed(seed).shuffle(&mut mutants);
        mutants.truncate(size);
        mutants.sort_by_key(|mutant| mutant.start);
    }
    mutants
}

fn line(file: &str, mutant: &Mutant) -> String {
    let now = if mutant.after.is_empty() { "(deleted)" } else { &mutant.after };
    format!("{file}:{}: {}: `{}` -> `{now}`", mutant.line, mutant.kind, mutant.shown)
}

fn count(tried: &[Tried], verdict: Verdict) -> usize {
    tried.iter().filter(|one| one.verdict == verdict).count()
}

fn document(tried: &[Tried], planned: usize) -> Value {
    let survivor = |one: &Tried| {
        json!({ "file": one.file, "line": one.mutant.line, "kind": one.mutant.kind,
                "before": one.mutant.shown, "after": one.mutant.after })
    };
    let survivors = tried.iter().filter(|one| one.verdict == Verdict::Survived);
    json!({
        "planned": planned,
        "tried": tried.len(),
        "killed": count(tried, Verdict::Killed),
        "timed_out": count(tried, Verdict::TimedOut),
        "not_compiled": count(tried, Verdict::NotCompiled),
        "survived": count(tried, Verdict::Survived),
        "survivors": survivors.map(survivor).collect::<Vec<_>>(),
    })
}

fn table(tried: &[Tried], planned: usize) -> String {
    let mut text = String::new();
    for one in tried.iter().filter(|one| one.verdict == Verdict::Survived) {
        text += &line(&one.file, &one.mutant);
        text.push('\n');
    }
    text + &format!(
        "{} of {planned} faults tried: {} killed, {} timed out, {} did not compile, {} survived\n",
        tried.len(),
        count(tried, Verdict::Killed),
        count(tried, Verdict::TimedOut),
        count(tried, Verdict::NotCompiled),
        count(tried, Verdict::Survived)
    )
}

#[cfg(test)]
mod tests {
    use super::{ends_like, mutants, sample};

    #[test]
    fn files_are_named_by_whole_names() {
        assert!(ends_like("contracts/src/types/PackedSession.sol", "PackedSession.sol"));
        assert!(ends_like("contracts/src/types/PackedSession.sol", "types/PackedSession.sol"));
        assert!(!ends_like("contracts/src/PaymentEscrow.sol", "Escrow.sol"));
    }

    #[test]
    fn a_seed_draws_the_same_sample_in_order() {
        let mutants = mutants::of("a = b + c - d * e / f % g;");
        assert!(mutants.len() > 3);
        let drawn = sample(mutants.clone(), Some(3), 7);
        assert_eq!(drawn.len(), 3);
        assert!(drawn.is_sorted_by_key(|mutant| mutant.start));
        assert_eq!(drawn, sample(mutants.clone(), Some(3), 7));
        assert_eq!(sample(mutants.clone(), None, 7), mutants);
    }
}
