//! The gas table as the README files show it, between two marks.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::repo::Repo;

const FILES: [&str; 2] = ["README.md", "contracts/README.md"];
const BEGIN: &str = "<!-- gas:begin, printed by `cargo xtask gas` -->\n";
const END: &str = "<!-- gas:end -->";

/// Puts the table between the marks.
pub(super) fn write(repo: &Repo, table: &str) -> Result<()> {
    for file in FILES {
        let text = fs::read_to_string(repo.path(file)).context(file)?;
        fs::write(repo.path(file), with_table(file, &text, table)?).context(file)?;
    }
    Ok(())
}

/// Fails if another table stands there.
pub(super) fn check(repo: &Repo, table: &str) -> Result<()> {
    for file in FILES {
        let text = fs::read_to_string(repo.path(file)).context(file)?;
        if with_table(file, &text, table)? != text {
            bail!("{file} shows other gas figures; run `cargo xtask gas --write` and commit both");
        }
    }
    Ok(())
}

fn with_table(file: &str, text: &str, table: &str) -> Result<String> {
    let marks = || format!("{file} lacks the marks {} and {END}", BEGIN.trim());
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
        let written = with_table("a", &text, "| new |\n").unwrap();
        assert_eq!(written, format!("a\n{BEGIN}\n| new |\n\n{END}\nb\n"));
        assert_eq!(with_table("a", &written, "| new |\n").unwrap(), written);
    }

    #[test]
    fn missing_marks_are_an_error() {
        assert!(with_table("a", "no marks", "| new |\n").is_err());
    }
}
