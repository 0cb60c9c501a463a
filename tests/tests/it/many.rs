//! Three engines, one key, one PostgreSQL, and a leader that dies every five seconds.

use std::time::Duration;

/// Seconds of dying, for a long run by hand.
const SECONDS: &str = "CAPSTAN_MANY_SECONDS";

/// A lane is somebody's again, and has stored its first attempt, within this time of its leader's
/// death: a lease of three seconds, a look every half, and the time a loaded machine takes.
const HANDOVER: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_again_and_again_doubles_and_loses_nothing() {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let binary = env!("CARGO_BIN_EXE_many");
    let Some(report) = capstan_tests::many::run(binary, Duration::from_secs(seconds)).await else {
        return;
    };
    eprintln!("{report:#?}");
    assert_eq!(report.doubled, [] as [u64; 0]);
    assert_eq!(report.lost, [] as [u64; 0]);
    assert_eq!(report.open, 0);
    assert!(report.submitted > 50, "{}", report.submitted);
    assert!(report.handovers.len() > 1, "{:?}", report.handovers);
    let slowest = report.handovers.iter().map(|(led, _)| *led).max().unwrap_or_default();
    assert!(slowest < HANDOVER, "the lane was nobody's for {slowest:?}");
    let slowest = report.handovers.iter().map(|(_, acted)| *acted).max().unwrap_or_default();
    assert!(slowest < HANDOVER, "nothing was signed for {slowest:?}");
}
