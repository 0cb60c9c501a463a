//! `cargo xtask contracts-coverage`: which lines and branches of the contracts the tests reach.

use std::collections::BTreeMap;
use std::fs;
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
    let mut files = lcov::read(&measure(repo)?)?;
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

/// Runs every test but the gas tests, since instrumented code costs more gas than a budget allows, and those that are
/// proven and not run, and gives forge's report.
fn measure(repo: &Repo) -> Result<String> {
    let trace = repo.path("contracts").join(TRACE);
    // forge does not make the folder of its report.
    if let Some(folder) = trace.parent() {
        fs::create_dir_all(folder).context("create contracts/cache/coverage")?;
    }
    let arguments = ["coverage", "--offline", "--ir-minimum", "--report", "lcov"];
    let mut command = forge::forge_as(repo, PROFILE, &arguments);
    command.args(["--report-file", TRACE]).stdout(Stdio::from(std::io::stderr()));
    for skipped in ["test/symbolic/**", "test/*Gas*", "script/**"] {
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
