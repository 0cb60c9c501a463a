//! `capstan hosts`, and `capstan rent` without a host: by price and record, and only who answers.

use alloy_primitives::U256;
use alloy_sol_types::SolCall as _;
use capstan_base::Address;
use capstan_chain::Call;
use capstan_chain::bindings::abi::NodeRegistry as abi;
use capstan_tests::process::{self, Process, command, run};
use capstan_tests::scene::Scene;
use capstan_tests::tools;
use capstan_tests::world::model;
use serde_json::Value;

async fn hosts(scene: &Scene) -> Vec<Value> {
    let mut command = command(&scene.world, &scene.account, "hosts");
    command.args(["hosts", "--model"]).arg(tools::model());
    let (code, lines, errors) = run(command).await;
    assert_eq!(code, 0, "{errors}");
    lines[0].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_cheapest_host_that_answers_is_rented_and_earns_a_record() {
    let scene = Scene::start("").await;
    // Cheaper, and not there.
    let silent = scene.world.account(1000, 0).await;
    let nowhere = format!("http://127.0.0.1:{}", process::free_port());
    let offer = [("native", "0.01", "0.01")];
    process::register_at(&scene.world, &silent, &nowhere, &offer).await;

    // A price that no amount can be keeps its host out of the list, and nobody else.
    let absurd = scene.world.account(1000, 0).await;
    process::register_at(&scene.world, &absurd, &nowhere, &offer).await;
    let chain = scene.chain();
    let price = abi::Price { input: 1 << 127, output: 1 };
    let offers = vec![abi::Offer { model: model().0, token: Address::ZERO, price }];
    let data = abi::setOffersCall { offers }.abi_encode().into();
    let call = Call { to: chain.contracts.node_registry, value: U256::ZERO, data };
    chain.send(&absurd, &call).await;

    let listed = hosts(&scene).await;
    let order: Vec<_> = listed.iter().map(|each| each["host"].as_str().unwrap()).collect();
    let (silent, running) = (silent.address().to_string(), scene.account.address().to_string());
    assert_eq!(order, [silent.to_lowercase(), running.to_lowercase()]);
    assert!(listed.iter().all(|each| each["quality_bps"].is_null()));

    let renter = scene.world.account(0, 0).await;
    let mut rent = command(&scene.world, &renter, "rent");
    rent.args(["rent", "--listen", "127.0.0.1:0", "--deposit", "0.001", "--model"]);
    rent.arg(tools::model());
    let mut rent = Process::start(rent);
    let opened = rent.event("opened").await;
    assert_eq!(opened["host"].as_str().unwrap(), running.to_lowercase());
    let url = rent.event("listening").await["url"].as_str().unwrap().to_owned();
    let body = serde_json::json!({
        "model": "capstan-tiny",
        "messages": [{ "role": "user", "content": "What is a voucher?" }],
    });
    let asked = reqwest::Client::new().post(format!("{url}/chat/completions")).json(&body);
    assert!(asked.send().await.unwrap().status().is_success());
    rent.terminate_for("settled").await;

    let listed = hosts(&scene).await;
    let own = listed.iter().find(|each| each["host"] == running.to_lowercase()).unwrap();
    assert_eq!(own["quality_bps"], 10_000, "{own}");
    assert_ne!(own["merit"], "0");
}

#[tokio::test]
async fn nothing_is_paid_in_where_nobody_serves() {
    let scene = Scene::start("").await;
    let renter = scene.world.account(0, 0).await;
    let mut rent = command(&scene.world, &renter, "rent");
    rent.args(["rent", "--host-url", "http://127.0.0.1:1", "--deposit", "0.001", "--model"]);
    rent.arg(tools::model());
    let (code, _, errors) = run(rent).await;
    assert_eq!(code, 2);
    assert!(errors.contains("--host-url needs --host"), "{errors}");

    let mut scene = scene;
    scene.host.kill().await;
    let mut rent = command(&scene.world, &renter, "rent");
    rent.args(["rent", "--deposit", "0.001", "--model"]).arg(tools::model());
    let (code, _, errors) = run(rent).await;
    assert_eq!(code, 1);
    assert!(errors.contains("nothing was paid in"), "{errors}");
}
