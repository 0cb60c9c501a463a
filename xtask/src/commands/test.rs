//! `cargo xtask test`: everything CI runs.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::build;
use crate::commands::{artifacts, gas, tidy};
use crate::forge;
use crate::repo::{self, BINARY_VARIABLE, Repo};
use crate::steps::{self, Step};
use crate::toolchain;

/// Runs every check and test, which is what CI runs.
///
/// One failure does not stop the others: only steps that need the failed one are skipped, so that one
/// run shows everything. A table at the end says what took how long; the exit code is 0 only if all
/// passed. Rust tests run under cargo-nextest if it is installed, else under `cargo test`.
///
/// Steps, in order: postgres, tools, fmt, tidy, contracts, gas, artifacts, lints, build, rust, docs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run these steps alone, with what earlier runs left in place
    #[arg(long, value_name = "STEP", value_delimiter = ',', value_parser = step_names())]
    only: Vec<String>,
}

const STEPS: [Step<Repo>; 11] = [
    Step { name: "postgres", title: "programs of PostgreSQL", needs: &[], run: postgres },
    Step {
        name: "tools",
        title: "pinned chain, compiler and test runner",
        needs: &[],
        run: |repo| toolchain::ensure(repo).map(drop),
    },
    Step { name: "fmt", title: "formatting", needs: &[], run: format },
    Step { name: "tidy", title: "layering and file rules", needs: &[], run: tidy::check },
    Step { name: "contracts", title: "contract tests", needs: &["tools"], run: contracts },
    Step {
        name: "gas",
        title: "gas against the committed figures",
        needs: &["tools"],
        run: gas::check,
    },
    Step {
        name: "artifacts",
        title: "committed bytecode against a rebuild",
        needs: &["tools"],
        run: |repo| artifacts::rebuild(repo, true),
    },
    Step { name: "lints", title: "clippy on every target", needs: &[], run: lints },
    Step { name: "build", title: "the binary and every test", needs: &[], run: build_all },
    Step { name: "rust", title: "Rust tests", needs: &["postgres", "tools", "build"], run: rust },
    Step { name: "docs", title: "examples in the documentation", needs: &["build"], run: docs },
];

/// What builds everything the tests run, and what cargo then finds fresh.
const BUILD: [&str; 3] = ["--workspace", "--bins", "--tests"];

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let wanted =
        |step: &Step<Repo>| args.only.is_empty() || args.only.iter().any(|name| name == step.name);
    let steps: Vec<_> = STEPS.into_iter().filter(wanted).collect();
    let report = steps::run(&steps, repo);
    println!("\n{}", report.table());
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Said first, not after twenty minutes of building.
fn postgres(_: &Repo) -> Result<()> {
    if capstan_test_postgres::is_left_out() {
        eprintln!("left out: {}=1", capstan_test_postgres::WITHOUT);
        return Ok(());
    }
    capstan_test_postgres::installed().map_err(anyhow::Error::msg)
}

fn format(repo: &Repo) -> Result<()> {
    repo::run(repo.cargo().args(["fmt", "--all", "--check"]))
}

fn contracts(repo: &Repo) -> Result<()> {
    repo::run(&mut forge::forge(repo, &["fmt", "--check"]))?;
    forge::test(repo)
}

fn lints(repo: &Repo) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    repo::run(repo.cargo().args(arguments))
}

fn build_all(repo: &Repo) -> Result<()> {
    build::build(repo, &BUILD).map(drop)
}

fn rust(repo: &Repo) -> Result<()> {
    let binaries = build::build(repo, &BUILD)?;
    let mut command = repo.cargo();
    command.env(BINARY_VARIABLE, binaries.get("capstan")?);
    if nextest_is_installed(repo) {
        eprintln!("with cargo-nextest: it ends hanging tests and holds chain tests to two at once");
        command.args(["nextest", "run", "--workspace"]);
    } else {
        eprintln!("with `cargo test`, as cargo-nextest is not installed");
        command.args(["test", "--workspace", "--bins", "--tests", "--no-fail-fast"]);
    }
    repo::run(&mut command)
}

/// nextest does not run these; `cargo test --tests` leaves them out as well.
fn docs(repo: &Repo) -> Result<()> {
    repo::run(repo.cargo().args(["test", "--workspace", "--doc"]))
}

fn nextest_is_installed(repo: &Repo) -> bool {
    let mut command: Command = repo.cargo();
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::STEPS;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: super::Args,
    }

    #[test]
    fn every_need_is_an_earlier_step() {
        for (index, step) in STEPS.iter().enumerate() {
            for need in step.needs {
                assert!(STEPS[..index].iter().any(|earlier| earlier.name == *need), "{need}");
            }
        }
    }

    #[test]
    fn the_help_lists_the_steps() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        let help = Cli::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("Steps, in order: {}.", names.join(", "))), "{help}");
    }
}
