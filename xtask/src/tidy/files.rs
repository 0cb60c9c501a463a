//! What every file owes its reader: a first line that says what it is, a size one can read, no leftovers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;
use crate::repo::Repo;

/// Past this a file holds two subjects.
const MAX_LINES: usize = 800;

/// Sources that a program writes, and nobody reads for pleasure.
const GENERATED: &str = "contracts/ezkl/verifier/";

/// Kinds of file that are code, by the end of the name.
const CODE: [&str; 8] = [".rs", ".sol", ".mjs", ".js", ".ts", ".py", ".sh", ".toml"];

/// Leftovers. Written in halves so that this file does not find itself.
const LEFTOVERS: [(&str, &str); 5] = [
    (concat!("todo", "!"), "write the code, or refuse with an error"),
    (concat!("unimplemented", "!"), "write the code, or refuse with an error"),
    (concat!("dbg", "!"), "remove it, or use `tracing`"),
    (concat!("FIX", "ME"), "fix it, or say in prose what is limited and why"),
    (concat!("XX", "X"), "fix it, or say in prose what is limited and why"),
];

/// Beginnings of a path on somebody's own machine.
const HOMES: [&str; 3] = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

pub(super) fn check(repo: &Repo) -> Result<Vec<Finding>> {
    let ignored = ignored_folders(&fs::read_to_string(repo.path(".gitignore"))?);
    let mut paths = Vec::new();
    walk(repo.root(), "", &ignored, &mut paths)?;
    let mut findings = Vec::new();
    for path in paths {
        let bytes = fs::read(repo.path(&path)).with_context(|| path.clone())?;
        // Weights and other binary files have no lines to check.
        if let Ok(text) = String::from_utf8(bytes) {
            findings.extend(check_file(&path, &text));
        }
    }
    Ok(findings)
}

/// Folders that git ignores, from the lines `/name/` of the root's `.gitignore`.
fn ignored_folders(gitignore: &str) -> Vec<String> {
    let folder = |line: &str| Some(line.strip_prefix('/')?.strip_suffix('/')?.to_owned());
    gitignore.lines().filter_map(|line| folder(line.trim())).collect()
}

fn walk(root: &Path, folder: &str, ignored: &[String], paths: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(root.join(folder)).with_context(|| format!("list `{folder}`"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("list `{folder}`"))?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("a name in `{folder}` is no UTF-8"))?;
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let kind = entry.file_type().with_context(|| path.clone())?;
        let skipped =
            [".git", "node_modules", "__pycache__"].contains(&name) || ignored.contains(&path);
        if kind.is_file() && !skipped {
            paths.push(path);
        } else if kind.is_dir() && !skipped {
            walk(root, &path, ignored, paths)?;
        }
    }
    Ok(())
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = text.lines().next().unwrap_or_default();
    let lines = text.lines().count();
    let rust = path.ends_with(".rs");
    let solidity = path.ends_with(".sol");
    if rust && !first.starts_with("//! ") {
        let remedy = "start with `//! ` and what the file is";
        findings.push(Finding::of_line(path, 1, "the first line does not say what it is", remedy));
    }
    if solidity && !first.starts_with("// SPDX-License-Identifier: ") {
        let remedy = "start with `// SPDX-License-Identifier: MIT OR Apache-2.0`";
        findings.push(Finding::of_line(path, 1, "no licence line", remedy));
    }
    let generated = path.starts_with(GENERATED);
    if (rust || solidity) && !generated && lines > MAX_LINES {
        let what = format!("{lines} lines, and {MAX_LINES} are the most");
        findings.push(Finding::of_file(path, what, "find the second subject and move it out"));
    }
    if path.ends_with("/mod.rs") {
        let remedy = "name the file after its folder, beside it";
        findings.push(Finding::of_file(path, "a file named mod.rs", remedy));
    }
    let code = CODE.iter().any(|end| path.ends_with(end));
    for (index, line) in text.lines().enumerate() {
        let leftovers = LEFTOVERS.iter().filter(|(word, _)| code && has_word(line, word));
        findings.extend(leftovers.map(|(word, remedy)| {
            Finding::of_line(path, index + 1, format!("`{word}` was left behind"), *remedy)
        }));
        if HOMES.iter().any(|home| has_word(line, home)) {
            let remedy = "make the path relative, or take it from the environment";
            let what = "a path on one person's machine";
            findings.push(Finding::of_line(path, index + 1, what, remedy));
        }
    }
    findings
}

/// Whether `word` stands in `line` with no letter, digit or underscore touching its ends.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |character: char| character.is_alphanumeric() || character == '_';
    let opens = word.starts_with(joins) || word.starts_with('/');
    let closes = word.ends_with(joins);
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (line.get(..start), line.get(start + word.len()..));
        let touched_before = opens && before.is_some_and(|text| text.ends_with(joins));
        let touched_after = closes && after.is_some_and(|text| text.starts_with(joins));
        !touched_before && !touched_after
    })
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
