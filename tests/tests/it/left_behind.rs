//! A machine that shared a store is gone for good: an operator sees what it served, and settles it from
//! another.

use capstan_tests::process::{command, run};
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use serde_json::{Value, json};

/// Runs `capstan` with the host's account as the machine `b`.
async fn on_b(scene: &Scene, words: &[&str]) -> (i32, Vec<Value>) {
    let mut command = command(&scene.world, &scene.account, "b");
    command.env("CAPSTAN_MACHINE", "b").args(words);
    let (code, lines, _) = run(command).await;
    (code, lines)
}

#[tokio::test]
async fn what_a_machine_that_is_gone_served_is_settled_from_another() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = server.database("machines");
    let store = format!("grace_seconds = 600\n\n[store]\nurl = \"{url}\"\nmachine = \"a\"");
    let mut scene = Scene::start(&store).await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    scene.host.kill().await;

    let (_, lines) = on_b(&scene, &["doctor"]).await;
    let store = lines.iter().find(|line| line["check"].as_str().unwrap().starts_with("store "));
    assert_eq!(store.unwrap()["status"], "ok", "{lines:?}");
    assert!(lines.iter().any(|line| line["check"].as_str().unwrap().starts_with("lane of ")));
    let (code, lines) = on_b(&scene, &["sessions"]).await;
    assert!(code == 2 && lines[0].to_string().contains("[store]"), "{lines:?}");

    let (code, lines) = on_b(&scene, &["reconcile", "--dry-run"]).await;
    let found = &lines[0]["differences"][0];
    assert_eq!((code, &found["served_by"]), (0, &json!("a")), "{lines:?}");
    assert_eq!(found["claimable"], true);
    let (code, lines) = on_b(&scene, &["settle", "--all"]).await;
    assert_eq!((code, &lines[0]["machine"], &lines[0]["sessions"]), (3, &json!("a"), &json!(1)));
    assert!(scene.closings(&paper).await.is_empty(), "it might run");

    let (code, lines) = on_b(&scene, &["settle", "--all", "--of-machine", "a"]).await;
    assert_eq!(code, 0, "{lines:?}");
    scene.settles_for(&paper, renter.owed()).await;
    let (code, lines) = on_b(&scene, &["reconcile"]).await;
    assert_eq!((code, &lines[0]["differences"]), (0, &json!([])), "{lines:?}");
}
