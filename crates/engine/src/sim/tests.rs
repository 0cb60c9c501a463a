//! The simulator itself: a seed is a run, and a few hundred of them keep every promise.

use super::{Cause, Outcome, Totals, Violation, caught, recovery, run};

#[test]
fn a_seed_is_a_run() {
    for seed in 0..8 {
        let (first, second) = (run(seed, 50, true), run(seed, 50, true));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.trace, run(seed + 1, 50, true).trace);
        let quiet = run(seed, 50, false);
        assert_eq!(quiet.violations, first.violations, "printing changes nothing");
        assert_eq!(quiet.sends, first.sends);
    }
}

#[test]
fn a_run_that_panics_is_reported_under_its_seed() {
    let mut totals = Totals::default();
    totals.add(caught(6, || Outcome { seed: 6, ..Outcome::default() }));
    totals.add(caught(7, || panic!("no nonce {}", 3)));
    let [failure] = &totals.failures[..] else { panic!("{:?}", totals.failures) };
    assert_eq!(failure.seed, 7);
    assert_eq!(failure.violations, [Violation::Panicked("no nonce 3".to_owned())]);
    assert_eq!(totals.figures()[0], ("runs", 2));
    assert_eq!(totals.figures()[5], ("other", 1));
}

#[test]
fn a_report_has_the_names_that_others_read() {
    let names = Totals::default().figures().map(|(name, _)| name);
    for name in ["runs", "intents", "lost", "double", "stuck", "recovered_max_blocks"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn two_hundred_runs_keep_every_promise() {
    for seed in 0..200 {
        let outcome = run(seed, 50, false);
        assert_eq!(outcome.violations, [], "seed {seed}");
    }
}

#[test]
fn the_order_of_nonces_mends_itself_within_three_blocks() {
    for cause in Cause::ALL {
        let mut most = 0;
        for seed in 0..50 {
            let (blocks, trace) = recovery(seed, cause);
            assert!(blocks <= 3, "{cause:?}, seed {seed}: {blocks} blocks\n{}", trace.join("\n"));
            most = blocks.max(most);
        }
        assert!(most > 0, "{cause:?} left nothing to do");
    }
}
