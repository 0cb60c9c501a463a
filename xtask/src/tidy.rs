//! The repository's own rules, checked: layering, file habits, manifests.

use std::fmt;

use anyhow::Result;

use crate::repo::Repo;

mod files;
mod layers;
mod manifests;
mod rooms;

/// One broken rule: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the repository's root.
    path: String,
    /// Counted from one; absent if the finding is about the whole file.
    line: Option<usize>,
    what: String,
    remedy: String,
}

impl Finding {
    fn of_file(path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into(), remedy: remedy.into() }
    }

    fn of_line(
        path: &str,
        line: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { line: Some(line), ..Self::of_file(path, what, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}", self.path)?,
            None => formatter.write_str(&self.path)?,
        }
        write!(formatter, ": {}\n    {}", self.what, self.remedy)
    }
}

/// Every finding at once, sorted by path.
pub(crate) fn check(repo: &Repo) -> Result<Vec<Finding>> {
    let graph = layers::Graph::of(repo)?;
    let mut findings = layers::check(&graph);
    findings.extend(layers::check_map(&std::fs::read_to_string(repo.path("ARCHITECTURE.md"))?));
    findings.extend(manifests::check(repo, &graph)?);
    findings.extend(files::check(repo)?);
    findings.sort();
    Ok(findings)
}
