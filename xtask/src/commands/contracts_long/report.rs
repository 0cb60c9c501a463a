//! What forge prints about the tests it ran.

/// One invariant, as forge played it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invariant {
    /// File and contract.
    pub(super) suite: String,
    pub(super) name: String,
    pub(super) passed: bool,
    pub(super) runs: u64,
    pub(super) calls: u64,
    pub(super) reverts: u64,
}

/// All that was run, filled line by line.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) invariants: Vec<Invariant>,
    pub(super) fuzz_tests: u64,
    pub(super) passed: u64,
    pub(super) failed: u64,
    suite: String,
    /// The verdict of a test whose name comes some lines later, after its counterexample.
    failing: bool,
    /// forge repeats what failed at the end.
    repeating: bool,
}

impl Report {
    pub(super) fn calls(&self) -> u64 {
        self.invariants.iter().map(|one| one.calls).sum()
    }

    pub(super) fn note(&mut self, line: &str) {
        let suite = line.strip_prefix("Ran ").and_then(|rest| rest.split_once(" for "));
        if let Some((_, suite)) = suite {
            suite.clone_into(&mut self.suite);
        }
        self.repeating |= line.starts_with("Failing tests:");
        if self.repeating {
            return;
        }
        self.failing |= line.starts_with("[FAIL");
        let passed = line.starts_with("[PASS]");
        let Some((head, numbers)) = line.rsplit_once(" (").filter(|_| passed || self.failing)
        else {
            return;
        };
        let Some(numbers) = numbers.strip_suffix(')').and_then(Numbers::read) else {
            return;
        };
        let name = head.rsplit(' ').next().unwrap_or(head).to_owned();
        self.failing = false;
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        match numbers {
            Numbers::Plain => {}
            Numbers::Fuzz => self.fuzz_tests += u64::from(passed),
            Numbers::Invariant { runs, calls, reverts } => {
                let suite = self.suite.clone();
                self.invariants.push(Invariant { suite, name, passed, runs, calls, reverts });
            }
        }
    }

    /// One run of forge is over; the next may follow.
    pub(super) fn end(&mut self) {
        (self.failing, self.repeating) = (false, false);
    }
}

/// What stands in brackets after a test's name.
enum Numbers {
    Plain,
    Fuzz,
    Invariant { runs: u64, calls: u64, reverts: u64 },
}

impl Numbers {
    fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let pair = text.split(", ").find_map(|pair| pair.strip_prefix(key));
            pair?.strip_prefix(": ")?.parse::<u64>().ok()
        };
        match (value("gas"), value("runs"), value("calls"), value("reverts")) {
            (Some(_), ..) => Some(Self::Plain),
            (_, Some(runs), Some(calls), Some(reverts)) => {
                Some(Self::Invariant { runs, calls, reverts })
            }
            (_, Some(_), ..) => Some(Self::Fuzz),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    const OUTPUT: &str = "\
Ran 3 tests for test/A.t.sol:ATest
[PASS] test_plain() (gas: 71738)
[PASS] test_fuzzed(uint16) (runs: 64, μ: 71738, ~: 71489)
[FAIL: assertion failed: 1 != 2; counterexample: calldata=0x00 args=[3 (x)]] test_wrong(uint16) (runs: 3, μ: 1, ~: 1)

Ran 2 tests for test/invariant/B.t.sol:BTest
[PASS] invariant_holds() (runs: 256, calls: 65536, reverts: 0)
[FAIL: money stayed behind]
\t[Sequence] (original: 4, shrunk: 1)
\t\tsender=0x01 addr=[test/invariant/H.sol:H]0x02 calldata=open(uint256) args=[1]
 invariant_breaks() (runs: 1, calls: 17, reverts: 2)

Ran 2 test suites in 3.87s (3.86s CPU time): 3 tests passed, 2 failed, 0 skipped (5 total tests)

Failing tests:
Encountered 1 failing test in test/invariant/B.t.sol:BTest
[FAIL: money stayed behind]
 invariant_breaks() (runs: 1, calls: 17, reverts: 2)
";

    #[test]
    fn every_test_is_counted_once() {
        let mut report = Report::default();
        OUTPUT.lines().for_each(|line| report.note(line));
        assert_eq!((report.passed, report.failed, report.fuzz_tests), (3, 2, 1));
        assert_eq!(report.calls(), 65_553);
        let names: Vec<_> =
            report.invariants.iter().map(|one| (one.name.as_str(), one.passed)).collect();
        assert_eq!(names, [("invariant_holds()", true), ("invariant_breaks()", false)]);
        assert_eq!(report.invariants[1].suite, "test/invariant/B.t.sol:BTest");
        assert_eq!(report.invariants[1].reverts, 2);
    }
}
