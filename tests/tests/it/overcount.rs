//! A host that bills what it did not serve gets no signature, and the renter is told by how much.

use std::process::Stdio;

use capstan_tests::fake_host::{FakeHost, Lie, SENT};
use capstan_tests::process::{self, Process};
use capstan_tests::scene::{COIN_PRICE, Scene};
use serde_json::{Value, json};

async fn ask(url: &str, question: &str) -> (u16, Value) {
    let body = json!({
        "model": "capstan-tiny", "messages": [{ "role": "user", "content": question }],
    });
    let request = reqwest::Client::new().post(format!("{url}/chat/completions")).json(&body);
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn an_over_count_is_refused_by_how_much_and_nothing_is_signed() {
    let scene = Scene::start("").await;
    let host = scene.account.address();
    let account = scene.world.account(0, 0).await;
    let hundred = COIN_PRICE.1 * 100 / 1_000_000;
    let cases = [
        (Lie::Tokens(100), format!("over-count of 100 tokens and {hundred} base units")),
        (Lie::Amount(12_345), "over-count of 0 tokens and 12345 base units".to_owned()),
        (Lie::Root, "transcript root differs".to_owned()),
        (Lie::Prompt(3), "prompt tokens, this side".to_owned()),
        (Lie::Gap, "expected".to_owned()),
        (Lie::Token, format!("token id {}", u32::MAX)),
    ];
    for (case, (lie, words)) in cases.into_iter().enumerate() {
        let fake = FakeHost::start(host, COIN_PRICE, lie).await;
        let data = format!("rent-{case}");
        let place = (host, fake.url.as_str());
        let mut rent =
            process::rent(&scene.world, &account, &data, ("84532", "ETH", "0.001"), place);
        rent.stderr(Stdio::null());
        let mut rent = Process::start(rent);
        let url = rent.event("listening").await["url"].as_str().unwrap().to_owned();
        let (status, body) = ask(&url, "hello").await;
        assert!(status >= 400, "{lie:?}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&words), "{lie:?}: {words:?} is not in {message:?}");
        assert_eq!(fake.received("prompt"), 1);
        assert_eq!(fake.received("voucher"), 0, "{lie:?}: nothing is signed");
        // The command ends by itself and does not call that a success.
        assert!(!rent.wait().await, "{lie:?}: exit code");
        assert_eq!(fake.received("voucher"), 0);
    }
    assert_eq!(SENT.len(), 5);
}

#[tokio::test]
async fn a_budget_is_never_signed_beyond() {
    let scene = Scene::start("grace_seconds = 1").await;
    let account = scene.world.account(0, 0).await;
    let place = (scene.account.address(), scene.url.as_str());
    let mut rent = process::rent(&scene.world, &account, "rent", ("84532", "ETH", "0.001"), place);
    // Some sixteen tokens of output.
    rent.args(["--budget", "0.000001"]).stderr(Stdio::null());
    let mut rent = Process::start(rent);
    let opened = rent.event("opened").await;
    let url = rent.event("listening").await["url"].as_str().unwrap().to_owned();
    let (status, body) = ask(&url, "Tell me a story about a fox.").await;
    assert!(status >= 400, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("budget"), "{body}");
    assert!(!rent.wait().await);
    let chain = scene.chain();
    let session = opened["session_id"].as_str().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let closings =
        capstan_tests::oracle::closings(&chain.anvil.url, &chain.marketplace(), session).await;
    let paid: u128 = closings.iter().map(|closed| closed.host_paid + closed.fee).sum();
    assert!(paid <= 1_000_000_000_000, "{paid}");
}
