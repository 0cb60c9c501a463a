//! The simulator itself: a seed is a run, and a few hundred of them keep every promise.

use super::{Cause, recovery, run};

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
fn two_hundred_runs_keep_every_promise() {
    for seed in 0..200 {
        let outcome = run(seed, 50, false);
        assert_eq!(outcome.violations, [], "seed {seed}");
    }
}

#[test]
fn the_order_of_nonces_mends_itself_within_three_blocks() {
    for cause in Cause::ALL {
        let blocks: Vec<u64> = (0..50).map(|seed| recovery(seed, cause)).collect();
        let most = blocks.iter().copied().max().unwrap_or(0);
        assert!(
            most <= 3,
            "{cause:?}: {most} blocks with seed {:?}",
            blocks.iter().position(|of| *of == most)
        );
        assert!(blocks.iter().any(|of| *of > 0), "{cause:?} left nothing to do");
    }
}
