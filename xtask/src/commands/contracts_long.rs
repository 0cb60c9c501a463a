//! `cargo xtask contracts-long`: a million calls against the invariants, and fuzzing to match.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::forge;
use crate::repo::{self, Repo};
use crate::toolchain;

mod report;

use report::{Invariant, Report};

/// Calls to handlers, over all invariants together, below which the run counts as failed.
const CALLS: u64 = 1_000_000;

const PROFILE: &str = "long";
const INVARIANTS: &str = "test/invariant/*";

/// Runs the contract tests much longer: a million calls against the invariants.
///
/// Everything in `contracts/test/invariant` is played with the depth of the profile `long`, as often
/// as it takes for a million handler calls over all invariants together; the calls that forge reports
/// are added up, and fewer are a failure. Then every other test runs with the fuzz runs of that
/// profile. With two cores it takes some minutes.
///
/// What is drawn follows from the seed, so a failure can be repeated: the seed is printed. Progress
/// goes to stderr.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs of each invariant; by default as many as a million calls need
    #[arg(long)]
    runs: Option<u64>,
    /// Seed of everything drawn at random; by default the one in contracts/foundry.toml
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// How long a run is, from the profile and the arguments.
struct Plan {
    runs: u64,
    depth: u64,
    fuzz_runs: u64,
    seed: String,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    toolchain::ensure(repo)?;
    let plan = plan(repo, args)?;
    eprintln!(
        "{} runs of {} calls for each invariant, {} fuzz runs, seed {}",
        plan.runs, plan.depth, plan.fuzz_runs, plan.seed
    );
    let mut report = Report::default();
    let mut ended_well = true;
    for paths in [["--match-path", INVARIANTS], ["--no-match-path", INVARIANTS]] {
        let mut command = test(repo, &plan);
        let (lines, status) = repo::lines_of(command.args(paths))?;
        lines.iter().for_each(|line| report.note(line));
        report.end();
        ended_well &= status.success();
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&plan, &report))?);
    } else {
        print!("{}", table(&report));
    }
    if !ended_well {
        bail!("a test failed; repeat it with `--seed {}`", plan.seed);
    }
    if report.calls() < CALLS {
        bail!("{} handler calls are fewer than {CALLS}: give more `--runs`", report.calls());
    }
    Ok(ExitCode::SUCCESS)
}

fn test(repo: &Repo, plan: &Plan) -> Command {
    let mut command =
        forge::forge_as(repo, PROFILE, &["test", "--offline", "--fuzz-seed", &plan.seed]);
    command.env("FOUNDRY_INVARIANT_RUNS", plan.runs.to_string());
    command
}

fn plan(repo: &Repo, args: &Args) -> Result<Plan> {
    let config = repo::output_of(&mut forge::forge_as(repo, PROFILE, &["config", "--json"]))?;
    let config: Value = serde_json::from_str(&config).context("forge's configuration")?;
    let number = |section: &str, key: &str| {
        let value = config[section][key].as_u64();
        value.with_context(|| format!("profile `{PROFILE}` says no {section}.{key}"))
    };
    let (depth, fuzz_runs) = (number("invariant", "depth")?, number("fuzz", "runs")?);
    let runs = match args.runs {
        Some(runs) => runs,
        None => runs_for(count_invariants(repo)?, depth)?.max(number("invariant", "runs")?),
    };
    let seed = match args.seed {
        Some(seed) => seed.to_string(),
        None => config["fuzz"]["seed"].as_str().context("no fuzz.seed")?.to_owned(),
    };
    Ok(Plan { runs, depth, fuzz_runs, seed })
}

/// Each `invariant_` function is played on its own.
fn count_invariants(repo: &Repo) -> Result<u64> {
    let arguments = ["test", "--offline", "--list", "--json", "--match-path", INVARIANTS];
    let output = repo::output_of(&mut forge::forge_as(repo, PROFILE, &arguments))?;
    let list = output.lines().rfind(|line| line.starts_with('{')).context("no list of tests")?;
    count_listed(&serde_json::from_str(list).context("forge's list of tests")?)
}

/// The list is file to contract to names.
fn count_listed(list: &Value) -> Result<u64> {
    let files = list.as_object().context("the list of tests is no object")?;
    let contracts = files.values().filter_map(Value::as_object).flatten();
    let names = contracts.filter_map(|(_, names)| names.as_array()).flatten();
    let invariants = names
        .filter(|name| name.as_str().is_some_and(|name| name.starts_with("invariant")))
        .count();
    Ok(u64::try_from(invariants)?)
}

fn runs_for(invariants: u64, depth: u64) -> Result<u64> {
    let per_run = invariants.checked_mul(depth).filter(|calls| *calls != 0);
    Ok(CALLS.div_ceil(per_run.context("there is no invariant to play")?))
}

fn document(plan: &Plan, report: &Report) -> Value {
    let invariant = |one: &Invariant| {
        json!({ "suite": one.suite, "name": one.name, "passed": one.passed, "runs": one.runs,
                "calls": one.calls, "reverts": one.reverts })
    };
    json!({
        "seed": plan.seed,
        "runs": plan.runs,
        "depth": plan.depth,
        "calls": report.calls(),
        "calls_required": CALLS,
        "invariants": report.invariants.iter().map(invariant).collect::<Vec<_>>(),
        "fuzz_runs": plan.fuzz_runs,
        "fuzz_tests": report.fuzz_tests,
        "passed": report.passed,
        "failed": report.failed,
    })
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.invariants {
        let outcome = if one.passed { "ok" } else { "FAILED" };
        text += &format!("{:>9} calls  {outcome:6}  {}:{}\n", one.calls, one.suite, one.name);
    }
    text + &format!(
        "{:>9} calls over {} invariants; {} tests passed, {} of them fuzzed; {} failed\n",
        report.calls(),
        report.invariants.len(),
        report.passed,
        report.fuzz_tests,
        report.failed
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CALLS, count_listed, runs_for};

    #[test]
    fn only_invariants_are_counted() {
        let list = json!({
            "test/invariant/A.t.sol": {"A": ["invariant_x", "invariant_y", "test_z"]},
            "test/invariant/B.t.sol": {"B": ["invariant_x"], "C": []},
        });
        assert_eq!(count_listed(&list).unwrap(), 3);
    }

    #[test]
    fn runs_reach_the_calls_and_not_one_run_more() {
        let runs = runs_for(3, 256).unwrap();
        assert!(runs * 3 * 256 >= CALLS && (runs - 1) * 3 * 256 < CALLS);
        assert!(runs_for(0, 256).is_err());
    }
}
