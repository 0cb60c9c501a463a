//! The host dies and comes back: every session settles exactly once, for what was signed.

use std::time::Duration;

use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};

#[tokio::test]
async fn a_killed_host_settles_every_session_once_with_the_newest_voucher() {
    let mut scene = Scene::start("grace_seconds = 2").await;
    let mut cut = Vec::new();
    for question in ["Tell me a story about a fox.", "Tell me a story about an owl."] {
        let paper = scene.open(DEPOSIT).await;
        let mut renter = Renter::attach(&scene.url, &paper).await;
        renter.ask(question, 100).await;
        renter.to_tokens(40).await;
        cut.push(renter);
    }
    let paper = scene.open(DEPOSIT).await;
    let mut faithful = Renter::attach(&scene.url, &paper).await;
    faithful.ask("Tell me a story about a fox.", 100).await;
    faithful.to_tokens(40).await;
    // Only an accepted voucher is sure to be stored: read up to the acceptance.
    for renter in cut.iter_mut().chain([&mut faithful]) {
        renter.to_silence().await;
        renter.pay().await;
        renter.wire.expect("voucher_accepted").await;
    }
    scene.host.kill().await;
    scene.restart().await;
    // Killed once more before anything could settle.
    scene.host.kill().await;
    for renter in &cut {
        assert!(scene.closings(&renter.paper).await.is_empty());
    }
    scene.restart().await;

    // One renter comes back, is served from its newest voucher on, and ends in good order.
    let ready = faithful.come_back(&scene.url).await;
    assert_eq!(ready["tokens"], faithful.signed.1, "nothing unpaid survives a crash");
    assert!(ready["running"].is_null(), "the answer is lost");
    let (amount, tokens) = faithful.signed;
    let covered = faithful.count.tokens() == tokens;
    if covered {
        faithful.ask("What is a voucher?", 10).await;
        faithful.to_end().await;
        assert!(faithful.owed() > amount);
    }
    faithful.end().await;
    scene.settles_for(&faithful.paper, faithful.signed.0).await;
    for renter in &cut {
        let closed = scene.settles_for(&renter.paper, renter.signed.0).await;
        assert_eq!(closed.tokens, renter.signed.1);
        assert_eq!(scene.ended_by(&renter.paper).await, "host_restart");
    }

    // A restart after that finds nothing to do, and nothing is paid twice.
    scene.host.kill().await;
    scene.restart().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for renter in cut.iter().chain([&faithful]) {
        assert_eq!(scene.closings(&renter.paper).await.len(), 1, "closed once");
        assert_eq!(scene.info(&renter.paper).await["status"], "settled");
    }
}

#[tokio::test]
async fn sigterm_lets_answers_finish_and_settles_before_the_end() {
    let mut scene = Scene::start("drain_seconds = 20").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 100).await;
    renter.to_tokens(20).await;
    let late = scene.open(DEPOSIT).await;
    let ended = async {
        let answer = renter.to_end().await;
        assert!(["stop", "length"].contains(&answer.reason.as_str()), "{answer:?}");
        renter.ended().await
    };
    let (ended_well, reason) = tokio::join!(scene.host.terminate(), ended);
    assert!(ended_well, "exit code 0");
    assert_eq!(reason, "host_shutdown");
    scene.settles_for(&paper, renter.owed()).await;

    // The host that comes back knows how it ended, and serves.
    scene.restart().await;
    assert_eq!(scene.ended_by(&paper).await, "host_shutdown");
    let mut renter = Renter::attach(&scene.url, &late).await;
    renter.ask("What is a voucher?", 10).await;
    renter.to_end().await;
    // A renter that never pays again does not hold the shutdown up for longer than the drain.
    assert!(scene.host.terminate().await);
    scene.settles_for(&late, renter.owed()).await;
}
