//! What a command prints: answers to standard output, everything else to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::io::Write as _;

use serde_json::{Value, json};

/// Prints text for people or JSON for programs, one object per line.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON if asked for.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// An answer in both forms.
    pub fn answer(&self, text: impl AsRef<str>, value: &Value) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", text.as_ref());
        }
    }

    /// Text that belongs to a conversation; nothing in JSON.
    pub fn stream(&self, text: &str) {
        if !self.json {
            print!("{text}");
            // A closed pipe shows at the next line; a conversation goes on until then.
            let _ = std::io::stdout().flush();
        }
    }

    /// Progress, for people only.
    pub fn progress(&self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// The error with its causes, and what to do if that is known.
    pub fn failure(&self, error: &anyhow::Error) {
        let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
        if self.json {
            println!("{}", json!({ "error": causes.join(": ") }));
        }
        eprintln!("error: {}", causes.join(": "));
    }
}

/// Rows under headings, columns padded to their widest cell.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<_> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells =
                rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([heading.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A span of time for people: its largest two units.
pub fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units {
        let count = left.checked_div(size).unwrap_or(0);
        left = left.checked_rem(size).unwrap_or(0);
        if count > 0 {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_two_units() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (3661, "1 h 1 min"), (200_000, "2 d 7 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
