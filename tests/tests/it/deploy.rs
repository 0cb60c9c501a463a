//! `capstan deploy`: everything on a bare chain, checked before and after, and nobody's key in power.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use alloy_primitives::{U256, keccak256};
use capstan_chain::LocalSigner;
use capstan_tests::anvil::{Anvil, Mining};
use capstan_tests::process::{private_key, run};
use capstan_tests::tools;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A chain with nothing on it but an EntryPoint, and an account with coins.
struct Bare {
    dir: TempDir,
    anvil: Anvil,
    account: LocalSigner,
    entry_point: String,
}

impl Bare {
    async fn start() -> Self {
        let anvil = Anvil::start(84_532, Mining::Instant);
        let account = LocalSigner::random();
        let coins = format!("0x{:x}", U256::from(10).pow(U256::from(20)));
        anvil.rpc("anvil_setBalance", json!([account.address(), coins])).await;
        let entry_point = entry_point(&anvil).await;
        let bare = Self { dir: TempDir::new().unwrap(), anvil, account, entry_point };
        let text = format!(
            "# kept\ndefault_chain = 84532\n[chains.base-sepolia]\nrpc_urls = [\"{}\"]\nfinality = \"latest\"\n",
            bare.anvil.url
        );
        // Without contracts the default chain is not enabled, which a chain named by the command need not be.
        std::fs::write(bare.config(), text.replace("default_chain = 84532\n", "")).unwrap();
        bare
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("capstan.toml")
    }

    async fn capstan(&self, words: &[&str]) -> (i32, Value, String) {
        let mut command = Command::new(tools::capstan());
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("CAPSTAN_CONFIG", self.config())
            .env("CAPSTAN_DATA", self.dir.path().join("data"))
            .env("CAPSTAN_PRIVATE_KEY", private_key(&self.account))
            .arg("--json")
            .args(words)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (code, lines, errors) = run(command).await;
        (code, lines.first().cloned().unwrap_or_default(), errors)
    }

    async fn deploy(&self, words: &[&str]) -> (i32, Value, String) {
        let holder = format!("{:?}", capstan_base::Address::repeat_byte(0x11));
        let guardian = format!("{:?}", capstan_base::Address::repeat_byte(0x22));
        let fixed = ["deploy", "--chain", "base-sepolia", "--fee-bps", "250"];
        let accounts = ["--token-holder", &holder, "--guardian", &guardian];
        self.capstan(&[&fixed, &accounts[..], words].concat()).await
    }

    async fn nonce(&self) -> Value {
        self.anvil.rpc("eth_getTransactionCount", json!([self.account.address(), "latest"])).await
    }

    /// A view's answer, asked for by an account: a word, or none if it reverts.
    async fn ask(&self, from: &str, to: &str, data: Vec<u8>) -> Option<String> {
        let call = json!([{ "from": from, "to": to, "data": alloy_primitives::hex::encode_prefixed(data) }, "latest"]);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": call });
        let answer = reqwest::Client::new().post(&self.anvil.url).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["result"].as_str().map(str::to_owned)
    }
}

/// The real one, from the pinned package of its authors.
async fn entry_point(anvil: &Anvil) -> String {
    let path = "node_modules/@account-abstraction/contracts/artifacts/EntryPoint.json";
    let artifact = tools::tool("anvil").parent().and_then(Path::parent).unwrap().join(path);
    let artifact: Value =
        serde_json::from_str(&std::fs::read_to_string(artifact).unwrap()).unwrap();
    let from = anvil.rpc("eth_accounts", json!([])).await[0].clone();
    let creation = json!([{ "from": from, "data": artifact["bytecode"], "gas": "0xe00000" }]);
    let hash = anvil.rpc("eth_sendTransaction", creation).await;
    let receipt = anvil.rpc("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["status"], "0x1", "the EntryPoint deploys");
    receipt["contractAddress"].as_str().unwrap().to_owned()
}

fn selector(signature: &str) -> Vec<u8> {
    keccak256(signature)[..4].to_vec()
}

fn address_of(line: &Value, contract: &str) -> String {
    let all = line["contracts"].as_array().unwrap();
    let found = all.iter().find(|each| each["contract"] == contract).expect("it was deployed");
    found["address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_dry_run_shows_everything_and_sends_nothing() {
    let bare = Bare::start().await;
    let entry_point = bare.entry_point.clone();
    let before = std::fs::read_to_string(bare.config()).unwrap();
    let (code, line, errors) = bare.deploy(&["--entry-point", &entry_point]).await;
    assert_eq!((code, &line["sent"]), (0, &json!(false)), "{errors}");
    assert_eq!(line["contracts"].as_array().unwrap().len(), 18);
    assert_eq!(line["wrong"], json!([]));
    assert_eq!(bare.nonce().await, "0x0");
    assert_eq!(std::fs::read_to_string(bare.config()).unwrap(), before);
}

#[tokio::test]
async fn what_a_chain_cannot_carry_is_refused_before_anything_is_sent() {
    let bare = Bare::start().await;
    // The usual EntryPoint is not on this chain.
    let (code, line, errors) = bare.deploy(&["--send"]).await;
    assert_eq!((code, &line["sent"]), (1, &Value::Null));
    assert!(errors.contains("is no ERC-4337 EntryPoint of version 0.8"), "{errors}");
    let twice = format!("{:?}", capstan_base::Address::repeat_byte(0x22));
    let (code, _, errors) =
        bare.deploy(&["--without-accounts", "--guardian", &twice, "--send"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("is named twice as a guardian"), "{errors}");
    let zero = format!("{:?}", capstan_base::Address::ZERO);
    let (code, _, errors) =
        bare.deploy(&["--without-accounts", "--guardian", &zero, "--send"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("the zero address cannot be a guardian"), "{errors}");
    let (code, _, errors) = bare.deploy(&["--without-accounts", "--first-nonce", "5"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("nothing can have begun with 5"), "{errors}");
    bare.anvil.rpc("anvil_setBalance", json!([bare.account.address(), "0x1"])).await;
    let (code, _, errors) = bare.deploy(&["--without-accounts", "--send"]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("has 1 wei"), "{errors}");
    assert_eq!(bare.nonce().await, "0x0");
}

#[tokio::test]
async fn a_deployment_is_tested_written_down_and_nobodys() {
    let bare = Bare::start().await;
    let entry_point = bare.entry_point.clone();
    let (code, line, errors) = bare.deploy(&["--entry-point", &entry_point, "--send"]).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(line["wrong"], json!([]));
    assert_eq!(line["contracts"].as_array().unwrap().len(), 18);
    let text = std::fs::read_to_string(bare.config()).unwrap();
    assert!(text.starts_with("# kept\n"), "{text}");
    assert!(text.contains("job_marketplace = ") && text.contains("from_block = "), "{text}");

    // The file is what every other command reads.
    let (code, chains, errors) = bare.capstan(&["chains", "--check"]).await;
    assert_eq!(code, 0, "{errors}");
    let own = chains.as_array().unwrap().iter().find(|chain| chain["chain_id"] == 84_532).unwrap();
    assert_eq!(own["state"], "ok");

    // Asked of the chain by hand: the timelock owns what is owned, and no key may do what it may.
    let timelock = address_of(&line, "Timelock");
    let deployer = bare.account.address().to_string();
    let owned = [
        "JobMarketplace",
        "ModelRegistry",
        "ProofSystem",
        "JobBoard",
        "HostSlashing",
        "CircuitBreaker",
        "RelayManager",
        "BaseAccountIntegration",
    ];
    for contract in owned {
        let to = address_of(&line, contract);
        let owner = bare.ask(&deployer, &to, selector("owner()")).await.unwrap();
        assert!(owner.ends_with(&timelock.to_lowercase()[2..]), "{contract} is owned by {owner}");
    }
    let market = address_of(&line, "JobMarketplace");
    let set_fee = [selector("setFeeBps(uint16)"), vec![0; 32]].concat();
    assert_eq!(bare.ask(&deployer, &market, set_fee.clone()).await, None);
    assert!(bare.ask(&timelock, &market, set_fee).await.is_some());

    // Once is enough, and an interrupted run goes on where it was: here at its end.
    let (code, _, errors) = bare.deploy(&["--entry-point", &entry_point, "--send"]).await;
    assert_eq!(code, 2);
    assert!(errors.contains("--replace"), "{errors}");
    let again = ["--entry-point", &entry_point, "--send", "--replace", "--first-nonce", "0"];
    let (code, resumed, errors) = bare.deploy(&again).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(address_of(&resumed, "JobMarketplace"), market);
    assert!(resumed["contracts"].as_array().unwrap().iter().all(|each| each["tx"].is_null()));
    assert_eq!(bare.nonce().await, "0x12");
}
