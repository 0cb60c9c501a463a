//! A chain of its own for each test: anvil on a free port, with our contracts.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use alloy_primitives::U256;
use capstan_base::{Address, ChainId, SessionId, SessionKey};
use capstan_chain::deploy::{DeployParams, Deployed, deploy_all, transact};
use capstan_chain::{
    ChainClient, ChainConfig, ChainRegistry, Contracts, KeySource, LocalSigner, calls,
};
use capstan_kit::Secret;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// One native coin, wei.
pub(crate) const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// First account of anvil's public mnemonic: worth nothing on any chain.
const OWNER_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) struct Chain {
    pub(crate) client: ChainClient,
    pub(crate) deployed: Deployed,
    pub(crate) owner: LocalSigner,
    pub(crate) host: LocalSigner,
    pub(crate) renter: LocalSigner,
    /// Killed when dropped.
    _anvil: Child,
}

impl Chain {
    /// A chain that calls itself Base Sepolia and mines each transaction at once.
    pub(crate) async fn start() -> Self {
        let (anvil, mut config) = bare("prague").await;
        let bare = ChainClient::connect(config.clone());
        bare.verify_chain_id().await.unwrap();
        let owner = LocalSigner::load(&KeySource::Hex {
            origin: "anvil".to_owned(),
            key: Secret::new(OWNER_KEY.to_owned()),
        })
        .unwrap();
        let params = DeployParams {
            token_holder: owner.address(),
            guardians: Vec::new(),
            entry_point: None,
            owner: Some(owner.address()),
            fee_recipient: Some(Address::repeat_byte(0xfe)),
            fee_bps: 100,
            test_usdc: true,
        };
        let deployed = deploy_all(&bare, &owner, &params).await.unwrap();
        config.contracts = Some(deployed.contracts.clone());
        let client = ChainClient::connect(config);
        let (host, renter) = (LocalSigner::random(), LocalSigner::random());
        for account in [&host, &renter] {
            let fund =
                calls::native_transfer(account.address(), ETHER.saturating_mul(U256::from(100)));
            transact(&client, &owner, &fund).await.unwrap();
        }
        Self { client, deployed, owner, host, renter, _anvil: anvil }
    }

    /// A client of the same chain with other addresses.
    pub(crate) fn configured(&self, change: impl FnOnce(&mut Contracts)) -> ChainClient {
        let mut config = self.client.config().clone();
        change(config.contracts.as_mut().unwrap());
        ChainClient::connect(config)
    }

    /// A session of this chain's marketplace.
    pub(crate) fn key(&self, session_id: SessionId) -> SessionKey {
        let marketplace = self.deployed.contracts.job_marketplace;
        SessionKey { chain_id: self.client.chain_id(), marketplace, session_id }
    }

    /// A client that takes this chain for another.
    pub(crate) fn on_chain_id(&self, chain_id: ChainId) -> ChainClient {
        ChainClient::connect(ChainConfig { chain_id, ..self.client.config().clone() })
    }
}

/// Anvil with the rules of a hard fork and nothing deployed, and how to reach it.
pub(crate) async fn bare(hardfork: &str) -> (Child, ChainConfig) {
    let (anvil, port) = anvil(hardfork).await;
    let url = format!("http://127.0.0.1:{port}");
    let registry = ChainRegistry::load(&toml::Table::new(), |name| {
        (name == "BASE_SEPOLIA_RPC_URL").then(|| url.clone())
    })
    .unwrap();
    let mut config = registry.known(ChainId(84_532)).unwrap().clone();
    config.block_time = Duration::from_millis(50);
    (anvil, config)
}

/// The binary of this platform. What lies in the tools folder is a Node script that starts it, and
/// would leave it behind when killed.
fn binary() -> PathBuf {
    let tools = std::env::var_os("CAPSTAN_TOOLS").map(PathBuf::from).expect(
        "CAPSTAN_TOOLS names no folder with anvil: run `cargo xtask tools`, then `cargo xtask test`",
    );
    let packages = std::fs::read_dir(tools.join("../@foundry-rs")).into_iter().flatten().flatten();
    packages
        .filter(|package| package.file_name().to_string_lossy().starts_with("anvil-"))
        .map(|package| package.path().join("bin/anvil"))
        .find(|binary| binary.exists())
        .unwrap_or_else(|| tools.join("anvil"))
}

async fn anvil(hardfork: &str) -> (Child, u16) {
    let mut child = Command::new(binary())
        .args(["--port", "0", "--chain-id", "84532", "--slots-in-an-epoch", "1"])
        .args(["--hardfork", hardfork])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("anvil does not start: run `cargo xtask tools`");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap().expect("anvil ended before it listened");
        if let Some(port) = line.strip_prefix("Listening on 127.0.0.1:") {
            break port.trim().parse().unwrap();
        }
    };
    // The pipe has to be emptied, or anvil stops when it is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}
