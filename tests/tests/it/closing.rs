//! The renter leaves alone: the host shows its voucher in time, or the renter gets its money back.

use capstan_base::Amount;
use capstan_chain::calls;
use capstan_tests::process::{self, Process, command};
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene, terms};
use capstan_tests::{key, oracle};
use serde_json::{Value, json};

/// Longer than the challenge window of one hour.
const PAST_THE_WINDOW: u64 = 2 * 3600;

async fn travel(scene: &Scene, seconds: u64) {
    let anvil = &scene.chain().anvil;
    anvil.rpc("evm_increaseTime", json!([seconds])).await;
    anvil.rpc("evm_mine", json!([])).await;
}

#[tokio::test]
async fn a_renter_that_closes_alone_is_answered_with_the_newest_voucher() {
    let scene = Scene::start("reconcile_seconds = 1").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    // It acknowledges nothing of what it signed.
    let close = calls::request_session_close(paper.marketplace, &terms(&paper), Amount::ZERO);
    scene.chain().send(&paper.renter, &close).await;
    assert_eq!(renter.ended().await, "closed_on_chain");
    scene.settles_for(&paper, renter.owed()).await;
    assert_eq!(scene.ended_by(&paper).await, "closed_on_chain");
}

#[tokio::test]
async fn a_renter_that_acknowledges_more_than_it_signed_pays_that() {
    let scene = Scene::start("reconcile_seconds = 1").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    let acknowledged = renter.owed() + 1000;
    let amount = Amount::new(acknowledged).unwrap();
    let close = calls::request_session_close(paper.marketplace, &terms(&paper), amount);
    scene.chain().send(&paper.renter, &close).await;
    assert_eq!(renter.ended().await, "closed_on_chain");
    // The contract refuses a claim below it; the host rests, and then claims what stands there.
    scene.settles_for(&paper, acknowledged).await;
}

#[tokio::test]
async fn a_close_that_is_final_before_the_host_looks_leaves_it_in_order() {
    let mut scene = Scene::start("grace_seconds = 0\nreconcile_seconds = 1").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    scene.host.kill().await;
    let terms = terms(&paper);
    let close = calls::request_session_close(paper.marketplace, &terms, Amount::ZERO);
    scene.chain().send(&paper.renter, &close).await;
    travel(&scene, PAST_THE_WINDOW).await;
    let finalize = calls::finalize_session(paper.marketplace, &terms);
    scene.chain().send(&paper.renter, &finalize).await;
    // The host slept through the window. Its settlement is refused by the contract, and it notes
    // how the session really closed.
    scene.restart().await;
    for _ in 0..300 {
        if scene.info(&paper).await["status"] == "settled" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(scene.info(&paper).await["status"], "settled");
    let closed = scene.settles_for(&paper, 0).await;
    assert_eq!(closed.reason, 1, "finalised");
    // The lane is not stuck behind it: another session settles.
    let next = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &next).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    renter.end().await;
    scene.settles_for(&next, renter.owed()).await;
}

#[tokio::test]
async fn capstan_close_gets_the_deposit_back_from_a_host_that_is_gone() {
    let mut scene = Scene::start("").await;
    let account = scene.world.account(0, 0).await;
    let place = (scene.account.address(), scene.url.as_str());
    let mut rent = process::rent(&scene.world, &account, "rent", ("84532", "ETH", "0.001"), place);
    rent.arg("--keep");
    let mut rent = Process::start(rent);
    let opened = rent.event("opened").await;
    let session = opened["session_id"].as_str().unwrap().to_owned();
    let url = rent.event("listening").await["url"].as_str().unwrap().to_owned();
    let body = json!({
        "model": "capstan-tiny", "messages": [{ "role": "user", "content": "What is a voucher?" }],
    });
    let answer = reqwest::Client::new().post(format!("{url}/chat/completions")).json(&body);
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 200);
    rent.terminate_for("kept").await;
    scene.host.kill().await;

    let run = async |data: &str, args: &[&str]| {
        let mut command = command(&scene.world, &account, data);
        command.args(args);
        process::run(command).await
    };
    let (code, lines, _) = run("rent", &["sessions"]).await;
    assert_eq!(code, 0);
    assert!(lines.iter().any(|line| line.to_string().contains(&session)), "{lines:?}");
    let (code, lines, errors) = run("rent", &["close", &session]).await;
    assert_eq!((code, &lines[0]["state"]), (0, &json!("closing")), "{lines:?} {errors}");
    // Again before the window is over: nothing changes.
    let (code, lines, errors) = run("rent", &["close", &session]).await;
    assert_eq!((code, &lines[0]["state"]), (0, &json!("closing")), "{lines:?} {errors}");
    travel(&scene, PAST_THE_WINDOW).await;
    let (code, lines, errors) = run("rent", &["close", &session]).await;
    assert_eq!((code, &lines[0]["state"]), (0, &json!("closed")), "{lines:?} {errors}");

    let chain = scene.chain();
    let closings = oracle::closings(&chain.anvil.url, &chain.marketplace(), &session).await;
    assert_eq!(closings.len(), 1);
    let closed = &closings[0];
    assert!(closed.host_paid > 0, "what was signed is acknowledged, even to a host that is gone");
    let deposit: u128 = opened["deposit"].as_str().unwrap().parse().unwrap();
    assert_eq!(closed.host_paid + closed.fee + closed.refund, deposit);
    assert_eq!(lines[0]["refunded"], json!(closed.refund.to_string()));
    // And once more: it is over, and says so.
    let (code, lines, _) = run("rent", &["close", &session]).await;
    assert_eq!((code, &lines[0]["state"]), (0, &json!("closed")));
    // A session that is not this renter's.
    let (code, lines, _) = run("other", &["close", &session]).await;
    assert_eq!(code, 1);
    assert!(text(&lines).contains("was not opened from here"), "{lines:?}");
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn earnings_are_withdrawn_to_the_base_unit() {
    let scene = Scene::start("idle_seconds = 1").await;
    let key = key::ApiKey::make(&scene, "renter", "0.001", "0.0005").await;
    let (status, _) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!(status, 200);
    let closed = key.settled(&scene).await;
    let run = async |args: &[&str]| {
        let mut command = command(&scene.world, &scene.account, "host");
        command.args(args);
        process::run(command).await
    };
    let (code, lines, errors) = run(&["earnings"]).await;
    assert_eq!(code, 0, "{lines:?} {errors}");
    assert!(text(&lines).contains(&closed.host_paid.to_string()), "{lines:?}");
    let (code, lines, errors) = run(&["earnings", "--withdraw", "ETH"]).await;
    assert_eq!(code, 0, "{lines:?} {errors}");
    let chain = scene.chain();
    let (host, coin) = (scene.account.address().to_string(), "0x0".to_owned() + &"0".repeat(39));
    assert_eq!(oracle::ledger(&chain.anvil.url, &chain.marketplace(), &host, &coin).await, 0);
    let held = oracle::held(&chain.anvil.url, &chain.marketplace(), &coin).await;
    assert_eq!(held, closed.fee, "only the fee is left in the contract");
}
