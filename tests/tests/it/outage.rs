//! Chains that do not answer and accounts that cannot pay: nothing is lost, all of it is late.

use std::time::{Duration, Instant};

use alloy_primitives::U256;
use capstan_tests::fault_proxy::{Fault, FaultProxy};
use capstan_tests::oracle;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::socket::Wire;
use serde_json::{Value, json};

async fn health(scene: &Scene) -> Value {
    let health = reqwest::get(format!("{}/health", scene.url)).await.expect("an answer");
    health.json().await.expect("JSON")
}

#[tokio::test]
async fn a_chain_that_is_down_stops_nothing_that_is_paid_and_settles_when_it_is_back() {
    let mut scene = Scene::start("").await;
    scene.host.kill().await;
    let proxy = FaultProxy::before(&scene.chain().anvil.url).await;
    let through = scene.world.configure_through(&proxy.url, "\n[host]\nreconcile_seconds = 1\n");
    let (paper, late) = (scene.open(DEPOSIT).await, scene.open(DEPOSIT).await);

    // Down at start: the host starts, says so, and admits nobody.
    proxy.only(Fault::DropBefore);
    scene.restart_with(&through).await;
    let state = health(&scene).await;
    assert_eq!(
        (&state["status"], &state["chains"][0]["reachable"]),
        (&json!("degraded"), &json!(false))
    );
    assert!(state["issues"][0].as_str().unwrap().contains("base-sepolia"), "{state}");
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&paper, 0).await;
    assert_eq!(wire.error_code().await, "chain_unavailable");

    // Back: the same connection is admitted. Down again: what was admitted is served on.
    proxy.clear();
    loop {
        wire.init(&paper, 0).await;
        let frame = wire.next().await.unwrap();
        if frame["type"] == "session_ready" {
            break;
        }
        assert_eq!(frame["error"]["code"], "chain_unavailable", "{frame}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proxy.only(Fault::DropBefore);
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    assert_eq!(renter.end().await, "end");
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&late, 0).await;
    assert_eq!(wire.error_code().await, "chain_unavailable", "nobody new meanwhile");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(scene.closings(&paper).await.is_empty());
    assert_eq!(scene.info(&paper).await["status"], "settling");

    // A restart during the outage loses nothing either.
    scene.host.kill().await;
    scene.restart_with(&through).await;
    proxy.clear();
    scene.settles_for(&paper, renter.owed()).await;
    assert_eq!(scene.ended_by(&paper).await, "end");
}

#[tokio::test]
async fn a_chain_that_takes_calls_and_answers_none_holds_nobody_up() {
    let mut scene = Scene::start("").await;
    scene.host.kill().await;
    let proxy = FaultProxy::before(&scene.chain().anvil.url).await;
    let through = scene.world.configure_through(&proxy.url, "\n[host]\ndrain_seconds = 2\n");
    scene.restart_with(&through).await;
    let (paper, late) = (scene.open(DEPOSIT).await, scene.open(DEPOSIT).await);
    let mut renter = Renter::attach(&scene.url, &paper).await;
    proxy.only(Fault::Hang);
    let begun = Instant::now();
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&late, 0).await;
    // Admitted sessions are served while the other one waits for its chain.
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(wire.error_code().await, "chain_unavailable");
    assert_eq!(health(&scene).await["chains"][0]["reachable"], false);
    // A shutdown does not wait for the chain either; what is stored is sent at the next start.
    let begun = Instant::now();
    assert!(scene.host.terminate().await);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(scene.closings(&paper).await.is_empty());
    proxy.clear();
    scene.restart_with(&through).await;
    scene.settles_for(&paper, renter.owed()).await;
    assert_eq!(scene.ended_by(&paper).await, "host_shutdown");
}

#[tokio::test]
async fn a_session_that_expired_while_the_host_was_down_is_settled_at_its_start() {
    let mut scene = Scene::start("min_lifetime_seconds = 1").await;
    let account = scene.world.account(0, 0).await;
    let brief = scene.paper(&account, DEPOSIT, 4);
    scene.fund(&brief).await;
    let mut renter = Renter::attach(&scene.url, &brief).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    scene.host.kill().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.restart().await;
    let begun = Instant::now();
    scene.settles_for(&brief, renter.owed()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "before anybody can time it out");
}

#[tokio::test]
async fn an_unfunded_host_settles_once_it_is_funded() {
    // The watch sees the balance before and after, not the hole: what it would do is told elsewhere.
    let scene = Scene::start("balance_seconds = 3600").await;
    let paper = scene.open(DEPOSIT).await;
    let nothing = json!([scene.account.address(), "0x0"]);
    scene.chain().anvil.rpc("anvil_setBalance", nothing).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    assert_eq!(renter.end().await, "end");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(scene.closings(&paper).await.is_empty(), "nothing to pay gas with");
    assert_eq!(scene.info(&paper).await["status"], "settling");
    // Others are served meanwhile.
    let other = scene.open(DEPOSIT).await;
    let mut second = Renter::attach(&scene.url, &other).await;
    second.ask("What is a voucher?", 20).await;
    second.to_end().await;
    second.end().await;
    scene.chain().fund(&scene.account, 1).await;
    scene.settles_for(&paper, renter.owed()).await;
    scene.settles_for(&other, second.owed()).await;
    let chain = scene.chain();
    let host = scene.account.address().to_string();
    let left = oracle::held(&chain.anvil.url, &host, &U256::ZERO.to_string()).await;
    assert!(left < 10_u128.pow(18), "the host paid the gas");
}
