//! Starting on bad ground: each mistake is told in words, by exit code, and harms nothing.

use std::time::Duration;

use capstan_tests::process::{self, command, run};
use capstan_tests::scene::Scene;
use capstan_tests::tools;
use capstan_tests::world::{BASE_SEPOLIA, World};
use serde_json::json;
use tokio::process::Command;

/// Runs `capstan host` until it fails; gives exit code and what it said.
async fn fails(mut command: Command) -> (i32, String) {
    command.stderr(std::process::Stdio::piped());
    let ended = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
    let output = ended.expect("it starts on no such ground").unwrap();
    let all = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&all).into_owned())
}

#[tokio::test]
async fn a_host_that_cannot_serve_says_why_and_ends() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let account = world.account(0, 0).await;
    let host = |model: &str| {
        let mut command = command(&world, &account, "host");
        command.args(["host", "--listen", "127.0.0.1:0", "--model", model]);
        command
    };
    let model = tools::model();
    let model = model.to_str().unwrap();

    let (code, said) = fails(host("/nowhere/model.gguf")).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("/nowhere/model.gguf"), "{said}");
    let whole = std::fs::read(model).unwrap();
    let mut header = whole.clone();
    header[8..24].fill(0xff);
    let mut flipped = whole.clone();
    flipped[4] = 99;
    let corrupt = [
        ("empty", Vec::new()),
        ("text", b"this is no model".to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("short", whole[..20].to_vec()),
        ("header", header),
        ("version", flipped),
    ];
    for (name, bytes) in corrupt {
        let path = world.dir.path().join(format!("{name}.gguf"));
        std::fs::write(&path, bytes).unwrap();
        let (code, said) = fails(host(path.to_str().unwrap())).await;
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains(&format!("{name}.gguf")), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
    }

    let mut none = command(&world, &account, "host");
    none.args(["host", "--listen", "127.0.0.1:0"]);
    let (code, said) = fails(none).await;
    assert_eq!(code, 2, "no model at all: {said}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut twice = command(&world, &account, "host");
    let address = taken.local_addr().unwrap().to_string();
    twice.args(["host", "--listen", &address, "--model", model]);
    let (code, said) = fails(twice).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[tokio::test]
async fn a_configuration_is_refused_with_all_its_mistakes_at_once() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let account = world.account(0, 0).await;
    let model = tools::model();
    let attempt = async |text: String| {
        std::fs::write(world.config(), text).unwrap();
        let mut host = command(&world, &account, "host");
        host.args(["host", "--listen", "127.0.0.1:0", "--model"]).arg(&model);
        fails(host).await
    };
    let (code, said) = attempt(world.config_text(
        "\n[host]\nwindow = 0\nspeed = 9\ngrace_seconds = \"soon\"\n[chains.moon]\nrpc_urls = []\n",
    ))
    .await;
    assert_eq!(code, 2, "{said}");
    for path in ["host.window", "host.speed", "host.grace_seconds", "chains.moon"] {
        assert!(said.contains(path), "{path} is not among: {said}");
    }
    let (code, said) = attempt("this is = = no TOML".into()).await;
    assert_ne!(code, 0);
    assert!(said.contains("TOML"), "{said}");

    // A chain of another id, a contract without code, a zero address.
    let market = world.chains[0].marketplace();
    let good = world.config_text("");
    let other_chain = good.replace("base-sepolia", "base").replace("84532", "8453");
    let (code, said) = attempt(other_chain).await;
    assert_ne!(code, 0);
    assert!(said.contains("8453") && said.contains("84532"), "{said}");
    let nobody = "0x00000000000000000000000000000000000000aa";
    let (code, said) = attempt(good.replace(&market, nobody)).await;
    assert_ne!(code, 0);
    assert!(said.to_lowercase().contains("aa") && said.contains("code"), "{said}");
    let zero = format!("0x{}", "0".repeat(40));
    let (code, said) = attempt(good.replace(&market, &zero)).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("job_marketplace"), "{said}");
}

#[tokio::test]
async fn a_key_comes_from_a_keystore_or_the_environment_and_from_nowhere_else() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let account = world.account(0, 0).await;
    let bare = || {
        let mut command = command(&world, &account, "key");
        command.env_remove("CAPSTAN_PRIVATE_KEY");
        command
    };
    let mut none = bare();
    none.args(["earnings"]);
    let (code, said) = fails(none).await;
    assert_eq!(code, 1);
    assert!(said.contains("no key") && said.contains("CAPSTAN_PRIVATE_KEY"), "{said}");
    let secret = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    for flag in ["--private-key", "--key"] {
        let mut argv = bare();
        argv.args(["earnings", flag, secret]);
        assert_eq!(fails(argv).await.0, 2, "{flag} is no option");
    }
    let mut bad = bare();
    bad.env("CAPSTAN_PRIVATE_KEY", &secret[..60]).args(["earnings"]);
    let (code, said) = fails(bad).await;
    assert_eq!(code, 1);
    assert!(!said.contains(&secret[..20]), "the key is repeated: {said}");

    let (keystore, password) = (world.dir.path().join("key.json"), world.dir.path().join("word"));
    std::fs::write(&password, "correct horse\n").unwrap();
    let mut new = bare();
    new.env("CAPSTAN_KEYSTORE", &keystore).env("CAPSTAN_PASSWORD_FILE", &password);
    new.args(["key", "new"]).arg(&keystore);
    let (code, made, errors) = run(new).await;
    assert_eq!(code, 0, "{made:?} {errors}");
    let file = std::fs::read_to_string(&keystore).unwrap();
    assert!(file.contains("\"version\":3") || file.contains("\"version\": 3"), "{file}");
    let with = |word: &str| {
        let mut command = bare();
        command.env("CAPSTAN_KEYSTORE", &keystore).env("CAPSTAN_PASSWORD", word);
        command.args(["key", "address"]);
        command
    };
    let (code, lines, errors) = run(with("correct horse")).await;
    assert_eq!(code, 0, "{lines:?} {errors}");
    assert_eq!(lines[0]["address"], made[0]["address"]);
    let (code, said) = fails(with("wrong horse")).await;
    assert_eq!(code, 1);
    assert!(said.contains("key.json") && !said.contains("horse"), "{said}");
}

#[tokio::test]
async fn renting_what_is_not_to_be_had_says_why_and_spends_nothing() {
    let scene = Scene::start("").await;
    let account = scene.world.account(0, 0).await;
    let host = scene.account.address();
    let nobody = capstan_chain::LocalSigner::random().address();
    for (chain, token, deposit, host, code, word) in [
        ("84532", "ETH", "1000", host, 1, "holds"),
        ("84532", "ETH", "0.001", nobody, 1, "not registered"),
        ("84532", "DOGE", "0.001", host, 1, "DOGE"),
        ("84532", "ETH", "a lot", host, 1, "a lot"),
        ("999", "ETH", "0.001", host, 1, "999"),
        ("1", "ETH", "0.001", host, 1, "1"),
    ] {
        let place = (host, scene.url.as_str());
        let rent = process::rent(&scene.world, &account, "rent", (chain, token, deposit), place);
        let (found, said) = fails(rent).await;
        assert!(found == code || found == 2, "{found}: {said}");
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    let chain = scene.chain();
    let address = account.address().to_string();
    let nonce = chain.anvil.rpc("eth_getTransactionCount", json!([address, "latest"])).await;
    assert_eq!(nonce, "0x0", "nothing was sent");
}
