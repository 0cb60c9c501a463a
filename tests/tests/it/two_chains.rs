//! Two chains at one host: the same terms on both are two sessions, and neither pays for the other.

use capstan_chain::calls;
use capstan_tests::paper::Paper;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene, terms};
use capstan_tests::socket::Wire;
use capstan_tests::world::{OPBNB_TESTNET, World};
use capstan_tests::{oracle, process};
use serde_json::{Value, json};

async fn closings(scene: &Scene, paper: &Paper) -> Vec<oracle::Closed> {
    let chain = scene.world.chain(paper.chain_id);
    oracle::closings(&chain.anvil.url, &chain.marketplace(), &paper.id().to_string()).await
}

#[tokio::test]
async fn the_same_terms_on_two_chains_are_two_sessions() {
    let scene = Scene::in_world(World::start().await, "").await;
    let base = scene.open(DEPOSIT).await;
    let chain = scene.world.chain(OPBNB_TESTNET);
    let other = Paper {
        chain_id: OPBNB_TESTNET,
        marketplace: chain.contracts.job_marketplace,
        ..base.clone()
    };
    assert_eq!(base.id(), other.id(), "the terms name no chain");

    // Paid in on one chain only: the other chain's twin does not exist.
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&other, 0).await;
    assert_eq!(wire.error_code().await, "unknown_session");
    chain.send(&other.renter, &calls::create_session_job(other.marketplace, &terms(&other))).await;

    let mut first = Renter::attach(&scene.url, &base).await;
    let mut second = Renter::attach(&scene.url, &other).await;
    first.ask("Tell me a story about a fox.", 60).await;
    second.ask("Tell me a story about a fox.", 60).await;
    first.to_silence().await;
    second.to_silence().await;
    // Both owe the same sum for the same words, and still one's voucher is no voucher of the other.
    assert_eq!(first.statement()["amount"], second.statement()["amount"]);
    let (mine, twin) = (first.statement(), second.statement());
    first.send_voucher(twin).await;
    assert_eq!(first.wire.error_code().await, "bad_signature");
    second.send_voucher(mine).await;
    assert_eq!(second.wire.error_code().await, "bad_signature");
    first.settle_up().await;
    second.settle_up().await;
    first.end().await;
    scene.settles_for(&base, first.owed()).await;
    assert!(closings(&scene, &other).await.is_empty(), "the twin is open");
    let info = |chain: u64| {
        let url = format!("{}/v1/session/{}/info?chain_id={chain}", scene.url, base.id());
        async move { reqwest::get(url).await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(info(OPBNB_TESTNET).await["status"], "open");
    assert_eq!(info(OPBNB_TESTNET).await["native_token"], "BNB");
    assert_eq!(info(base.chain_id).await["ended_by"], "end");
    second.end().await;
    for _ in 0..300 {
        if !closings(&scene, &other).await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let closed = closings(&scene, &other).await;
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].host_paid + closed[0].fee, second.owed());
}

#[tokio::test]
async fn one_chain_that_is_gone_does_not_stop_the_other() {
    let scene = Scene::in_world(World::start().await, "").await;
    let base = scene.open(DEPOSIT).await;
    let Scene { mut world, account, url, host, .. } = scene;
    // The second chain is gone for good: its process is killed.
    drop(world.chains.pop());
    let mut renter = Renter::attach(&url, &base).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    renter.end().await;
    let (chain, id) = (&world.chains[0], base.id().to_string());
    let market = chain.marketplace();
    let closed = loop {
        if let Some(closed) = oracle::closings(&chain.anvil.url, &market, &id).await.pop() {
            break closed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(closed.host_paid + closed.fee, renter.owed());
    let health: Value = reqwest::get(format!("{url}/health")).await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "degraded");
    let models: Value =
        reqwest::get(format!("{url}/v1/models")).await.unwrap().json().await.unwrap();
    assert_eq!(models["data"][0]["pricing"][0]["chain_id"], json!(base.chain_id), "{models}");
    // A new renter on the living chain is served, with a configuration that names both.
    let renter = world.account(0, 0).await;
    let place = (account.address(), url.as_str());
    let rent = process::rent(&world, &renter, "rent", ("84532", "ETH", "0.001"), place);
    let mut rent = process::Process::start(rent);
    rent.event("listening").await;
    drop(host);
}
