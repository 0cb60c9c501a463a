//! Renters' own commands over a session's life: keep, resume, raise a ceiling, list, talk.

use capstan_tests::key::ApiKey;
use capstan_tests::process::{self, Process, command, run};
use capstan_tests::scene::Scene;
use capstan_tests::{oracle, tools};
use serde_json::{Value, json};

async fn ask(url: &str, question: &str) -> Value {
    let body = json!({
        "model": "capstan-tiny", "messages": [{ "role": "user", "content": question }],
    });
    let request = reqwest::Client::new().post(format!("{url}/chat/completions")).json(&body);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    response.json().await.expect("JSON")
}

async fn listening(rent: &mut Process) -> String {
    rent.event("listening").await["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_kept_session_is_resumed_and_settles_for_both_lives() {
    let scene = Scene::start("grace_seconds = 60").await;
    let account = scene.world.account(0, 100).await;
    let place = (scene.account.address(), scene.url.as_str());
    let mut rent = process::rent(&scene.world, &account, "rent", ("84532", "USDC", "5"), place);
    rent.arg("--keep");
    let mut rent = Process::start(rent);
    let opened = rent.event("opened").await;
    let session = opened["session_id"].as_str().unwrap().to_owned();
    let url = listening(&mut rent).await;
    let first = ask(&url, "What is a voucher?").await;
    rent.terminate_for("kept").await;

    let mut again = command(&scene.world, &account, "rent");
    again.args(["rent", "--resume", &session, "--listen", "127.0.0.1:0", "--model"]);
    again.arg(tools::model());
    let mut rent = Process::start(again);
    let url = listening(&mut rent).await;
    let second = ask(&url, "What is a voucher?").await;
    assert_eq!(first["choices"][0]["message"], second["choices"][0]["message"]);
    let settled = rent.terminate_for("settled").await;

    let tokens = |answer: &Value| answer["usage"]["total_tokens"].as_u64().unwrap();
    let chain = scene.chain();
    let closings = oracle::closings(&chain.anvil.url, &chain.marketplace(), &session).await;
    assert_eq!(closings.len(), 1);
    assert_eq!(closings[0].tokens, tokens(&first) + tokens(&second));
    assert_eq!(settled["refunded"], json!(closings[0].refund.to_string()));
    let (renter, usdc) = (account.address().to_string(), chain.usdc.to_string());
    let holds = oracle::held(&chain.anvil.url, &renter, &usdc).await;
    assert_eq!(holds, 100_000_000 - 5_000_000 + closings[0].refund);
}

#[tokio::test]
async fn a_higher_ceiling_goes_on_where_the_lower_one_ended() {
    let scene = Scene::start("idle_seconds = 5").await;
    let key = ApiKey::make(&scene, "renter", "0.001", "0.000001").await;
    let (_, answer) = key.chat("Tell me a story about a fox.", json!({})).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(key.chat("hello", json!({})).await.0, 402);
    let raise = async |ceiling: &str| {
        let mut command = command(&scene.world, &key.account, &key.data);
        command.args(["voucher", "--resume", &key.session, "--ceiling", ceiling, "--model"]);
        command.arg(tools::model());
        run(command).await
    };
    let (code, lines, _) = raise("0.0000005").await;
    assert_eq!(code, 1, "lower than signed: {lines:?}");
    let (code, lines, _) = raise("0.002").await;
    assert_eq!(code, 1, "above the deposit: {lines:?}");
    let (code, lines, errors) = raise("0.0001").await;
    assert_eq!(code, 0, "{lines:?} {errors}");
    let raised = ApiKey { key: lines[1]["api_key"].as_str().unwrap().to_owned(), ..key };
    let (status, whole) = raised.chat("What is a voucher?", json!({})).await;
    assert_eq!((status, &whole["choices"][0]["finish_reason"]), (200, &json!("stop")), "{whole}");
    let closed = raised.settled(&scene).await;
    let cost = |answer: &Value| {
        let part = |field: &str| u128::from(answer["usage"][field].as_u64().unwrap());
        20_000_000_000 * part("prompt_tokens") + 60_000_000_000 * part("completion_tokens")
    };
    assert_eq!(closed.host_paid + closed.fee, cost(&answer) + cost(&whole));
}

#[tokio::test]
async fn a_session_used_by_key_is_not_rented_on_and_stays_good_for_its_key() {
    let scene = Scene::start("idle_seconds = 4").await;
    let key = ApiKey::make(&scene, "renter", "0.001", "0.0001").await;
    let (status, first) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!(status, 200);
    // A ceiling states no transcript, so this side has none to recount from.
    let mut again = command(&scene.world, &key.account, &key.data);
    again.args(["rent", "--resume", &key.session, "--listen", "127.0.0.1:0", "--model"]);
    again.arg(tools::model());
    let (code, lines, _) = run(again).await;
    assert_eq!(code, 1, "{lines:?}");
    assert!(lines.last().unwrap()["error"].as_str().unwrap().contains("goes on from token"));
    let (status, second) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(first["choices"][0]["message"], second["choices"][0]["message"]);
    let closed = key.settled(&scene).await;
    assert!(closed.host_paid + closed.fee < key.ceiling);
}
