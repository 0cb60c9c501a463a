//! What an operator sees and does: transactions, settlement by hand, balances, health, the doctor.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use capstan_tests::process::{command, run};
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::socket::Wire;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Longest wait for what the host notices within seconds.
const SOON: Duration = Duration::from_secs(60);

async fn health(scene: &Scene) -> Value {
    let health = reqwest::get(format!("{}/health", scene.url)).await.expect("an answer");
    health.json().await.expect("JSON")
}

/// Health of the one chain, once it is as wanted.
async fn health_once(scene: &Scene, wanted: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let health = health(scene).await;
            if wanted(&health["chains"][0]) {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("the host notices")
}

async fn metrics(scene: &Scene) -> String {
    reqwest::get(format!("{}/metrics", scene.url)).await.unwrap().text().await.unwrap()
}

/// Takes posts of JSON; the first one is refused.
async fn webhook() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=hush", listener.local_addr().unwrap());
    let (heard, alerts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut refused = false;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let body = loop {
                let mut part = [0_u8; 4096];
                let read = stream.read(&mut part).await.unwrap_or(0);
                bytes.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&bytes);
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                match body.map(|body| serde_json::from_str::<Value>(&body)) {
                    Some(Ok(body)) => break body,
                    _ if read == 0 => break Value::Null,
                    _ => {}
                }
            };
            let answer = if refused { "204 No Content" } else { "503 Service Unavailable" };
            let answer =
                format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            if refused {
                let _ = heard.send(body);
            }
            refused = true;
        }
    });
    (url, alerts)
}

#[tokio::test]
async fn an_operator_is_told_before_a_chain_cannot_be_paid_for_and_new_sessions_are_refused_after()
{
    let (url, mut alerts) = webhook().await;
    let scene =
        Scene::start(&format!("balance_seconds = 1\nmin_runway = 50\nalert_webhook = \"{url}\""))
            .await;
    let set = async |wei: u128| {
        let params = json!([scene.account.address(), format!("0x{wei:x}")]);
        scene.chain().anvil.rpc("anvil_setBalance", params).await;
    };
    let funded = health_once(&scene, |chain| chain["runway"].is_number()).await;
    let chain = &funded["chains"][0];
    assert_eq!((&funded["status"], &chain["status"]), (&json!("ok"), &json!("ok")), "{funded}");
    assert_eq!((&chain["takes_sessions"], &chain["unsettled_sessions"]), (&json!(true), &json!(0)));
    let held = capstan_tests::oracle::held(
        &scene.chain().anvil.url,
        &scene.account.address().to_string(),
        "0x0",
    )
    .await;
    let cost = held / u128::from(chain["runway"].as_u64().unwrap());
    let paper = scene.open(DEPOSIT).await;
    let late = scene.open(DEPOSIT).await;

    // Low: told, and served as before.
    set(20 * cost).await;
    let low = health_once(&scene, |chain| chain["runway"].as_u64() < Some(50)).await;
    assert_eq!(low["status"], "degraded");
    assert!(low["issues"][0].as_str().unwrap().contains("settlements only"), "{low}");
    assert_eq!(low["chains"][0]["takes_sessions"], true);
    let alert = tokio::time::timeout(SOON, alerts.recv()).await.unwrap().unwrap();
    assert_eq!(
        (&alert["event"], &alert["standing"]),
        (&json!("balance"), &json!("low")),
        "{alert}"
    );
    assert_eq!((&alert["chain_id"], &alert["min_runway"]), (&json!(84532), &json!(50)));
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_silence().await;
    let page = metrics(&scene).await;
    for series in [
        "node_wallet_balance{chain=\"base-sepolia\",token=\"ETH\"}",
        "node_wallet_balance{chain=\"base-sepolia\",token=\"USDC\"}",
        "capstan_ledger_balance{chain=\"base-sepolia\",token=\"ETH\"}",
        "capstan_runway_settlements{chain=\"base-sepolia\"}",
        "capstan_low_balance{chain=\"base-sepolia\"} 1",
        "capstan_unsettled_value{chain=\"base-sepolia\",token=\"ETH\"}",
    ] {
        assert!(page.contains(series), "{series} is not in:\n{page}");
    }
    assert!(!page.contains("hush"));

    // Empty: nobody new, and who is in is served on.
    set(0).await;
    let empty = health_once(&scene, |chain| chain["takes_sessions"] == false).await;
    assert_eq!(empty["chains"][0]["runway"], 0);
    let alert = tokio::time::timeout(SOON, alerts.recv()).await.unwrap().unwrap();
    assert_eq!(alert["standing"], "empty");
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&late, 0).await;
    assert_eq!(wire.error_code().await, "host_unfunded");
    renter.settle_up().await;
    renter.end().await;

    // Funded again: told, settled, counted, and open to all.
    set(held).await;
    scene.settles_for(&paper, renter.owed()).await;
    let alert = tokio::time::timeout(SOON, alerts.recv()).await.unwrap().unwrap();
    assert_eq!(alert["standing"], "funded");
    health_once(&scene, |chain| chain["takes_sessions"] == true).await;
    let counted = async {
        while !metrics(&scene)
            .await
            .contains("node_settlement_gas_used{chain=\"base-sepolia\",token=\"ETH\"}")
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, counted).await.expect("its gas is shown");
    let page = metrics(&scene).await;
    let series = "node_session_settlements_total{chain=\"base-sepolia\",status=\"success\"} 1";
    assert!(page.contains(series), "{page}");
    let mut wire = Wire::connect(&scene.url).await;
    wire.init(&late, 0).await;
    wire.expect("session_ready").await;
}

#[tokio::test]
async fn what_was_signed_for_is_settled_by_hand_when_the_host_is_gone() {
    let mut scene = Scene::start("").await;
    let (signed, bare) = (scene.open(DEPOSIT).await, scene.open(DEPOSIT).await);
    let _idle = Renter::attach(&scene.url, &bare).await;
    let mut renter = Renter::attach(&scene.url, &signed).await;
    renter.ask("Tell me a story about a fox.", 50).await;
    renter.to_end().await;
    scene.host.kill().await;

    let (code, lines) = scene.capstan(&["reconcile", "--dry-run"]).await;
    assert_eq!(code, 0, "{lines:?}");
    let found = lines[0]["differences"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["session_id"], json!(signed.id()));
    assert_eq!(found[0]["claimable"], true);
    let (code, lines) = scene.capstan(&["reconcile"]).await;
    assert_eq!((code, lines[0]["done"].as_array().unwrap().len()), (0, 0), "{lines:?}");
    assert!(scene.closings(&signed).await.is_empty(), "a comparison settles nothing");

    let (code, lines) = scene.capstan(&["settle", "--all"]).await;
    assert_eq!(code, 0, "{lines:?}");
    let closed = scene.settles_for(&signed, renter.owed()).await;
    assert_eq!(
        (&lines[0]["event"], &lines[0]["host_paid"]),
        (&json!("settled"), &json!(closed.host_paid.to_string()))
    );
    assert_eq!((&lines[1]["settled"], &lines[1]["pending"]), (&json!(1), &json!(0)));
    for words in [vec!["settle", "--all"], vec!["settle", &signed.id().to_string()]] {
        let (code, lines) = scene.capstan(&words).await;
        assert_eq!((code, &lines[0]["settled"]), (0, &json!(0)), "{lines:?}");
    }
    assert_eq!(scene.closings(&signed).await.len(), 1);
    assert!(scene.closings(&bare).await.is_empty(), "left to its renter");
    let nobody = format!("0x{}", "7".repeat(64));
    let (code, lines) = scene.capstan(&["settle", &nobody]).await;
    assert!(code == 1 && lines[0].to_string().contains("never served here"), "{lines:?}");
    let (code, lines) = scene.capstan(&["reconcile"]).await;
    assert_eq!((code, &lines[0]["differences"]), (0, &json!([])), "{lines:?}");
}

#[tokio::test]
async fn looks_need_no_lock_and_no_key_while_the_host_runs() {
    let scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    renter.end().await;
    let closed = scene.settled(&paper).await;
    let look = async |words: &[&str]| {
        let mut command = command(&scene.world, &scene.account, "host");
        command.env_remove("CAPSTAN_PRIVATE_KEY").args(words);
        let (code, lines, errors) = run(command).await;
        assert_eq!(code, 0, "{words:?}: {lines:?} {errors}");
        lines[0].clone()
    };
    let all = look(&["intents", "--state", "all"]).await;
    let settle = all
        .as_array()
        .unwrap()
        .iter()
        .find(|intent| intent["label"].as_str().unwrap().starts_with("settle"));
    let settle = settle.unwrap_or_else(|| panic!("{all}"));
    // The chain shows it a moment before the host has followed it to its end.
    let story = async {
        loop {
            let story = look(&["explain", &settle["id"].to_string()]).await;
            if story["state"] == "final" {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let story = tokio::time::timeout(SOON, story).await.expect("it is final");
    assert_eq!(story["inclusion"]["tx"], closed.tx.to_lowercase(), "{story}");
    assert_eq!(story["attempts"][0]["tx"], closed.tx.to_lowercase());
    assert_eq!(story["attempts"][0]["broadcast"], "accepted");
    assert_eq!(look(&["intents", "--state", "failed"]).await, json!([]));
    assert_eq!(look(&["sessions"]).await, json!([]), "nothing was rented here");
    look(&["reconcile", "--dry-run"]).await;
    assert_eq!(look(&["registration", "status"]).await[0]["eligible"], true);

    // For people the same, in words.
    let mut plain = tokio::process::Command::new(capstan_tests::tools::capstan());
    plain.env_clear().env("CAPSTAN_CONFIG", scene.world.config());
    plain.env("CAPSTAN_DATA", scene.world.data("host")).env("HOME", scene.world.dir.path());
    plain.args(["explain", &settle["id"].to_string()]);
    let told = plain.output().await.unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for part in [" on Base Sepolia is final", "attempt 0 at nonce", "broadcast accepted", "(final)"]
    {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let mut scene = Scene::start("").await;
    let status = |lines: &[Value], part: &str| {
        let found = lines
            .iter()
            .find(|line| line["check"].as_str().is_some_and(|name| name.contains(part)));
        found.unwrap_or_else(|| panic!("no {part} in {lines:?}"))["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (code, lines) = scene.capstan(&["doctor"]).await;
    assert_eq!(code, 0, "{lines:?}");
    for part in ["key", "disk", "database", "contracts", "balance", "registration", "endpoint http"]
    {
        assert_eq!(status(&lines, part), "ok", "{lines:?}");
    }
    assert_eq!(status(&lines, "endpoints"), "warn", "one endpoint is one outage");

    // A key that others may read, an empty account, a torn database, an endpoint that is gone.
    scene.host.kill().await;
    let nothing = json!([scene.account.address(), "0x0"]);
    scene.chain().anvil.rpc("anvil_setBalance", nothing).await;
    let word = scene.world.dir.path().join("word");
    std::fs::write(&word, "correct horse\n").unwrap();
    std::fs::set_permissions(&word, std::fs::Permissions::from_mode(0o644)).unwrap();
    let data = scene.world.data("host");
    let database = std::fs::read_dir(&data).unwrap().flatten().map(|file| file.path());
    let database =
        database.into_iter().find(|path| path.extension().is_some_and(|end| end == "db"));
    let database = database.unwrap();
    for journal in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(database.with_extension(journal));
    }
    std::fs::write(database, "no database ".repeat(1000)).unwrap();
    let url = scene.chain().anvil.url.clone();
    let text = scene
        .world
        .config_text("")
        .replace(&format!("[\"{url}\"]"), &format!("[\"{url}\", \"http://127.0.0.1:9\"]"));
    std::fs::write(scene.world.config(), text).unwrap();
    let mut doctor = command(&scene.world, &scene.account, "host");
    doctor.env("CAPSTAN_PASSWORD_FILE", &word).arg("doctor");
    let (code, lines, _) = run(doctor).await;
    assert_eq!(code, 1, "{lines:?}");
    for part in ["permissions", "balance", "database", "endpoint http://127.0.0.1:9"] {
        assert_eq!(status(&lines, part), "fail", "{lines:?}");
    }
    let fails = lines.iter().filter(|line| line["status"] == "fail");
    assert!(fails.clone().all(|line| line["next"] != ""), "each says what to do: {lines:?}");

    // Mistakes of the configuration are told all at once, and the rest is checked all the same.
    scene.world.configure("\n[host]\nwindow = 0\nspeed = 9\n");
    let (code, lines) = scene.capstan(&["doctor"]).await;
    assert_eq!(code, 1);
    assert_eq!(status(&lines, "host.window"), "fail");
    assert_eq!(status(&lines, "host.speed"), "fail");
    assert_eq!(status(&lines, "key"), "ok");
}
