//! `cargo xtask contracts-static`: what a static analyser says about the contracts, each finding answered.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::python;
use crate::repo::{self, Repo};

mod answers;

use answers::{Answers, Finding};

const PROFILE: &str = "static";
/// Where that profile puts what it builds; slither does not read it from there.
const OUT: &str = "cache/static/out";
const RESULT: &str = "cache/static/slither.json";
const ANSWERS: &str = "contracts/static-answers.toml";
/// Regular expressions over paths: what is not ours, and what is not deployed.
const FILTER: &str = "lib/|node_modules/|test/";

/// Analyses `contracts/src` with slither; every finding must be answered.
///
/// Answers stand in `contracts/static-answers.toml`: a detector, the places, and the reason why nothing
/// is wrong there. A finding without an answer is a failure, and so is an answer to which there is no
/// finding any more, so the file cannot go stale. For each unanswered finding the command prints the
/// lines that would answer it, but the reason: read the code first, it may be right.
///
/// Installs slither into `.tools/python` on first use; that needs Python 3.11 or newer and, once, PyPI.
/// Takes about half a minute. Progress goes to stderr.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    python::ensure(repo)?;
    let text = fs::read_to_string(repo.path(ANSWERS)).context(ANSWERS)?;
    let answers = Answers::read(&text).context(ANSWERS)?;
    let findings = answers::findings(&analyse(repo)?)?;
    let verdict = answers.compare(&findings);

    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&findings, &verdict))?);
    } else {
        for finding in &verdict.unanswered {
            println!("{} ({}): {}", finding.detector, finding.impact, finding.description);
            println!("{}\n", finding.stanza());
        }
        for stale in &verdict.stale {
            println!("no finding is answered by {stale}");
        }
        println!(
            "{} findings, {} answered; {} answers without a finding",
            findings.len(),
            findings.len() - verdict.unanswered.len(),
            verdict.stale.len()
        );
    }
    if !verdict.unanswered.is_empty() || !verdict.stale.is_empty() {
        bail!("fix the code or bring {ANSWERS} up to date");
    }
    Ok(ExitCode::SUCCESS)
}

fn analyse(repo: &Repo) -> Result<Value> {
    let result = repo.path("contracts").join(RESULT);
    fs::create_dir_all(repo.path("contracts").join(OUT)).context("create contracts/cache")?;
    // slither refuses to write over a result.
    if result.exists() {
        fs::remove_file(&result).context("remove the last result")?;
    }
    let mut command = python::program(repo, "slither")?;
    command
        .env("FOUNDRY_PROFILE", PROFILE)
        .args([".", "--foundry-out-directory", OUT, "--filter-paths", FILTER])
        .args(["--json", RESULT, "--fail-none"]);
    let ended = repo::run_on_stderr(&mut command);
    let text = match fs::read_to_string(&result) {
        Ok(text) => text,
        // Without a result, what stopped slither says more than the missing file.
        Err(error) => return Err(ended.err().unwrap_or_else(|| error.into())),
    };
    let result: Value = serde_json::from_str(&text).context("slither's result")?;
    if result["success"] != true {
        bail!("slither failed: {}", result["error"]);
    }
    ended.map(|()| result)
}

fn document(findings: &[Finding], verdict: &answers::Verdict<'_>) -> Value {
    let finding = |finding: &&Finding| {
        json!({ "detector": finding.detector, "impact": finding.impact, "where": finding.place,
                "description": finding.description })
    };
    json!({
        "findings": findings.len(),
        "answered": findings.len() - verdict.unanswered.len(),
        "unanswered": verdict.unanswered.iter().map(finding).collect::<Vec<_>>(),
        "stale_answers": verdict.stale,
    })
}
