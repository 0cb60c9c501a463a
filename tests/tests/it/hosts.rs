//! Two hosts, one key, one PostgreSQL: renters move between them, one dies, each session settles once.

use std::time::Duration;

use capstan_tests::process::{self, Process};
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::tools;

/// Another host with the scene's key, on the same database; gives it and its URL.
async fn second_host(scene: &Scene, machine: &str) -> (Process, String) {
    let mut command = process::command(&scene.world, &scene.account, machine);
    // Another machine has another home, where the lock on the account lies.
    let home = scene.world.data(&format!("home-{machine}"));
    command.env("CAPSTAN_MACHINE", machine).env("HOME", home);
    command.args(["host", "--listen", "127.0.0.1:0", "--model"]).arg(tools::model());
    let mut host = Process::start(command);
    let url = host.event("listening").await["url"].as_str().unwrap().to_owned();
    (host, url)
}

/// A renter in the middle of an answer, with everything served accepted and stored.
async fn served(scene: &Scene, url: &str) -> Renter {
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(url, &paper).await;
    renter.ask("Tell me a story about a fox.", 100).await;
    renter.to_tokens(40).await;
    renter.to_silence().await;
    renter.pay().await;
    renter.wire.expect("voucher_accepted").await;
    renter
}

#[tokio::test]
async fn renters_move_between_hosts_of_one_key_and_each_session_settles_once() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = server.database("hosts");
    let store = format!("grace_seconds = 2\n\n[store]\nurl = \"{url}\"\nmachine = \"a\"");
    let mut scene = Scene::start(&store).await;
    let mut moves = served(&scene, &scene.url).await;
    let mut stays = served(&scene, &scene.url).await;
    let left = served(&scene, &scene.url).await;
    let (mut second, second_url) = second_host(&scene, "b").await;
    // Longer than the grace period: the second host takes up nothing that the first one serves.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for renter in [&moves, &stays, &left] {
        assert!(scene.closings(&renter.paper).await.is_empty());
    }

    let ready = moves.come_back(&second_url).await;
    assert_eq!(ready["tokens"], moves.signed.1, "served on from the newest voucher");
    moves.ask("What is a voucher?", 10).await;
    moves.to_end().await;
    // The first host, whose copy is old now, lets its grace period pass and ends nothing.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(scene.closings(&moves.paper).await.is_empty());
    // Back there, a fresh copy is served on.
    let ready = moves.come_back(&scene.url).await;
    assert_eq!(ready["tokens"], moves.signed.1);
    moves.ask("What is a session?", 10).await;
    moves.to_end().await;
    moves.end().await;
    scene.settles_for(&moves.paper, moves.owed()).await;

    scene.host.kill().await;
    stays.come_back(&second_url).await;
    stays.end().await;
    scene.settles_for(&stays.paper, stays.signed.0).await;
    assert!(scene.closings(&left.paper).await.is_empty(), "only its own host may end it");
    scene.restart().await;
    scene.settles_for(&left.paper, left.signed.0).await;

    let finished = "SELECT count(*) FROM sessions WHERE state = 'settled'";
    for _ in 0..60 {
        if server.sql("hosts", finished) == "3" {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(server.sql("hosts", finished), "3");
    assert!(second.terminate().await);
    for renter in [&moves, &stays, &left] {
        assert_eq!(scene.closings(&renter.paper).await.len(), 1, "closed once");
    }
}
