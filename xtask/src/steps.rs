//! Steps run one after another: one failure does not hide the next, and a table says what took how long.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

/// One step of a longer command.
pub(crate) struct Step<C> {
    pub(crate) name: &'static str,
    /// What it does, for the heading.
    pub(crate) title: &'static str,
    /// Earlier steps without whose success this one says nothing new.
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: fn(&C) -> Result<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Not run: a step it needs did not pass.
    Skipped,
}

pub(crate) struct Done {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
    error: Option<String>,
}

#[derive(Default)]
pub(crate) struct Report(Vec<Done>);

impl Report {
    pub(crate) fn passed(&self) -> bool {
        self.0.iter().all(|done| done.outcome == Outcome::Passed)
    }

    /// The final table, and after it every error once more.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let width = self.0.iter().map(|done| done.name.len()).max().unwrap_or_default();
        for done in &self.0 {
            let outcome = match done.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            let took = seconds(done.took);
            let _ = writeln!(text, "{:width$}  {outcome:7}  {took:>8}", done.name);
        }
        let total = seconds(self.0.iter().map(|done| done.took).sum());
        let _ = writeln!(text, "{:width$}  {:7}  {total:>8}", "total", "");
        for done in &self.0 {
            if let Some(error) = &done.error {
                let _ = writeln!(text, "\n{}: {error}", done.name);
            }
        }
        text
    }
}

/// Runs the steps in order. A need that is not among the steps is taken as met.
pub(crate) fn run<C>(steps: &[Step<C>], context: &C) -> Report {
    let mut report = Report::default();
    for step in steps {
        let missing = step.needs.iter().find(|need| {
            report.0.iter().any(|done| done.name == **need && done.outcome != Outcome::Passed)
        });
        if let Some(need) = missing {
            eprintln!("\n== {}: skipped, it needs `{need}`", step.name);
            report.0.push(Done {
                name: step.name,
                outcome: Outcome::Skipped,
                took: Duration::ZERO,
                error: None,
            });
            continue;
        }
        eprintln!("\n== {}: {}", step.name, step.title);
        let start = Instant::now();
        let result = (step.run)(context);
        let took = start.elapsed();
        let (outcome, error) = match result {
            Ok(()) => (Outcome::Passed, None),
            Err(error) => (Outcome::Failed, Some(format!("{error:#}"))),
        };
        match &error {
            None => eprintln!("== {}: ok in {}", step.name, seconds(took)),
            Some(error) => eprintln!("== {}: FAILED in {}: {error}", step.name, seconds(took)),
        }
        report.0.push(Done { name: step.name, outcome, took, error });
    }
    report
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;

    use super::{Outcome, Step, run};

    type Log = RefCell<Vec<&'static str>>;

    fn steps() -> [Step<Log>; 4] {
        [
            Step { name: "a", title: "fails", needs: &[], run: |_| bail!("broken") },
            Step { name: "b", title: "needs a", needs: &["a"], run: |log| push(log, "b") },
            Step { name: "c", title: "needs b", needs: &["b"], run: |log| push(log, "c") },
            Step { name: "d", title: "alone", needs: &[], run: |log| push(log, "d") },
        ]
    }

    fn push(log: &Log, name: &'static str) -> anyhow::Result<()> {
        log.borrow_mut().push(name);
        Ok(())
    }

    #[test]
    fn a_failure_skips_only_what_needs_it() {
        let log = Log::default();
        let report = run(&steps(), &log);
        assert_eq!(*log.borrow(), ["d"]);
        let outcomes: Vec<_> = report.0.iter().map(|done| done.outcome).collect();
        let expected = [Outcome::Failed, Outcome::Skipped, Outcome::Skipped, Outcome::Passed];
        assert_eq!(outcomes, expected);
        assert!(!report.passed());
        assert!(report.table().contains("a: broken"));
    }

    #[test]
    fn one_step_alone_runs_without_its_needs() {
        let log = Log::default();
        let report = run(&steps()[1..2], &log);
        assert!(report.passed());
        assert_eq!(*log.borrow(), ["b"]);
    }
}
