//! The engine under faults, on real parts: a few seeded runs, a kill at every write, and a full disk.
//! Many more runs: `cargo xtask faults`.

use std::time::Duration;

use capstan_tests::fault_proxy::{Fault, Rule};
use capstan_tests::faults::{Death, Outcome, Phase, Plan, Trouble, Verdict, play};
use capstan_tests::settler::KillPoint;
use futures_util::{StreamExt as _, stream};

/// Runs at once: each is a chain, a settler and the proxies between them, and mostly waits.
const AT_ONCE: usize = 4;

/// More writes than a few intents can need; a walk that gets here does not end.
const FAR_TOO_MANY: u64 = 80;

fn check(outcome: &Outcome) {
    let problems = outcome.verdict.problems();
    assert!(problems.is_empty(), "seed {}: {problems:#?}", outcome.seed);
}

#[tokio::test]
async fn everything_happens_once_whatever_fails() {
    let runs = stream::iter(1..=6)
        .map(|seed| async move { play(&Plan::draw(seed), None).await })
        .buffer_unordered(2);
    let outcomes: Vec<Outcome> = runs.collect().await;
    outcomes.iter().for_each(check);
    assert!(outcomes.iter().map(|outcome| outcome.faults).sum::<u64>() > 60);
    let sum = |figure: fn(&Verdict) -> usize| -> usize {
        outcomes.iter().map(|outcome| figure(&outcome.verdict)).sum()
    };
    assert!(sum(|verdict| verdict.batches) > 0, "sessions share transactions");
    assert!(sum(|verdict| verdict.settle_transactions) < sum(|verdict| verdict.settlements));
}

/// What a walk came to.
#[derive(Debug)]
struct Walk {
    writes: u64,
    batches: usize,
}

/// Dies at one side of each write in turn, until there are no more.
async fn walk(plan: Plan, side: fn(u64) -> KillPoint) -> Walk {
    let mut runs = stream::iter(1..FAR_TOO_MANY)
        .map(|write| {
            let deaths = vec![Death::At(side(write))];
            let plan = Plan { seed: plan.seed + write, deaths, ..plan.clone() };
            async move { (write, play(&plan, None).await) }
        })
        .buffered(AT_ONCE);
    let mut batches = 0;
    while let Some((write, outcome)) = runs.next().await {
        check(&outcome);
        batches += outcome.verdict.batches;
        if outcome.deaths == 0 {
            return Walk { writes: write - 1, batches };
        }
    }
    panic!("it writes for ever");
}

/// One session and one transfer, and nothing goes wrong.
fn calm() -> Plan {
    Plan::calm(1000, 1, 1)
}

/// The chain takes a block back, and another program takes a nonce.
fn reorganised() -> Plan {
    let troubles = vec![
        (Duration::from_millis(300), Trouble::Outsider(1)),
        (Duration::from_millis(500), Trouble::Reorg(2)),
    ];
    Plan { troubles, ..Plan::calm(2000, 1, 1) }
}

/// A batch of sessions, one of which cannot be closed.
fn poisoned() -> Plan {
    Plan { poisons: 1, ..Plan::calm(3000, 3, 0) }
}

#[tokio::test]
async fn a_kill_before_any_write_loses_and_doubles_nothing() {
    // Submitted, signed, noted as sent and final: of two intents that is eight.
    let walk = walk(calm(), KillPoint::Before).await;
    assert!(walk.writes >= 8, "{walk:?}");
}

#[tokio::test]
async fn a_kill_after_any_write_loses_and_doubles_nothing() {
    let walk = walk(calm(), KillPoint::After).await;
    assert!(walk.writes >= 8, "{walk:?}");
}

#[tokio::test]
async fn a_kill_at_any_write_around_a_reorganisation_loses_and_doubles_nothing() {
    for side in [KillPoint::Before, KillPoint::After] {
        let walk = walk(reorganised(), side).await;
        assert!(walk.writes >= 8, "{walk:?}");
    }
}

#[tokio::test]
async fn a_kill_at_any_write_of_a_poisoned_batch_loses_and_doubles_nothing() {
    for side in [KillPoint::Before, KillPoint::After] {
        let walk = walk(poisoned(), side).await;
        // Four submitted, one batch or two, and the end of the one that fails.
        assert!(walk.writes >= 10 && walk.batches > 0, "{walk:?}");
    }
}

#[tokio::test]
async fn a_full_disk_delays_and_loses_nothing() {
    let half_a_second = Duration::from_millis(500);
    for full in [Trouble::DiskFull(half_a_second), Trouble::FilesFull(half_a_second)] {
        let plan = Plan { phases: Plan::quiet(1200), ..Plan::calm(4000, 6, 3) };
        // From before the first submission on, and once in the middle.
        let submissions = (0..9).map(|job| 150 * job).collect();
        let troubles = vec![(Duration::ZERO, full), (Duration::from_millis(600), full)];
        let outcome = play(&Plan { submissions, troubles, ..plan }, None).await;
        check(&outcome);
        assert_eq!(outcome.verdict.settlements, 6, "{full:?}");
    }
}

#[tokio::test]
async fn transfers_of_an_account_with_code_of_its_own_share_transactions() {
    let outcome = play(&Plan { delegated: true, poisons: 2, ..Plan::calm(5000, 2, 6) }, None).await;
    check(&outcome);
    assert!(outcome.verdict.self_batches > 0, "{outcome:?}");
}

#[tokio::test]
async fn a_restart_that_cannot_read_the_accounts_code_pays_nobody_twice() {
    // The shared transaction is mined, and becomes final to a process that cannot know how it was
    // shared.
    let blind = vec![vec![Rule::on("eth_getCode", Fault::Unavailable)]];
    let phases = vec![
        Phase { lasts: Duration::from_millis(400), rules: vec![Vec::new()] },
        Phase { lasts: Duration::from_millis(2600), rules: blind },
    ];
    let deaths = vec![Death::Within(Duration::from_millis(600))];
    let plan =
        Plan { delegated: true, finality_depth: 12, phases, deaths, ..Plan::calm(7000, 0, 6) };
    let outcome = play(&plan, None).await;
    check(&outcome);
    assert!(outcome.verdict.self_batches > 0, "{outcome:?}");
}

#[tokio::test]
async fn a_session_that_somebody_else_closes_is_settled_once() {
    let troubles = vec![
        (Duration::ZERO, Trouble::ClosedByAnotherProgram(0)),
        (Duration::ZERO, Trouble::ClosedByAStranger(1)),
    ];
    let plan = Plan { troubles, phases: Plan::quiet(2000), ..Plan::calm(6000, 3, 0) };
    // Submitted when the closes of the others are there.
    let outcome = play(&Plan { submissions: vec![1500; 3], ..plan }, None).await;
    check(&outcome);
    assert_eq!(outcome.verdict.closed_by_others, 2, "{outcome:?}");
}

#[tokio::test]
async fn a_run_is_what_its_seed_says() {
    assert_eq!(Plan::draw(7), Plan::draw(7));
    assert_ne!(Plan::draw(7), Plan::draw(8));
}
