//! `cargo xtask gas`: what each transaction costs, beside its budget and a public system.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::forge::{self, Measured};
use crate::repo::Repo;
use crate::toolchain;

mod readme;
mod table;

/// Measures what each transaction costs and prints it beside its budget.
///
/// Every figure is a whole transaction: 21,000 and calldata included, every slot and account cold.
/// The column "public system" is a public marketplace for the same job, measured the same way through
/// its proxies, and the last one what its first documents claimed; a dash means that it has no such
/// transaction or that it was not measured.
///
/// The committed figures, in `contracts/snapshots` and in README.md, stay as they are unless you ask
/// for `--write`; `cargo xtask test` fails while they differ from a measurement.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object on stdout, operation to gas
    #[arg(long)]
    json: bool,
    /// Replace the committed figures by the measured ones
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    toolchain::ensure(repo)?;
    let Measured { figures, tests } = forge::measure(repo)?;
    if args.write {
        forge::commit_measured(repo)?;
        readme::write(repo, &table::table(&figures))?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&table::json(&figures))?);
    } else {
        print!("{}", table::table(&figures));
    }
    let broken = table::over_budget(&figures);
    if !broken.is_empty() {
        bail!("over budget or not measured: {}", broken.join(", "));
    }
    tests.map(|()| ExitCode::SUCCESS)
}

/// Measures, and fails on any difference from the committed figures.
pub(crate) fn check(repo: &Repo) -> Result<()> {
    let Measured { figures: measured, tests } = forge::measure(repo)?;
    let committed = forge::committed(repo).context("the committed figures")?;
    let differences = forge::differences(&committed, &measured);
    for line in &differences {
        println!("{line}");
    }
    if !differences.is_empty() {
        bail!("gas changed; if that is right, run `cargo xtask gas --write` and commit the change");
    }
    readme::check(repo, &table::table(&committed))?;
    tests
}
