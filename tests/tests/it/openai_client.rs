//! The official OpenAI Python client, unmodified, against the host and through `capstan rent`.

use capstan_tests::key::ApiKey;
use capstan_tests::process::{self, Process};
use capstan_tests::scene::{COIN_PRICE, Scene};
use capstan_tests::{oracle, python};
use serde_json::{Value, json};

fn cost(seen: &Value) -> u128 {
    let usages = seen["usages"].as_array().unwrap();
    let sum = |part: usize| -> u128 {
        usages.iter().map(|usage| u128::from(usage[part].as_u64().unwrap())).sum()
    };
    (COIN_PRICE.0 * sum(0) + COIN_PRICE.1 * sum(1)).div_ceil(1_000_000)
}

/// Skips, and says so, where Python or its package registry is not to be had.
#[tokio::test]
async fn the_openai_python_client_works_with_a_key_and_through_rent_or_is_skipped_aloud() {
    let python = match python::with_openai().await {
        Ok(python) => python,
        Err(why) => {
            eprintln!("SKIPPED: no Python with the openai package: {why}");
            return;
        }
    };
    let scene = Scene::start("idle_seconds = 4").await;
    let refusals = json!([
        ["NotFoundError", 404, "model_not_found"],
        ["BadRequestError", 400, "invalid_request"]
    ]);

    let key = ApiKey::make(&scene, "key", "0.001", "0.0005").await;
    let direct = python::openai(&python, &key.base_url, &key.key).await;
    assert_eq!(direct["refusals"], refusals);
    let closed = key.settled(&scene).await;
    assert_eq!(closed.host_paid + closed.fee, cost(&direct), "{direct}");

    let account = scene.world.account(0, 0).await;
    let place = (scene.account.address(), scene.url.as_str());
    let rent = process::rent(&scene.world, &account, "rent", ("84532", "ETH", "0.001"), place);
    let mut rent = Process::start(rent);
    let opened = rent.event("opened").await;
    let url = rent.event("listening").await["url"].as_str().unwrap().to_owned();
    let rented = python::openai(&python, &url, "any").await;
    assert_eq!(rented["refusals"], refusals);
    assert_eq!(rented["text"], direct["text"], "the same answer either way");
    let settled = rent.terminate_for("settled").await;
    let session = opened["session_id"].as_str().unwrap();
    let chain = scene.chain();
    let closings = oracle::closings(&chain.anvil.url, &chain.marketplace(), session).await;
    assert_eq!(closings.len(), 1);
    assert_eq!(closings[0].host_paid + closings[0].fee, cost(&rented), "{rented}");
    assert_eq!(settled["host_paid"], json!(closings[0].host_paid.to_string()));
}
