//! Registration on every chain: joined, changed, left, and always safe to ask for again.

use std::time::Duration;

use capstan_base::U256;
use capstan_chain::{ContractKind, LocalSigner};
use capstan_tests::fault_proxy::{Fault, FaultProxy};
use capstan_tests::process::{command, run};
use capstan_tests::scene::Scene;
use capstan_tests::tools;
use capstan_tests::world::{BASE_SEPOLIA, OPBNB_TESTNET, World};
use serde_json::{Value, json};

/// Longer than the unbonding delay, seconds.
const PAST_THE_DELAY: u64 = 120 * 86_400;

/// Runs `capstan` with these words.
async fn capstan(world: &World, account: &LocalSigner, words: &[&str]) -> (i32, Vec<Value>) {
    capstan_under(world, account, &world.config(), words).await
}

async fn capstan_under(
    world: &World,
    account: &LocalSigner,
    config: &std::path::Path,
    words: &[&str],
) -> (i32, Vec<Value>) {
    let mut command = command(world, account, "data");
    command.env("CAPSTAN_CONFIG", config).args(words);
    let (code, lines, _) = run(command).await;
    (code, lines)
}

fn model() -> String {
    tools::model().display().to_string()
}

/// Words of `capstan register` on every chain, in the coin of each.
fn join(endpoint: &str) -> Vec<String> {
    let offer = |coin: &str, input: &str| format!("--offer={}:{coin}:{input}:0.06", model());
    let words = ["register", "--all-chains", "--endpoint", endpoint, "--region", "Alps"];
    let words = words.into_iter().map(str::to_owned);
    words.chain([offer("ETH", "0.02"), offer("BNB", "0.08")]).collect()
}

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn words_of(line: &Value) -> Vec<&str> {
    let steps = line["steps"].as_array().expect("a list of steps");
    steps.iter().map(|step| step["what"].as_str().expect("a word")).collect()
}

/// Transactions the account has sent on a chain.
async fn sent(world: &World, chain_id: u64, account: &LocalSigner) -> U256 {
    let anvil = &world.chain(chain_id).anvil;
    let nonce = anvil.rpc("eth_getTransactionCount", json!([account.address(), "latest"])).await;
    nonce.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_chain_is_joined_for_itself_and_a_second_run_has_nothing_to_do() {
    let world = World::start().await;
    let account = world.account(1000, 0).await;
    let proxy = FaultProxy::before(&world.chains[0].anvil.url).await;
    let through = world.configure_through(&proxy.url, "");
    let join = join("https://host.example");

    // The first chain is down: the second is joined all the same, and the exit code says so.
    proxy.only(Fault::DropBefore);
    let (code, lines) = capstan_under(&world, &account, &through, &refs(&join)).await;
    assert_eq!(code, 3, "{lines:?}");
    let by_chain = |lines: &[Value], id: u64| -> Value {
        lines
            .iter()
            .find(|line| line["chain_id"] == id)
            .unwrap_or_else(|| panic!("{lines:?}"))
            .clone()
    };
    assert_eq!(by_chain(&lines, BASE_SEPOLIA)["status"], "failed");
    assert!(by_chain(&lines, BASE_SEPOLIA)["failed"].is_string(), "{lines:?}");
    let joined = by_chain(&lines, OPBNB_TESTNET);
    assert_eq!(
        (&joined["status"], words_of(&joined)),
        (&json!("done"), vec!["approve", "register"])
    );

    // Back: only what is missing is done, and then nothing at all.
    proxy.clear();
    let (code, lines) = capstan_under(&world, &account, &through, &refs(&join)).await;
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(by_chain(&lines, OPBNB_TESTNET)["status"], "unchanged");
    assert_eq!(words_of(&by_chain(&lines, BASE_SEPOLIA)), ["approve", "register"]);
    let before = sent(&world, BASE_SEPOLIA, &account).await;
    let (code, lines) = capstan(&world, &account, &refs(&join)).await;
    assert_eq!(code, 0, "{lines:?}");
    assert!(lines.iter().take(2).all(|line| line["status"] == "unchanged"), "{lines:?}");
    assert_eq!(sent(&world, BASE_SEPOLIA, &account).await, before);

    // Other figures are no second registration: the answer names the command that changes them.
    let mut other = join.clone();
    other[3] = "https://elsewhere.example".into();
    let (code, lines) = capstan(&world, &account, &refs(&other)).await;
    assert_eq!(code, 1, "{lines:?}");
    let said = by_chain(&lines, BASE_SEPOLIA)["failed"].as_str().unwrap().to_owned();
    assert!(said.contains("registration update") && said.contains("update-info"), "{said}");
}

#[tokio::test]
async fn a_registration_that_was_killed_goes_on_where_it_was() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let account = world.account(1000, 0).await;
    let anvil = &world.chains[0].anvil;
    let words = join("https://host.example");
    // No block is made: the first transaction is sent and stays in the pool.
    anvil.rpc("evm_setAutomine", json!([false])).await;
    let mut killed = command(&world, &account, "data");
    killed.args(&words);
    let mut killed = capstan_tests::process::Process::start(killed);
    let pending = async {
        while anvil.rpc("txpool_status", json!([])).await["pending"] == "0x0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), pending).await.expect("it is sent");
    killed.kill().await;
    let (code, lines) = capstan(&world, &account, &["intents"]).await;
    assert_eq!((code, lines[0].as_array().unwrap().len()), (0, 1), "{lines:?}");
    let open = &lines[0][0];
    assert_eq!((&open["label"], &open["state"]), (&json!("approve"), &json!("in_flight")));

    anvil.rpc("evm_setAutomine", json!([true])).await;
    anvil.rpc("evm_mine", json!([])).await;
    let (code, lines) = capstan(&world, &account, &refs(&words)).await;
    assert_eq!((code, words_of(&lines[0]).pop()), (0, Some("register")), "{lines:?}");
    assert_eq!(sent(&world, BASE_SEPOLIA, &account).await, U256::from(2), "each was sent once");
    let (_, story) = capstan(&world, &account, &["explain", &open["id"].to_string()]).await;
    assert_eq!((&story[0]["state"], &story[0]["label"]), (&json!("final"), &json!("approve")));
    let attempts = story[0]["attempts"].as_array().unwrap();
    let mined = attempts.iter().filter(|attempt| attempt["tx"] == story[0]["inclusion"]["tx"]);
    assert_eq!(mined.count(), 1, "the one that was killed: {story:?}");
}

#[tokio::test]
async fn a_registration_is_seen_changed_and_left() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let account = world.account(1500, 0).await;
    let status = async || {
        let (code, lines) = capstan(&world, &account, &["registration", "status"]).await;
        assert_eq!(code, 0, "{lines:?}");
        lines[0][0].clone()
    };
    let step = async |words: &[&str]| {
        let words = [&["registration"], words].concat();
        let (code, lines) = capstan(&world, &account, &words).await;
        (code, lines[0].clone())
    };
    let done = |(code, line): &(i32, Value), steps: &[&str]| {
        assert_eq!((*code, words_of(line)), (0, steps.to_vec()), "{line}");
        let status = if steps.is_empty() { "unchanged" } else { "done" };
        assert_eq!(line["status"], status);
    };

    let before = status().await;
    assert_eq!((&before["registered"], &before["eligible"]), (&json!(false), &json!(false)));
    let (code, _) = step(&["update", "--region", "Andes"]).await;
    assert_eq!(code, 1, "nothing to update yet");
    assert_eq!(capstan(&world, &account, &refs(&join("https://host.example"))).await.0, 0);
    let joined = status().await;
    assert_eq!(joined["eligible"], true, "{joined}");
    assert_eq!(
        (&joined["endpoint"], &joined["region"]),
        (&json!("https://host.example"), &json!("Alps"))
    );
    assert_eq!(joined["offers"].as_array().unwrap().len(), 1, "{joined}");
    assert_eq!(joined["offers"][0]["input_per_million"], "20000000000000000");

    let offer = |token: &str| format!("{}:{token}:0.5:1.5", model());
    let (dollars, coins) = (offer("USDC"), offer("native"));
    let update = [
        "update",
        "--endpoint",
        "https://new.example",
        "--offer",
        &dollars,
        "--offer",
        &coins,
        "--stake",
        "1200",
    ];
    done(&step(&update).await, &["update-info", "set-offers", "approve", "add-stake"]);
    done(&step(&update).await, &[]);
    let changed = status().await;
    assert_eq!(
        (&changed["endpoint"], &changed["region"]),
        (&json!("https://new.example"), &json!("Alps"))
    );
    assert_eq!(changed["stake"], json!(format!("1200{}", "0".repeat(18))));
    assert_eq!(changed["offers"].as_array().unwrap().len(), 2, "{changed}");
    let gone = format!("{}:USDC", model());
    done(&step(&["update", "--remove-offer", &gone]).await, &["remove-offer"]);
    done(&step(&["update", "--remove-offer", &gone]).await, &[]);

    let (code, line) = step(&["withdraw"]).await;
    assert!(code == 1 && line["failed"].as_str().unwrap().contains("unregister"), "{line}");
    done(&step(&["unregister", "--cancel"]).await, &[]);
    done(&step(&["unregister"]).await, &["start-unbonding"]);
    done(&step(&["unregister"]).await, &[]);
    let leaving = status().await;
    assert_eq!(leaving["eligible"], false);
    assert!(leaving["why_not"][0].as_str().unwrap().contains("unbonding"), "{leaving}");
    let (code, line) = step(&["withdraw"]).await;
    let said = line["failed"].as_str().unwrap_or_default();
    assert!(code == 1 && said.contains("too early") && said.contains(" d"), "{line}");
    done(&step(&["unregister", "--cancel"]).await, &["cancel-unbonding"]);
    assert_eq!(status().await["eligible"], true);
    done(&step(&["unregister"]).await, &["start-unbonding"]);

    let anvil = &world.chains[0].anvil;
    anvil.rpc("evm_increaseTime", json!([PAST_THE_DELAY])).await;
    anvil.rpc("evm_mine", json!([])).await;
    done(&step(&["withdraw"]).await, &["withdraw-stake"]);
    done(&step(&["withdraw"]).await, &[]);
    assert_eq!(status().await["registered"], false);
    let fab = world.chains[0].contracts.of(ContractKind::GovernanceToken).unwrap();
    let held = world.chains[0].client().token_balance(fab, account.address()).await.unwrap();
    assert_eq!(held, U256::from(1500) * U256::from(10).pow(U256::from(18)), "every FAB is back");
}

#[tokio::test]
async fn a_running_host_sends_for_commands_and_no_two_processes_use_one_account() {
    let scene = Scene::start("").await;
    // Whatever data folder is named: the account is the host's.
    let words = ["registration", "update", "--endpoint", "https://moved.example"];
    let (code, lines) = capstan(&scene.world, &scene.account, &words).await;
    assert_eq!((code, words_of(&lines[0])), (0, vec!["update-info"]), "{lines:?}");
    let (code, lines) = capstan(&scene.world, &scene.account, &words).await;
    assert_eq!((code, &lines[0]["status"]), (0, &json!("unchanged")), "{lines:?}");
    let (code, lines) = capstan(&scene.world, &scene.account, &["settle", "--all"]).await;
    let said = lines[0]["error"].as_str().unwrap();
    assert!(
        code == 1 && said.contains("in use by process") && said.contains("capstan host"),
        "{said}"
    );
}
