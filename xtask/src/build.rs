//! Building the workspace, and learning where cargo put each binary.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::repo::{self, Repo};

/// Binaries by name, absolute.
#[derive(Debug, Default)]
pub(crate) struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    pub(crate) fn get(&self, name: &str) -> Result<&PathBuf> {
        self.0.get(name).with_context(|| format!("the build made no binary `{name}`"))
    }

    /// Takes note of one line of cargo's JSON output.
    fn note(&mut self, line: &str) -> Result<()> {
        let message: Value = serde_json::from_str(line)?;
        let is_binary = message["target"]["kind"][0] == "bin";
        // A test harness is an executable too, under the name of what it tests.
        let is_harness = message["profile"]["test"] == true;
        let (name, path) = (&message["target"]["name"], &message["executable"]);
        if let (true, false, Some(name), Some(path)) =
            (is_binary, is_harness, name.as_str(), path.as_str())
        {
            self.0.insert(name.to_owned(), path.into());
        }
        Ok(())
    }
}

/// Runs `cargo build` with these arguments; diagnostics go to stderr as usual.
pub(crate) fn build(repo: &Repo, arguments: &[&str]) -> Result<Binaries> {
    let mut command = repo.cargo();
    command.arg("build").args(arguments);
    let line = repo::display(&command);
    eprintln!("$ {line}");
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start `{line}`"))?;
    let stdout = child.stdout.take().context("cargo's output")?;
    let mut binaries = Binaries::default();
    for message in BufReader::new(stdout).lines() {
        let message = message.context("read cargo's output")?;
        binaries.note(&message).with_context(|| format!("cargo printed `{message}`"))?;
    }
    repo::check(&line, child.wait().with_context(|| format!("wait for `{line}`"))?)?;
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::Binaries;

    fn artifact(kind: &str, name: &str, test: bool, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"{name}"}},
            "profile":{{"test":{test}}},"executable":{executable}}}"#
        )
    }

    #[test]
    fn binaries_are_told_from_libraries_and_harnesses() {
        let mut binaries = Binaries::default();
        for line in [
            artifact("lib", "capstan_base", false, "null"),
            artifact("bin", "capstan", false, r#""/t/debug/capstan""#),
            artifact("bin", "capstan", true, r#""/t/debug/deps/capstan-1f""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ] {
            binaries.note(&line).unwrap();
        }
        assert_eq!(binaries.get("capstan").unwrap().to_str(), Some("/t/debug/capstan"));
        assert!(binaries.get("capstan_base").is_err());
    }
}
