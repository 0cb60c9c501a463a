//! A scene: one chain, one registered host, and sessions opened on the chain directly.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::B256;
use capstan_base::{Address, Amount, ModelId, SessionTerms, U256, UnixSeconds};
use capstan_chain::{LocalSigner, calls};
use capstan_model::file_id;
use serde_json::Value;

use crate::oracle::{self, Closed};
use crate::paper::Paper;
use crate::process::{self, Process};
use crate::tools;
use crate::world::{BASE_SEPOLIA, Devnet, World};

/// Base units per million tokens of the coin in the scenarios' price list, (input, output).
pub const COIN_PRICE: (u128, u128) = (20_000_000_000_000_000, 60_000_000_000_000_000);

/// Dollars' price in scenes: per token it is a fraction of a base unit, so that rounding shows.
pub const USDC_PRICE: (u128, u128) = (350_000, 1_070_000);

/// A deposit of coins that no short answer uses up.
pub const DEPOSIT: u128 = 1_000_000_000_000_000;

/// Longest wait for a settlement.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// Everything a scenario on one chain needs.
pub struct Scene {
    /// Chain and files.
    pub world: World,
    /// The host's account.
    pub account: LocalSigner,
    /// Where the host listens.
    pub url: String,
    /// The running host.
    pub host: Process,
    listen: String,
}

impl Scene {
    /// One chain and a host under these `[host]` lines.
    pub async fn start(limits: &str) -> Self {
        let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
        Self::in_world(world, limits).await
    }

    /// A host in a world under these `[host]` lines.
    pub async fn in_world(world: World, limits: &str) -> Self {
        world.configure(&format!("\n[host]\n{limits}\n"));
        let account = world.account(1000, 0).await;
        let listen = format!("127.0.0.1:{}", process::free_port());
        let dollars = ("USDC", "0.35", "1.07");
        let coin = ("native", "0.02", "0.06");
        process::register_at(&world, &account, &format!("http://{listen}"), &[coin, dollars]).await;
        let (host, url) = process::host(&world, &account, &listen).await;
        Self { world, account, url, host, listen }
    }

    /// Runs `capstan` with the host's account and data; gives exit code and JSON lines.
    pub async fn capstan(&self, words: &[&str]) -> (i32, Vec<Value>) {
        let mut command = process::command(&self.world, &self.account, "host");
        command.args(words);
        let (code, lines, _) = process::run(command).await;
        (code, lines)
    }

    /// What `capstan explain` tells of an intent, once it is as wanted.
    pub async fn explained(&self, intent: u64, wanted: impl Fn(&Value) -> bool) -> Value {
        let words = ["explain", &intent.to_string()];
        let deadline = Instant::now() + SETTLE_WITHIN;
        loop {
            let (code, mut lines) = self.capstan(&words).await;
            assert_eq!(code, 0, "{lines:?}");
            let story = lines.remove(0);
            if wanted(&story) {
                return story;
            }
            assert!(Instant::now() < deadline, "intent {intent} does not come to it: {story:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Number of a session's settlement among the host's intents, once there is one.
    pub async fn intent_of(&self, paper: &Paper) -> u64 {
        let session = paper.id().to_string();
        let deadline = Instant::now() + SETTLE_WITHIN;
        loop {
            let (_, lines) = self.capstan(&["intents", "--state", "all"]).await;
            let all = lines[0].as_array().expect("a list");
            let own = all.iter().find(|intent| {
                intent["idempotency_key"].as_str().is_some_and(|key| key.contains(&session))
            });
            if let Some(intent) = own {
                return intent["id"].as_u64().expect("a number");
            }
            assert!(Instant::now() < deadline, "nothing is stored for {session}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The host's database.
    pub fn database(&self) -> PathBuf {
        self.world.data("host").join(format!("{:?}.db", self.account.address()).to_lowercase())
    }

    /// Starts the host again with its log, as JSON lines, in a file.
    pub async fn restart_logging_to(&mut self, log: &Path) {
        let mut command = process::command(&self.world, &self.account, "host");
        let log = std::fs::File::create(log).expect("a log file");
        command.env("CAPSTAN_LOG", "info").stderr(log).arg("--log-json");
        command.args(["host", "--listen", &self.listen, "--model"]).arg(tools::model());
        let mut host = Process::start(command);
        host.event("listening").await;
        self.host = host;
    }

    /// Starts the host again under another configuration file.
    pub async fn restart_with(&mut self, config: &std::path::Path) {
        let (host, _) = process::host_with(&self.world, &self.account, &self.listen, config).await;
        self.host = host;
    }

    /// The chain.
    pub fn chain(&self) -> &Devnet {
        &self.world.chains[0]
    }

    /// Starts the host again on its address, after an end of whatever kind.
    pub async fn restart(&mut self) {
        let (host, _) = process::host(&self.world, &self.account, &self.listen).await;
        self.host = host;
    }

    /// A session in coins by a fresh renter, a day long.
    pub async fn open(&self, deposit: u128) -> Paper {
        let renter = self.world.account(0, 0).await;
        let paper = self.paper(&renter, deposit, 86_400);
        self.fund(&paper).await;
        paper
    }

    /// A session in dollars by a fresh renter.
    pub async fn open_dollars(&self, deposit: u128) -> Paper {
        let renter = self.world.account(0, 100).await;
        let usdc = self.chain().usdc;
        let paper =
            Paper { token: usdc, price: USDC_PRICE, ..self.paper(&renter, deposit, 86_400) };
        let spender = self.chain().contracts.job_marketplace;
        let approve = calls::erc20_approve(usdc, spender, U256::from(deposit));
        self.chain().send(&renter, &approve).await;
        self.fund(&paper).await;
        paper
    }

    /// Terms in coins that lie on no chain yet.
    pub fn paper(&self, renter: &LocalSigner, deposit: u128, seconds: u64) -> Paper {
        Paper {
            chain_id: self.chain().anvil.chain_id,
            marketplace: self.chain().contracts.job_marketplace,
            host: self.account.address(),
            renter: renter.clone(),
            token: Address::ZERO,
            deposit,
            expiry: now() + seconds,
            model: file_id(tools::model()).expect("the model file").into(),
            salt: B256::random(),
            price: COIN_PRICE,
        }
    }

    /// Pays the deposit in.
    pub async fn fund(&self, paper: &Paper) {
        let call = calls::create_session_job(paper.marketplace, &terms(paper));
        self.chain().send(&paper.renter, &call).await;
    }

    /// Every closing of a session so far.
    pub async fn closings(&self, paper: &Paper) -> Vec<Closed> {
        let chain = self.chain();
        oracle::closings(&chain.anvil.url, &chain.marketplace(), &paper.id().to_string()).await
    }

    /// The one closing of a session, once it is there; its sums are checked.
    pub async fn settled(&self, paper: &Paper) -> Closed {
        let settled = async {
            loop {
                let mut all = self.closings(paper).await;
                assert!(all.len() < 2, "closed twice: {all:?}");
                if let Some(closed) = all.pop() {
                    return closed;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let closed = tokio::time::timeout(SETTLE_WITHIN, settled).await.expect("it settles");
        assert_eq!(closed.host_paid + closed.fee + closed.refund, paper.deposit, "{closed:?}");
        closed
    }

    /// The settlement paid this much in all, fee included.
    pub async fn settles_for(&self, paper: &Paper, amount: u128) -> Closed {
        let closed = self.settled(paper).await;
        assert_eq!(closed.host_paid + closed.fee, amount, "{closed:?}");
        closed
    }

    /// Why the host says the session ended.
    pub async fn ended_by(&self, paper: &Paper) -> String {
        self.info(paper).await["ended_by"].as_str().unwrap_or("not ended").to_owned()
    }

    /// What the host says of a session.
    pub async fn info(&self, paper: &Paper) -> Value {
        let url = format!("{}/v1/session/{}/info", self.url, paper.id());
        reqwest::get(url).await.expect("an answer").json().await.expect("JSON")
    }
}

/// The terms for a set-up transaction.
pub fn terms(paper: &Paper) -> SessionTerms {
    SessionTerms {
        host: paper.host,
        renter: paper.renter.address(),
        token: paper.token,
        deposit: Amount::new(paper.deposit).expect("an amount"),
        expiry: UnixSeconds::new(paper.expiry).expect("a time"),
        voucher_key: paper.renter.address(),
        model: ModelId(paper.model),
        salt: paper.salt,
    }
}

/// Wall-clock time, Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
