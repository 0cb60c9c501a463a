//! LCOV's tracefile format, as far as forge writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter::Sum;

use anyhow::{Context, Result};

/// How much of something was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) hit: u64,
    pub(super) of: u64,
}

impl Share {
    /// Of nothing, everything is reached.
    #[allow(clippy::cast_precision_loss, reason = "no source has 2^53 lines")]
    pub(super) fn percent(self) -> f64 {
        if self.of == 0 { 100.0 } else { self.hit as f64 * 100.0 / self.of as f64 }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2} % ({}/{})", self.percent(), self.hit, self.of)
    }
}

impl Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        shares.fold(Self::default(), |sum, share| Self {
            hit: sum.hit + share.hit,
            of: sum.of + share.of,
        })
    }
}

/// One file: how often each line was reached, and each branch at a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    lines: BTreeMap<u64, u64>,
    branches: BTreeMap<(u64, String), u64>,
    left_out: u64,
}

impl Coverage {
    pub(super) fn lines(&self) -> Share {
        share(self.lines.values())
    }

    pub(super) fn branches(&self) -> Share {
        share(self.branches.values())
    }

    pub(super) fn missed_lines(&self) -> Vec<u64> {
        self.lines.iter().filter(|(_, hits)| **hits == 0).map(|(line, _)| *line).collect()
    }

    /// The lines of branches that were missed; twice where two branches of a line were.
    pub(super) fn missed_branches(&self) -> Vec<u64> {
        self.branches.iter().filter(|(_, hits)| **hits == 0).map(|((line, _), _)| *line).collect()
    }

    /// Forgets lines that cannot be measured.
    pub(super) fn leave_out(&mut self, lines: &BTreeSet<u64>) {
        let before = self.lines.len();
        self.lines.retain(|line, _| !lines.contains(line));
        self.branches.retain(|(line, _), _| !lines.contains(line));
        self.left_out += u64::try_from(before - self.lines.len()).unwrap_or(u64::MAX);
    }

    /// How many lines were forgotten.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn share<'a>(hits: impl Iterator<Item = &'a u64>) -> Share {
    hits.fold(Share::default(), |share, hits| Share {
        hit: share.hit + u64::from(*hits != 0),
        of: share.of + 1,
    })
}

/// Files by path. Counts of a file that comes twice are added up.
pub(super) fn read(trace: &str) -> Result<BTreeMap<String, Coverage>> {
    let mut files = BTreeMap::<String, Coverage>::new();
    let mut path = String::new();
    for line in trace.lines() {
        let entry = read_line(line, &mut path, &mut files);
        entry.with_context(|| format!("forge reported `{line}`"))?;
    }
    Ok(files)
}

fn read_line(line: &str, path: &mut String, files: &mut BTreeMap<String, Coverage>) -> Result<()> {
    let Some((kind, rest)) = line.split_once(':') else { return Ok(()) };
    let mut fields = rest.split(',');
    let mut next = || fields.next().context("a field is missing");
    match kind {
        "SF" => rest.clone_into(path),
        "DA" => {
            let (number, hits) = (next()?.parse()?, next()?.parse::<u64>()?);
            *files.entry(path.clone()).or_default().lines.entry(number).or_default() += hits;
        }
        "BRDA" => {
            let (number, block, branch, hits) = (next()?.parse()?, next()?, next()?, next()?);
            // A dash says that not even the line was reached.
            let hits = if hits == "-" { 0 } else { hits.parse::<u64>()? };
            let branches = &mut files.entry(path.clone()).or_default().branches;
            *branches.entry((number, format!("{block}.{branch}"))).or_default() += hits;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Share, read};

    const TRACE: &str = "\
TN:
SF:src/A.sol
DA:3,7
FN:3,A.open
FNDA:7,A.open
DA:4,0
BRDA:4,0,0,5
BRDA:4,0,1,0
DA:9,0
BRDA:9,1,0,-
FNF:1
LF:3
end_of_record
TN:
SF:src/B.sol
DA:1,1
end_of_record
";

    #[test]
    fn lines_and_branches_are_counted() {
        let files = read(TRACE).unwrap();
        let a = &files["src/A.sol"];
        assert_eq!(a.lines(), Share { hit: 1, of: 3 });
        assert_eq!(a.branches(), Share { hit: 1, of: 3 });
        assert_eq!(a.missed_lines(), [4, 9]);
        assert_eq!(a.missed_branches(), [4, 9]);
        assert_eq!(a.branches().to_string(), "33.33 % (1/3)");
        assert!((files["src/B.sol"].branches().percent() - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_cannot_be_measured_is_left_out_and_counted() {
        let mut files = read(TRACE).unwrap();
        let a = files.get_mut("src/A.sol").unwrap();
        a.leave_out(&BTreeSet::from([9, 10]));
        assert_eq!(a.lines(), Share { hit: 1, of: 2 });
        assert_eq!(a.branches(), Share { hit: 1, of: 2 });
        assert_eq!(a.left_out(), 1);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let error = read("SF:a\nDA:x,1\n").unwrap_err();
        assert!(error.to_string().contains("DA:x,1"), "{error}");
    }
}
