//! What survives a host that loses more than its connection.

use std::time::Duration;

use capstan_tests::key::ApiKey;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{COIN_PRICE, DEPOSIT, Scene};
use capstan_tests::socket::Wire;
use serde_json::json;

#[tokio::test]
async fn a_host_that_lost_its_database_goes_on_from_the_renters_newest_voucher() {
    let mut scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    let newest = renter.statement();
    let count = renter.count.clone();
    let tally = json!({
        "input": count.input, "output": count.output,
        "frontier": { "size": count.tokens(), "peaks": count.peaks() },
    });
    scene.host.kill().await;
    std::fs::remove_dir_all(scene.world.data("host")).unwrap();
    scene.restart().await;

    // A tally that says less than the voucher is refused: it would be served twice for one pay.
    let mut wire = Wire::connect(&scene.url).await;
    let mut init = capstan_tests::socket::init(&paper, &paper.proof(wire.challenge()), 0);
    let nothing = json!({ "input": 0, "output": 0, "frontier": { "size": 0, "peaks": [] } });
    for wrong in [
        nothing,
        json!({ "input": count.input + 1, "output": count.output - 1,
                "frontier": tally["frontier"] }),
        json!({ "input": count.input, "output": count.output,
                "frontier": { "size": count.tokens(), "peaks": [] } }),
        json!({ "input": u64::MAX, "output": 1, "frontier": tally["frontier"] }),
    ] {
        init["newest"] = json!({ "voucher": newest, "tally": wrong });
        wire.send(init.clone()).await;
        assert_eq!(wire.error_code().await, "voucher_mismatch", "{wrong}");
    }
    init["newest"] = json!({ "voucher": newest, "tally": tally });
    init["have"] = json!(count.tokens());
    wire.send(init).await;
    let ready = wire.expect("session_ready").await;
    assert_eq!(ready["tokens"], json!(count.tokens()));
    renter.wire = wire;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    assert!(renter.count.tokens() > count.tokens());
    assert_eq!(renter.end().await, "end");
    let closed = scene.settles_for(&paper, renter.owed()).await;
    assert_eq!(closed.root, renter.count.root().to_string(), "one transcript over both lives");
}

#[tokio::test]
async fn a_host_killed_while_it_serves_a_key_claims_no_more_than_it_served() {
    let mut scene = Scene::start("grace_seconds = 1\nidle_seconds = 2").await;
    let key = ApiKey::make(&scene, "renter", "0.001", "0.0005").await;
    let (status, first) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!(status, 200);
    let body = json!({
        "model": "capstan-tiny", "stream": true, "max_tokens": 200,
        "messages": [{ "role": "user", "content": "Tell me a story about a fox." }],
    });
    let mut response = key.post("/chat/completions", &body).await;
    response.chunk().await.unwrap();
    scene.host.kill().await;
    let mut left = 0;
    while let Ok(Some(bytes)) = response.chunk().await {
        left += bytes.len();
    }
    assert!(left < 1 << 20);
    scene.restart().await;
    let closed = key.settled(&scene).await;
    let usage = |field: &str| u128::from(first["usage"][field].as_u64().unwrap());
    let first = COIN_PRICE.0 * usage("prompt_tokens") + COIN_PRICE.1 * usage("completion_tokens");
    let claimed = closed.host_paid + closed.fee;
    assert!(claimed >= first / 1_000_000, "the finished answer is paid: {claimed}");
    assert!(claimed <= first / 1_000_000 + 250 * COIN_PRICE.1 / 1_000_000, "{claimed}");
    assert!(claimed < key.ceiling, "not the ceiling");
}

#[tokio::test]
async fn a_second_request_waits_its_turn_and_a_second_connection_takes_over() {
    let scene = Scene::start("grace_seconds = 2").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 60).await;
    renter.to_tokens(20).await;
    let again = json!({ "type": "prompt", "request_id": 9, "prompt": { "text": "hello" } });
    renter.wire.send(again).await;
    loop {
        let frame = renter.wire.next().await.unwrap();
        if frame["type"] == "error" {
            assert_eq!(frame["error"]["code"], "request_running");
            assert_eq!((&frame["request_id"], &frame["fatal"]), (&json!(9), &json!(false)));
            break;
        }
        if renter.count_frame(&frame).is_some() {
            renter.pay().await;
        }
    }
    // Ten connections race for the session; the newest has it, and it is one session still.
    let mut older = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::connect(&scene.url).await;
        wire.init(&paper, renter.count.tokens()).await;
        older.push(std::mem::replace(&mut renter.wire, wire));
        let ready = renter.wire.expect("session_ready").await;
        assert_eq!(ready["tokens"], json!(renter.count.tokens()));
    }
    older.remove(0);
    for mut wire in older {
        // Whatever it was sent before, the last word is that it was taken over.
        let code = loop {
            let Some(frame) = wire.next().await else { break "closed".to_owned() };
            if frame["type"] == "error" {
                break frame["error"]["code"].as_str().unwrap().to_owned();
            }
        };
        assert_eq!(code, "session_taken");
        wire.send(json!({ "type": "end" })).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    renter.to_end().await;
    assert_eq!(renter.end().await, "end");
    scene.settles_for(&paper, renter.owed()).await;
}
