//! The gas table as README.md shows it, between two marks.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::repo::Repo;

const FILE: &str = "README.md";
const BEGIN: &str = "<!-- gas:begin, printed by `cargo xtask gas` -->\n";
const END: &str = "<!-- gas:end -->";

/// Puts the table between the marks.
pub(super) fn write(repo: &Repo, table: &str) -> Result<()> {
    let text = fs::read_to_string(repo.path(FILE)).context(FILE)?;
    fs::write(repo.path(FILE), with_table(&text, table)?).context(FILE)
}

/// Fails if another table stands there.
pub(super) fn check(repo: &Repo, table: &str) -> Result<()> {
    let text = fs::read_to_string(repo.path(FILE)).context(FILE)?;
    if with_table(&text, table)? != text {
        bail!("README.md shows other gas figures; run `cargo xtask gas --write` and commit both");
    }
    Ok(())
}

fn with_table(text: &str, table: &str) -> Result<String> {
    let marks = || format!("{FILE} lacks the marks {} and {END}", BEGIN.trim());
    let (before, rest) = text.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, with_table};

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let written = with_table(&text, "| new |\n").unwrap();
        assert_eq!(written, format!("a\n{BEGIN}\n| new |\n\n{END}\nb\n"));
        assert_eq!(with_table(&written, "| new |\n").unwrap(), written);
    }

    #[test]
    fn missing_marks_are_an_error() {
        assert!(with_table("no marks", "| new |\n").is_err());
    }
}
