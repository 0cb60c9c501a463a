//! The file check against files that break it.

use super::{check_file, has_word, ignored_folders};

#[track_caller]
fn found(path: &str, text: &str, expected: &[&str]) {
    let findings: Vec<_> = check_file(path, text).iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), expected.len(), "{findings:?}");
    for (finding, part) in findings.iter().zip(expected) {
        assert!(finding.contains(part), "{finding}");
    }
}

#[test]
fn a_good_file_passes() {
    found("a.rs", "//! A file.\nfn main() {}\n", &[]);
    found("A.sol", "// SPDX-License-Identifier: MIT OR Apache-2.0\n", &[]);
    found("notes.md", "# anything\n", &[]);
}

#[test]
fn the_first_line_must_say_what_it_is() {
    found("a.rs", "use std::fs;\n", &["a.rs:1: the first line"]);
    found("a.rs", "", &["a.rs:1: the first line"]);
    found("A.sol", "pragma solidity ^0.8.30;\n", &["A.sol:1: no licence"]);
}

#[test]
fn long_files_are_found() {
    let long = format!("//! Long.\n{}", "\n".repeat(800));
    found("a.rs", &long, &["a.rs: 801 lines"]);
    found("a.md", &long, &[]);
}

#[test]
fn mod_rs_is_found() {
    found("crates/x/src/y/mod.rs", "//! Y.\n", &["named mod.rs"]);
}

#[test]
fn leftovers_are_found_in_code_only() {
    let text =
        format!("//! X.\n// {}: later\n    {}(x);\n", concat!("FIX", "ME"), concat!("dbg", "!"));
    found("a.rs", &text, &["a.rs:2: ", "a.rs:3: "]);
    found("a.md", &text, &[]);
}

#[test]
fn a_leftover_inside_a_word_is_none() {
    assert!(!has_word("mktemp capstan.XXXXXX", concat!("XX", "X")));
    assert!(has_word(concat!("// XX", "X: why"), concat!("XX", "X")));
}

#[test]
fn machine_paths_are_found_everywhere() {
    let path = concat!("see /ho", "me/someone/capstan");
    found("notes.md", path, &["notes.md:1: a path on one person's machine"]);
    found("notes.md", concat!("https://example.org/ho", "me/page"), &[]);
}

#[test]
fn ignored_folders_come_from_gitignore() {
    assert_eq!(ignored_folders("/target/\n*.log\n/contracts/out/\n"), ["target", "contracts/out"]);
}
