//! How sessions end and how they survive: drops, silence, exhausted deposits, expiry.

use std::time::Duration;

use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::socket::Wire;
use serde_json::json;

#[tokio::test]
async fn a_drop_mid_answer_resumes_within_the_grace_period_with_every_token() {
    let scene = Scene::start("grace_seconds = 20").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 90).await;
    renter.to_tokens(40).await;
    let ready = renter.come_back(&scene.url).await;
    assert_eq!(ready["resumed"], true);
    assert_eq!(ready["running"], 1, "the answer goes on");
    assert_eq!(ready["tokens"], json!(renter.count.tokens()), "from what this side has");
    // Every frame is counted, and a gap or a repeat fails the count.
    renter.to_end().await;
    let whole = renter.count.clone();

    // The same question over an unbroken connection is the same answer.
    let other = scene.open(DEPOSIT).await;
    let mut unbroken = Renter::attach(&scene.url, &other).await;
    unbroken.ask("Tell me a story about a fox.", 90).await;
    unbroken.to_end().await;
    assert_eq!(unbroken.count.root(), whole.root(), "the same transcript");

    // Coming back with less than one paid for is no way to be served again for nothing.
    renter.wire = Wire::connect(&scene.url).await;
    renter.wire.init(&paper, 3).await;
    let ready = renter.wire.expect("session_ready").await;
    assert_eq!(ready["tokens"], json!(whole.tokens()));
    // Nor is claiming more than was served.
    renter.wire = Wire::connect(&scene.url).await;
    renter.wire.init(&paper, u64::MAX).await;
    let ready = renter.wire.expect("session_ready").await;
    assert_eq!(ready["tokens"], json!(whole.tokens()));
    assert_eq!(renter.end().await, "end");
    unbroken.end().await;
    scene.settles_for(&paper, renter.owed()).await;
    scene.settles_for(&other, unbroken.owed()).await;
}

#[tokio::test]
async fn a_renter_that_stays_away_is_settled_with_its_newest_voucher() {
    let scene = Scene::start("grace_seconds = 1\nidle_seconds = 2").await;
    let dropped = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &dropped).await;
    renter.ask("Tell me a story about a fox.", 90).await;
    renter.to_tokens(40).await;
    let signed = renter.signed.0;
    assert!(signed > 0 && signed < renter.owed(), "something stays unsigned");
    drop(renter);
    scene.settles_for(&dropped, signed).await;
    assert_eq!(scene.ended_by(&dropped).await, "disconnect");

    let idle = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &idle).await;
    renter.ask("What is a voucher?", 10).await;
    renter.to_end().await;
    assert_eq!(renter.ended().await, "idle");
    scene.settles_for(&idle, renter.owed()).await;
    assert_eq!(scene.ended_by(&idle).await, "idle");

    // A ping is enough to stay.
    let kept = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &kept).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        renter.wire.send(json!({ "type": "ping" })).await;
        renter.wire.expect("pong").await;
    }
    // Nothing was used: the host leaves it to the renter and pays no gas.
    assert_eq!(renter.end().await, "end");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(scene.closings(&kept).await.is_empty());
    assert_ne!(scene.info(&kept).await["status"], "open");
}

#[tokio::test]
async fn a_deposit_or_a_life_that_runs_out_ends_the_session_paid() {
    let scene = Scene::start("min_lifetime_seconds = 1").await;
    // Enough for the prompt and some thirty tokens.
    let small = scene.open(2_000_000_000_000).await;
    let mut renter = Renter::attach(&scene.url, &small).await;
    renter.ask("Tell me a story about a fox.", 200).await;
    let answer = renter.to_end().await;
    assert_eq!(answer.reason, "deposit_exhausted");
    assert_eq!(renter.ended().await, "exhausted");
    assert!(renter.owed() <= small.deposit);
    assert!(renter.paper.cost(renter.count.input, renter.count.output + 1) > small.deposit);
    scene.settles_for(&small, renter.owed()).await;
    assert_eq!(scene.ended_by(&small).await, "exhausted");

    // A deposit below one prompt is refused with what is needed, and nothing is counted.
    let tiny = scene.open(100_000_000).await;
    let mut renter = Renter::attach(&scene.url, &tiny).await;
    renter.ask("Tell me a story about a fox.", 200).await;
    assert_eq!(renter.wire.error_code().await, "payment_required");

    // It ends in time for the host to settle, whatever is under way.
    let account = scene.world.account(0, 0).await;
    let brief = scene.paper(&account, DEPOSIT, 5);
    scene.fund(&brief).await;
    let mut renter = Renter::attach(&scene.url, &brief).await;
    renter.ask("Tell me a story about an owl.", 90).await;
    renter.to_tokens(20).await;
    renter.pay().await;
    renter.wire.expect("voucher_accepted").await;
    let signed = renter.signed.0;
    assert_eq!(renter.ended().await, "expired");
    scene.settles_for(&brief, signed).await;
    assert_eq!(scene.ended_by(&brief).await, "expired");
}

#[tokio::test]
async fn a_cancelled_answer_stops_and_what_was_served_is_owed() {
    let scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 200).await;
    renter.to_tokens(20).await;
    // A second question meanwhile has to wait its turn, and cancelling another changes nothing.
    renter.wire.send(json!({ "type": "cancel", "request_id": 77 })).await;
    renter.wire.send(json!({ "type": "cancel", "request_id": 1 })).await;
    let answer = renter.to_end().await;
    assert_eq!(answer.reason, "cancelled");
    assert!(renter.count.tokens() <= 64, "{}", renter.count.tokens());
    renter.ask("What is a voucher?", 5).await;
    renter.to_end().await;
    renter.end().await;
    scene.settles_for(&paper, renter.owed()).await;
}
