//! A session that brings less than its settlement costs waits until that has changed.

use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use serde_json::{Value, json};

/// Wei per gas while settling costs more than a short answer brings, and when it does not.
const DEAR: u64 = 100_000_000_000;
const CHEAP: u64 = 1_000_000_000;

/// The chain's base fee from now on: nothing is mined unless something is sent.
async fn base_fee(scene: &Scene, wei: u64) {
    let anvil = &scene.chain().anvil;
    let fee = json!([format!("0x{wei:x}")]);
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", fee).await;
    anvil.rpc("evm_mine", json!([])).await;
}

fn is_uneconomic(story: &Value) -> bool {
    let history = story["history"].as_array().unwrap();
    story["state"] == "queued" && history.iter().any(|row| row["what"] == "uneconomic")
}

#[tokio::test]
async fn dust_waits_while_gas_is_dear_and_two_such_sessions_go_together_when_it_is_not() {
    let scene = Scene::start("[chains.base-sepolia.settlement]\nworth_percent = 1").await;
    let mut renters = Vec::new();
    for _ in 0..2 {
        let paper = scene.open(DEPOSIT).await;
        let mut renter = Renter::attach(&scene.url, &paper).await;
        renter.ask("Tell me a story about a fox.", 60).await;
        renter.to_end().await;
        renters.push(renter);
    }
    base_fee(&scene, DEAR).await;
    for renter in &mut renters {
        renter.end().await;
        let number = scene.intent_of(&renter.paper).await;
        let story = scene.explained(number, is_uneconomic).await;
        assert_eq!(story["worth"], renter.owed().to_string(), "{story:#}");
        assert_eq!(story["attempts"], json!([]), "nothing was signed for it");
    }
    for renter in &renters {
        assert!(scene.closings(&renter.paper).await.is_empty());
    }

    base_fee(&scene, CHEAP).await;
    let first = scene.settles_for(&renters[0].paper, renters[0].owed()).await;
    let second = scene.settles_for(&renters[1].paper, renters[1].owed()).await;
    assert_eq!(first.tx, second.tx, "they share the cost");
}
