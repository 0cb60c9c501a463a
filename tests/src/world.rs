//! Two chains with contracts, accounts with money, and the configuration file that names it all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use capstan_base::{Address, Amount, B256, ModelId, Price, U256};
use capstan_chain::deploy::{DeployParams, deploy_all, deploy_self_batch, transact};
use capstan_chain::{
    BlockTag, ChainClient, ChainRegistry, ContractKind, Contracts, Delegation, LocalSigner,
    NewOffer, TxFields, calls,
};
use capstan_model::file_id;
use serde_json::json;
use tempfile::TempDir;

use crate::anvil::{Anvil, Mining};
use crate::scene::COIN_PRICE;
use crate::tools;

/// Base Sepolia.
pub const BASE_SEPOLIA: u64 = 84532;
/// opBNB testnet.
pub const OPBNB_TESTNET: u64 = 5611;

/// Protocol fee of the deployed marketplaces: 2.5 %.
pub const FEE_BPS: u16 = 250;

/// Stake of a host, whole FAB: what the registry asks for.
const STAKE: u128 = 1000;

/// Longest wait for a chain that mines at once, on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// Gas of a transaction that brings one authorization along, with room.
const DELEGATION_GAS: u64 = 100_000;

/// One chain with its contracts.
pub struct Devnet {
    /// The chain.
    pub anvil: Anvil,
    /// Preset name in the configuration.
    pub name: &'static str,
    /// Our contracts.
    pub contracts: Contracts,
    /// Six-decimal test dollar.
    pub usdc: Address,
    client: ChainClient,
}

/// Everything outside the product.
pub struct World {
    /// Files of this run; removed when dropped.
    pub dir: TempDir,
    /// Chains.
    pub chains: Vec<Devnet>,
    /// Deployed everything, owns the registries.
    pub owner: LocalSigner,
    /// Gets the fees.
    pub fees: LocalSigner,
}

impl World {
    /// Both chains, mining at once.
    pub async fn start() -> Self {
        Self::with_chains(&[(BASE_SEPOLIA, "base-sepolia"), (OPBNB_TESTNET, "opbnb-testnet")]).await
    }

    /// The named presets, each on a chain of its own.
    pub async fn with_chains(presets: &[(u64, &'static str)]) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let (owner, fees) = (LocalSigner::random(), LocalSigner::random());
        let mut chains = Vec::new();
        for (chain_id, name) in presets {
            chains.push(Devnet::start(*chain_id, name, &owner, &fees).await);
        }
        let world = Self { dir, chains, owner, fees };
        std::fs::write(world.config(), world.config_text(""))
            .expect("the configuration is written");
        world
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("capstan.toml")
    }

    /// Its text, with more behind it.
    pub fn config_text(&self, more: &str) -> String {
        let mut text = format!("default_chain = {}\n", self.chains[0].anvil.chain_id);
        for chain in &self.chains {
            text.push_str(&chain.config_text());
        }
        text + more
    }

    /// Sets `[host]` limits and the like.
    pub fn configure(&self, more: &str) {
        std::fs::write(self.config(), self.config_text(more))
            .expect("the configuration is written");
    }

    /// Puts another endpoint in place of the first chain's own, in a file of its own.
    pub fn configure_through(&self, url: &str, more: &str) -> PathBuf {
        let path = self.dir.path().join("through.toml");
        let text = self.config_text(more).replace(&self.chains[0].anvil.url, url);
        std::fs::write(&path, text).expect("the configuration is written");
        path
    }

    /// A folder for one process's data.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The chain with this id.
    pub fn chain(&self, chain_id: u64) -> &Devnet {
        self.chains.iter().find(|chain| chain.anvil.chain_id == chain_id).expect("a known chain")
    }

    /// A fresh key with coins on every chain and, if asked for, FAB or dollars.
    pub async fn account(&self, fab: u64, usdc: u64) -> LocalSigner {
        let account = LocalSigner::random();
        for chain in &self.chains {
            chain.fund(&account, 10).await;
            let whole = |units: u64, decimals: u32| {
                U256::from(units) * U256::from(10).pow(U256::from(decimals))
            };
            if fab > 0 {
                let token = chain.contracts.of(ContractKind::GovernanceToken).expect("deployed");
                let call = calls::erc20_transfer(token, account.address(), whole(fab, 18));
                chain.send(&self.owner, &call).await;
            }
            if usdc > 0 {
                let call = calls::test_usdc_mint(chain.usdc, account.address(), whole(usdc, 6));
                chain.send(&self.owner, &call).await;
            }
        }
        account
    }
}

impl Devnet {
    async fn start(
        chain_id: u64,
        name: &'static str,
        owner: &LocalSigner,
        fees: &LocalSigner,
    ) -> Self {
        let anvil = Anvil::start(chain_id, Mining::Instant);
        let client =
            client(&format!("[chains.{name}]\nrpc_urls = [\"{}\"]\n", anvil.url), chain_id);
        fund(&anvil, owner, 1000).await;
        let params = DeployParams {
            token_holder: owner.address(),
            guardians: Vec::new(),
            entry_point: None,
            owner: Some(owner.address()),
            fee_recipient: Some(fees.address()),
            fee_bps: FEE_BPS,
            test_usdc: true,
        };
        let deployed = deploy_all(&client, owner, &params).await.expect("the contracts deploy");
        let registry = deployed.contracts.of(ContractKind::ModelRegistry).expect("deployed");
        let approve = calls::approve_model(registry, model(), "models/capstan-tiny.gguf");
        transact(&client, owner, &approve).await.expect("the model is approved");
        Self {
            anvil,
            name,
            contracts: deployed.contracts,
            usdc: deployed.test_usdc.expect("asked for"),
            client,
        }
    }

    /// Sends one set-up transaction.
    pub async fn send(&self, from: &LocalSigner, call: &capstan_chain::Call) {
        transact(&self.client, from, call).await.expect("the transaction is mined");
    }

    /// Deploys the code that makes batches, and has an account run it from now on (EIP-7702).
    pub async fn delegate(&self, owner: &LocalSigner, account: &LocalSigner) {
        let (client, address) = (&self.client, account.address());
        let (code, _) = deploy_self_batch(client, owner).await.expect("the code deploys");
        let nonce = client.account_nonce(address, BlockTag::Latest).await.expect("a nonce");
        let fees = client.gas_price().await.expect("a price").offer();
        let call = calls::native_transfer(address, U256::ZERO);
        let fields = TxFields {
            own_code: Some(code),
            ..TxFields::of_call(client.chain_id(), nonce, &call, DELEGATION_GAS, fees)
        };
        let signed = account.sign_transaction(&fields).expect("a signature");
        let sent = client.send_raw(&signed.raw).await;
        assert!(sent.is_delivered(), "{sent:?}");
        let delegated = async {
            while client.delegation(address).await.expect("the account's code")
                != Delegation::To(code)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, delegated).await.expect("the chain mines at once, or nearly");
    }

    /// Registers a host that offers the model for coins, without its being asked.
    pub async fn register(&self, owner: &LocalSigner, host: &LocalSigner) {
        let fab = self.contracts.of(ContractKind::GovernanceToken).expect("deployed");
        let stake = STAKE * 10_u128.pow(18);
        let give = calls::erc20_transfer(fab, host.address(), U256::from(stake));
        self.send(owner, &give).await;
        let nodes = self.contracts.node_registry;
        self.send(host, &calls::erc20_approve(fab, nodes, U256::from(stake))).await;
        let amount = |units| Amount::new(units).expect("an amount");
        let price = Price { input: amount(COIN_PRICE.0), output: amount(COIN_PRICE.1) };
        let offer = NewOffer { model: model(), token: Address::ZERO, price };
        let (stake, endpoint) = (amount(stake), "http://127.0.0.1:1");
        let register = calls::register_node(nodes, stake, endpoint, "", B256::ZERO, &[offer]);
        self.send(host, &register).await;
    }

    /// Typed reads, for scenarios that need them.
    pub fn client(&self) -> &ChainClient {
        &self.client
    }

    /// Gives coins.
    pub async fn fund(&self, account: &LocalSigner, coins: u64) {
        fund(&self.anvil, account, coins).await;
    }

    /// The marketplace's address as text.
    pub fn marketplace(&self) -> String {
        self.contracts.job_marketplace.to_string()
    }

    fn config_text(&self) -> String {
        format!(
            "\n[chains.{name}]\nrpc_urls = [\"{url}\"]\nfinality = \"latest\"\nblock_time_ms = 200\n\
             [chains.{name}.contracts]\njob_marketplace = \"{market}\"\nnode_registry = \"{nodes}\"\n\
             [chains.{name}.tokens.USDC]\naddress = \"{usdc}\"\ndecimals = 6\n",
            name = self.name,
            url = self.anvil.url,
            market = self.contracts.job_marketplace,
            nodes = self.contracts.node_registry,
            usdc = self.usdc,
        )
    }
}

async fn fund(anvil: &Anvil, account: &LocalSigner, coins: u64) {
    let wei = U256::from(coins) * U256::from(Amount::MAX.base_units().min(10_u128.pow(18)));
    anvil.rpc("anvil_setBalance", json!([account.address(), wei])).await;
}

fn client(config: &str, chain_id: u64) -> ChainClient {
    let document = config.parse().expect("TOML");
    let registry = ChainRegistry::load(&document, |_| None).expect("a good configuration");
    let config = registry.known(capstan_base::ChainId(chain_id)).expect("a preset").clone();
    ChainClient::connect(config)
}

/// The project's own model, as the chain names it.
pub fn model() -> ModelId {
    ModelId(file_id(tools::model()).expect("the model file").into())
}

/// Writes a file under the run's folder.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the file is written");
}
