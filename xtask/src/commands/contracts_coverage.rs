//! `cargo xtask contracts-coverage`: which lines and branches of the contracts the tests reach.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::forge;
use crate::repo::{self, Repo};
use crate::toolchain;

pub(crate) mod assembly;
mod lcov;

use lcov::{Coverage, Share};

const PROFILE: &str = "coverage";
/// What the tests are measured against, and what of it is not deployed.
const SOURCES: &str = "src/";
const NOT_DEPLOYED: &str = "src/dev/";
/// Test files measured at once. The compiler has four gigabytes of memory, and instrumented code that tests embed
/// takes a good part of one for each twenty files.
const AT_ONCE: usize = 14;
const TRACE: &str = "cache/coverage/lcov.info";

/// Measures which lines and branches of `contracts/src` the contract tests reach.
///
/// `src/dev`, tests and libraries are left out, and so are the gas tests, whose budgets the measured
/// code does not keep. The sources need the IR pipeline (without it the stack is too small), so they
/// are measured as forge's `--ir-minimum` compiles them. A branch is the body of an `if` or `else`:
/// an `if` whose body ran counts as covered even if it was never skipped. Inline assembly cannot be
/// measured in this way: its lines and branches are not counted, and the table says how many there are.
///
/// Fails if a test fails, or if fewer branches are reached than `--min-branches` says. The first run
/// compiles everything anew, which takes some minutes; lines and branches that were missed are listed
/// by number.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Percentage of branches, over all files, below which the command fails
    #[arg(long, default_value_t = 95.0)]
    min_branches: f64,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    toolchain::ensure(repo)?;
    let contracts = repo.path("contracts");
    let tests = test_files(&contracts)?;
    let mut trace = String::new();
    for (number, part) in (1..).zip(tests.chunks(AT_ONCE)) {
        eprintln!("part {number} of {}", tests.len().div_ceil(AT_ONCE));
        let others = tests.iter().filter(|test| !part.contains(test));
        trace += &measure(repo, part, others)?;
    }
    // A file that several parts reach comes several times, and its counts are added up.
    let mut files = lcov::read(&trace)?;
    files.retain(|path, _| path.starts_with(SOURCES) && !path.starts_with(NOT_DEPLOYED));
    if files.is_empty() {
        bail!("forge measured no file of contracts/{SOURCES}");
    }
    for (path, file) in &mut files {
        let source = fs::read_to_string(contracts.join(path)).with_context(|| path.clone())?;
        file.leave_out(&assembly::lines(&source));
    }

    let (lines, branches) = totals(&files);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&files, args.min_branches))?);
    } else {
        print!("{}", table(&files));
    }
    if branches.percent() < args.min_branches {
        bail!(
            "{branches} of the branches are reached, fewer than {:.2} % (lines: {lines})",
            args.min_branches
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Every test but the gas tests, since instrumented code costs more gas than a budget allows, and those that are proven
/// and not run.
fn test_files(contracts: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["test", "test/invariant"] {
        for entry in fs::read_dir(contracts.join(folder)).with_context(|| folder.to_owned())? {
            let name = entry.context(folder)?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".t.sol") && !name.contains("Gas") {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs some test files, compiling none of the others, and gives forge's report.
fn measure<'a>(
    repo: &Repo,
    tests: &[String],
    others: impl Iterator<Item = &'a String>,
) -> Result<String> {
    let trace = repo.path("contracts").join(TRACE);
    let pattern = format!("{{{}}}", tests.join(","));
    let arguments =
        ["coverage", "--offline", "--ir-minimum", "--match-path", &pattern, "--report", "lcov"];
    let mut command = forge::forge_as(repo, PROFILE, &arguments);
    command.args(["--report-file", TRACE]).stdout(Stdio::from(std::io::stderr()));
    for skipped in others.map(String::as_str).chain(["test/symbolic/**", "test/*Gas*", "script/**"])
    {
        command.args(["--skip", skipped]);
    }
    repo::run(&mut command)?;
    fs::read_to_string(trace).context("forge's report")
}

fn totals(files: &BTreeMap<String, Coverage>) -> (Share, Share) {
    let sum = |share: fn(&Coverage) -> Share| files.values().map(share).sum();
    (sum(Coverage::lines), sum(Coverage::branches))
}

fn document(files: &BTreeMap<String, Coverage>, min_branches: f64) -> Value {
    let file = |(path, file): (&String, &Coverage)| {
        let (lines, branches) = (file.lines(), file.branches());
        let value = json!({
            "lines_percent": lines.percent(), "lines_hit": lines.hit, "lines": lines.of,
            "branches_percent": branches.percent(), "branches_hit": branches.hit,
            "branches": branches.of, "missed_lines": file.missed_lines(),
            "missed_branches": file.missed_branches(), "assembly_lines": file.left_out(),
        });
        (path.clone(), value)
    };
    let (lines, branches) = totals(files);
    json!({
        "lines_percent": lines.percent(),
        "branches_percent": branches.percent(),
        "min_branches": min_branches,
        "files": files.iter().map(file).collect::<serde_json::Map<_, _>>(),
    })
}

fn table(files: &BTreeMap<String, Coverage>) -> String {
    let width = files.keys().map(String::len).max().unwrap_or_default();
    let (lines, branches) = totals(files);
    let row = |name: &str, lines: Share, branches: Share, rest: &str| {
        let (lines, branches) = (lines.to_string(), branches.to_string());
        format!("{name:width$}  {lines:>18}  {branches:>18}  {rest}").trim_end().to_owned() + "\n"
    };
    let mut text = format!("{:width$}  {:>18}  {:>18}  missed\n", "file", "lines", "branches");
    for (path, file) in files {
        let mut rest = Vec::new();
        for (what, missed) in
            [("lines", file.missed_lines()), ("branches at", file.missed_branches())]
        {
            if !missed.is_empty() {
                let missed: Vec<_> = missed.iter().map(u64::to_string).collect();
                rest.push(format!("{what} {}", missed.join(" ")));
            }
        }
        if file.left_out() != 0 {
            rest.push(format!("({} lines in assembly)", file.left_out()));
        }
        text += &row(path, file.lines(), file.branches(), &rest.join("; "));
    }
    text + &row("total", lines, branches, "")
}
