//! Manifests and locks: one place for versions and lints, public registries only.

use std::fs;

use anyhow::{Context, Result};

use super::Finding;
use super::layers::Graph;
use crate::repo::Repo;

/// What every member takes from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Where a lock may send a reader. npm leaves the address out where it is told to.
const REGISTRIES: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org/"];

const LOCKS: [&str; 2] = ["Cargo.lock", "tools/package-lock.json"];

pub(super) fn check(repo: &Repo, graph: &Graph) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &graph.packages {
        let path = format!("{}/Cargo.toml", package.folder);
        let text = fs::read_to_string(repo.path(&path)).with_context(|| path.clone())?;
        findings.extend(check_manifest(&path, &text));
    }
    for path in LOCKS {
        // The contracts' tools may be absent from a partial checkout; their absence shows elsewhere.
        let Ok(text) = fs::read_to_string(repo.path(path)) else { continue };
        findings.extend(check_lock(path, &text));
    }
    Ok(findings)
}

fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let says = |wanted: &str| text.lines().any(|line| line.trim() == wanted);
    let mut findings: Vec<_> = INHERITED
        .iter()
        .filter(|key| !says(&format!("{key}.workspace = true")))
        .map(|key| {
            Finding::of_file(
                path,
                format!("`{key}` is not the workspace's"),
                format!("write `{key}.workspace = true` under [package]"),
            )
        })
        .collect();
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    if lines.next() != Some("workspace = true") {
        findings.push(Finding::of_file(
            path,
            "the workspace's lints do not apply",
            "add `[lints]` with `workspace = true`",
        ));
    }
    findings
}

/// Looks at `source = "..."` (cargo) and `"resolved": "..."` (npm).
fn check_lock(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let address = line.strip_prefix("source = \"").or(line.strip_prefix("\"resolved\": \""));
        let Some(address) = address else { continue };
        if !REGISTRIES.iter().any(|registry| address.starts_with(registry)) {
            findings.push(Finding::of_line(
                path,
                index + 1,
                "a package comes from elsewhere than crates.io or npm",
                "take the published package; write npm's lock with `omit-lockfile-registry-resolved`",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{check_lock, check_manifest};

    const GOOD: &str = "[package]\nname = \"x\"\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        publish.workspace = true\n\n[lints]\nworkspace = true\n";

    #[test]
    fn an_own_version_is_found() {
        assert_eq!(check_manifest("x/Cargo.toml", GOOD), []);
        let own = GOOD.replace("version.workspace = true\nedition", "version = \"2\"\nedition");
        let findings = check_manifest("x/Cargo.toml", &own);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().contains("`version`"), "{findings:?}");
    }

    #[test]
    fn missing_lints_are_found() {
        let without = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(check_manifest("x/Cargo.toml", &without).len(), 1);
    }

    #[test]
    fn a_foreign_source_is_found() {
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
            source = \"git+https://example.org/x\"\n\
            \"resolved\": \"https://registry.npmjs.org/a.tgz\"\n\
            \"resolved\": \"https://mirror.example.org/a.tgz\"\n";
        let lines: Vec<_> = check_lock("Cargo.lock", lock).iter().map(|f| f.line).collect();
        assert_eq!(lines, [Some(2), Some(4)]);
    }
}
