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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

async fn hosts(scene: &Scene) -> Vec<Value> {
    let mut command = command(&scene.world, &scene.account, "hosts");
    command.args(["hosts", "--model"]).arg(tools::model());
    let (code, lines, errors) = run(command).await;
    assert_eq!(code, 0, "{errors}");
    lines[0].as_array().unwrap().clone()
}

/// Sets a host's price in coins for a million tokens in, to anything the contract takes.
fn price_call(scene: &Scene, input: u128) -> Call {
    let price = abi::Price { input, output: 1 };
    let offers = vec![abi::Offer { model: model().0, token: Address::ZERO, price }];
    let data = abi::setOffersCall { offers }.abi_encode().into();
    Call { to: scene.chain().contracts.node_registry, value: U256::ZERO, data }
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
    scene.chain().send(&absurd, &price_call(&scene, 1 << 127)).await;

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

#[tokio::test]
async fn a_host_that_raises_its_price_once_it_is_picked_gets_nothing() {
    let scene = Scene::start("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    let baiting = scene.world.account(1000, 0).await;
    process::register_at(&scene.world, &baiting, &place, &[("native", "0.001", "0.001")]).await;
    let health = reqwest::get(format!("{}/health", scene.url)).await.unwrap();
    let health = health.text().await.unwrap();

    let renter = scene.world.account(0, 0).await;
    let mut rent = command(&scene.world, &renter, "rent");
    rent.args(["rent", "--deposit", "0.001", "--model"]).arg(tools::model());
    let switch = async {
        // Being asked for its health is how it learns that somebody comes.
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert_ne!(socket.read(&mut request).await.unwrap(), 0);
        let dear = 1_000_000_000_000_000_000;
        scene.chain().send(&baiting, &price_call(&scene, dear)).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", health.len());
        socket.write_all((head + &health).as_bytes()).await.unwrap();
    };
    let ((code, lines, errors), ()) = tokio::join!(run(rent), switch);
    assert_eq!(code, 1, "{lines:?}");
    assert!(errors.contains("raised its price"), "{errors}");
}
