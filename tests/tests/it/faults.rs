//! The engine under faults, on real parts: a few seeded runs, and a kill at every write. Many more
//! runs: `cargo xtask faults`.

use capstan_tests::faults::{Death, Outcome, Plan, play};
use capstan_tests::settler::KillPoint;
use futures_util::{StreamExt as _, stream};

/// Runs at once: each is a chain, a settler and the proxies between them.
const AT_ONCE: usize = 2;

/// More writes than two intents can need; a walk that gets here does not end.
const FAR_TOO_MANY: u64 = 60;

fn check(outcome: &Outcome) {
    let problems = outcome.verdict.problems();
    assert!(problems.is_empty(), "seed {}: {problems:#?}", outcome.seed);
}

#[tokio::test]
async fn everything_happens_once_whatever_fails() {
    let runs = stream::iter(1..=6)
        .map(|seed| async move { play(&Plan::draw(seed), None).await })
        .buffer_unordered(AT_ONCE);
    let outcomes: Vec<Outcome> = runs.collect().await;
    outcomes.iter().for_each(check);
    assert!(outcomes.iter().map(|outcome| outcome.faults).sum::<u64>() > 60);
}

/// Dies at one side of each write in turn, until there are no more.
async fn walk(side: fn(u64) -> KillPoint) {
    for write in 1.. {
        assert!(write < FAR_TOO_MANY);
        let deaths = vec![Death::At(side(write))];
        let plan = Plan { deaths, ..Plan::calm(1000 + write, 1, 1) };
        let outcome = play(&plan, None).await;
        check(&outcome);
        if outcome.deaths == 0 {
            // Submitted, signed, noted as sent and final: of two intents that is eight.
            assert!(write > 8, "only {} writes", write - 1);
            return;
        }
    }
}

#[tokio::test]
async fn a_kill_before_any_write_loses_and_doubles_nothing() {
    walk(KillPoint::Before).await;
}

#[tokio::test]
async fn a_kill_after_any_write_loses_and_doubles_nothing() {
    walk(KillPoint::After).await;
}

#[tokio::test]
async fn a_run_is_what_its_seed_says() {
    assert_eq!(Plan::draw(7), Plan::draw(7));
    assert_ne!(Plan::draw(7), Plan::draw(8));
}
