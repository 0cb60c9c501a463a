//! Contract tests and the gas figures they leave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::repo::{self, Repo};
use crate::toolchain;

/// The tests that measure. Each also asserts its budget.
const GAS_TESTS: &str = "test/{*Gas,JobProofs}.t.sol";

/// The committed figures, one file per contract.
const COMMITTED: &str = "contracts/snapshots";

/// Where a measurement is written; ignored by git.
const SCRATCH: &str = "contracts/cache/snapshots";

/// Gas by operation, as `<contract>.<operation>`.
pub(crate) type Figures = BTreeMap<String, u64>;

pub(crate) fn forge(repo: &Repo, arguments: &[&str]) -> Command {
    let mut command = toolchain::program(repo, "forge");
    command.args(arguments).current_dir(repo.path("contracts"));
    command
}

/// The same under a profile of `contracts/foundry.toml`.
pub(crate) fn forge_as(repo: &Repo, profile: &str, arguments: &[&str]) -> Command {
    let mut command = forge(repo, arguments);
    command.env("FOUNDRY_PROFILE", profile).env("FOUNDRY_GAS_SNAPSHOT_EMIT", "false");
    command
}

/// Every contract test. Figures are left alone: `measure` is for those.
pub(crate) fn test(repo: &Repo) -> Result<()> {
    repo::run(forge(repo, &["test", "--offline"]).env("FOUNDRY_GAS_SNAPSHOT_EMIT", "false"))
}

/// What the gas tests measured, and how they ended: figures over budget are shown all the same.
pub(crate) struct Measured {
    pub(crate) figures: Figures,
    pub(crate) tests: Result<()>,
}

/// Runs the gas tests, without touching the committed figures.
pub(crate) fn measure(repo: &Repo) -> Result<Measured> {
    let scratch = repo.path(SCRATCH);
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("empty contracts/cache/snapshots")?;
    }
    let mut command = forge(repo, &["test", "--offline", "--match-path", GAS_TESTS]);
    command.env("FOUNDRY_GAS_SNAPSHOT_EMIT", "true").env("FOUNDRY_SNAPSHOTS", &scratch);
    let tests = repo::run_on_stderr(&mut command);
    match read(&scratch) {
        Ok(figures) => Ok(Measured { figures, tests }),
        // Without figures, what stopped the tests says more than the missing folder.
        Err(error) => Err(tests.err().unwrap_or(error)),
    }
}

/// The committed figures.
pub(crate) fn committed(repo: &Repo) -> Result<Figures> {
    read(&repo.path(COMMITTED))
}

/// Takes over the files of the last measurement.
pub(crate) fn commit_measured(repo: &Repo) -> Result<()> {
    let committed = repo.path(COMMITTED);
    fs::create_dir_all(&committed).context("create contracts/snapshots")?;
    for path in json_files(&committed)? {
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    for path in json_files(&repo.path(SCRATCH))? {
        let name = path.file_name().context("file name")?;
        fs::copy(&path, committed.join(name)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(folder: &Path) -> Result<Figures> {
    let mut figures = Figures::new();
    for path in json_files(folder)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let contract = path.file_stem().unwrap_or_default().to_string_lossy();
        figures.extend(parse(&contract, &text).with_context(|| path.display().to_string())?);
    }
    Ok(figures)
}

/// One snapshot file: an object of decimal strings.
fn parse(contract: &str, text: &str) -> Result<Figures> {
    let values: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let figure = |(operation, value): (String, Value)| {
        let gas = value.as_str().and_then(|gas| gas.parse().ok());
        let gas = gas.with_context(|| format!("`{operation}` is no decimal string: {value}"))?;
        Ok((format!("{contract}.{operation}"), gas))
    };
    values.into_iter().map(figure).collect()
}

/// What changed from the committed figures to the measured ones, one line each.
pub(crate) fn differences(committed: &Figures, measured: &Figures) -> Vec<String> {
    let names =
        committed.keys().chain(measured.keys().filter(|name| !committed.contains_key(*name)));
    let line = |name: &String| match (committed.get(name), measured.get(name)) {
        (Some(was), Some(is)) if was == is => None,
        (Some(was), Some(is)) => {
            let sign = if is > was { '+' } else { '-' };
            Some(format!("{name}: {was} -> {is} ({sign}{})", was.abs_diff(*is)))
        }
        (Some(was), None) => Some(format!("{name}: {was} -> not measured any more")),
        (None, Some(is)) => Some(format!("{name}: {is}, not committed")),
        (None, None) => None,
    };
    names.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Figures, differences, parse};

    fn figures(pairs: &[(&str, u64)]) -> Figures {
        pairs.iter().map(|(name, gas)| ((*name).to_owned(), *gas)).collect()
    }

    #[test]
    fn snapshot_files_are_decimal_strings() {
        let read = parse("Market", r#"{"open":"58000","close":"1"}"#).unwrap();
        assert_eq!(read, figures(&[("Market.open", 58_000), ("Market.close", 1)]));
        assert!(parse("Market", r#"{"open":"many"}"#).is_err());
    }

    #[test]
    fn every_change_is_named() {
        let was = figures(&[("a", 10), ("b", 20), ("c", 30)]);
        let is = figures(&[("a", 10), ("b", 25), ("d", 1)]);
        let expected =
            ["b: 20 -> 25 (+5)", "c: 30 -> not measured any more", "d: 1, not committed"];
        assert_eq!(differences(&was, &is), expected);
    }
}
