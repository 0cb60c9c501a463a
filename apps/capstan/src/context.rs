//! What most commands need: settings, the account, the store, chains, the engine.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_base::{Address, Amount, B256, ChainId, UnixSeconds};
use capstan_chain::{Call, ChainClient, ChainConfig, LocalSigner};
use capstan_engine::{Engine, LaneChain, LaneSigner, Outcome};
use capstan_kit::{Clock, SystemClock, causes};
use capstan_store::{EngineStore, LaneKey, NewIntent, PgStore, SessionStore, Store};
use tokio_util::sync::CancellationToken;

use crate::cli::Global;
use crate::settings::Settings;

/// Settings and account of one command.
pub struct Context {
    /// File and environment.
    pub settings: Settings,
    /// The account's key.
    pub signer: Arc<LocalSigner>,
    /// Where the database lies.
    data: PathBuf,
    /// Cancelled when the command ends.
    pub stop: CancellationToken,
}

impl Context {
    /// Reads settings and key.
    pub async fn load(global: &Global) -> Result<Self> {
        let settings = Settings::load(global.config.as_deref())?;
        let signer = Arc::new(crate::key::load(&global.key).await?);
        let data = match &global.data {
            Some(data) => data.clone(),
            None => std::env::home_dir()
                .context("no home directory; name a place with --data")?
                .join(".capstan"),
        };
        Ok(Self { settings, signer, data, stop: CancellationToken::new() })
    }

    /// The account.
    pub fn account(&self) -> Address {
        self.signer.address()
    }

    /// Wall-clock time.
    pub fn now(&self) -> UnixSeconds {
        SystemClock.now()
    }

    /// Opens the database `name`, creating its folder.
    pub fn open_store(&self, name: &str) -> Result<Store> {
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("cannot make the data folder {}", self.data.display()))?;
        let path = self.data.join(name);
        Store::open(&path).with_context(|| format!("cannot open the database {}", path.display()))
    }

    /// The database of a host: the one that several machines share, or the file `name`.
    pub async fn open_session_store(&self, name: &str) -> Result<Arc<dyn SessionStore>> {
        match &self.settings.store {
            None => Ok(Arc::new(self.open_store(name)?)),
            Some(shared) => Ok(Arc::new(PgStore::connect(&shared.url, &shared.machine).await?)),
        }
    }

    /// The chain a command names by name or id, or the default one.
    pub fn chain_config(&self, named: Option<&str>) -> Result<&ChainConfig> {
        let registry = &self.settings.registry;
        match named {
            Some(name) => {
                let known = registry.find(name).with_context(|| {
                    format!("no chain is called {name:?}; see `capstan chains`")
                })?;
                Ok(registry.get(known.chain_id)?)
            }
            None => Ok(registry.default_chain()?),
        }
    }

    /// A checked client for one chain.
    pub async fn chain(&self, named: Option<&str>) -> Result<Arc<ChainClient>> {
        let client = ChainClient::connect(self.chain_config(named)?.clone());
        verify(&client).await?;
        Ok(Arc::new(client))
    }

    /// An engine over these chains with this account's key.
    pub fn engine(&self, store: &Store, chains: &[Arc<ChainClient>]) -> Result<Engine> {
        self.engine_on(Arc::new(store.clone()), chains)
    }

    /// The same on any store.
    pub fn engine_on(
        &self,
        store: Arc<dyn EngineStore>,
        chains: &[Arc<ChainClient>],
    ) -> Result<Engine> {
        let lanes: HashMap<ChainId, Arc<dyn LaneChain>> = chains
            .iter()
            .map(|chain| (chain.chain_id(), Arc::clone(chain) as Arc<dyn LaneChain>))
            .collect();
        let signers = vec![Arc::clone(&self.signer) as Arc<dyn LaneSigner>];
        let config = capstan_engine::EngineConfig::for_chains(chains.iter().map(|c| c.config()));
        Engine::start(store, lanes, signers, config, self.stop.child_token())
            .context("cannot start the engine")
    }

    /// Sends one call from this account and waits until it is final. Each use is an effect of its
    /// own: what an earlier one did may have been undone since.
    pub async fn send(
        &self,
        engine: &Engine,
        chain: &ChainClient,
        what: &str,
        call: Call,
    ) -> Result<B256> {
        let Call { to, value, data } = call;
        let lane = LaneKey { chain_id: chain.chain_id(), sender: self.account() };
        let key = format!("{what}/{}/{}", chain.chain_id(), B256::random());
        let id = engine
            .submit(NewIntent {
                label: what.to_owned(),
                ..NewIntent::new(key, lane, to, value, data)
            })
            .await?;
        match engine.wait(id).await? {
            Outcome::Final { tx_hash, success: true, .. } => Ok(tx_hash),
            Outcome::Final { tx_hash, .. } => bail!("{what} reverted in {tx_hash}"),
            Outcome::Failed(failure) => bail!("{what} was refused: {}", failure.detail),
        }
    }
}

/// Checks a chain at start; every finding is reported.
pub async fn verify(client: &ChainClient) -> Result<()> {
    if let Err(findings) = client.verify().await {
        let findings: Vec<_> = findings.iter().map(|finding| causes(finding)).collect();
        bail!("chain {} ({}): {}", client.config().title, client.chain_id(), findings.join("; "));
    }
    Ok(())
}

/// Clients of all enabled chains, by id.
pub fn clients(settings: &Settings) -> BTreeMap<ChainId, Arc<ChainClient>> {
    settings
        .registry
        .enabled()
        .map(|config| (config.chain_id, Arc::new(ChainClient::connect(config.clone()))))
        .collect()
}

/// The name clients use for a model unless another is set: its file's, without the ending.
pub fn model_name(file: &std::path::Path) -> String {
    file.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A payment token by symbol, with its decimals.
pub fn token(config: &ChainConfig, symbol: Option<&str>) -> Result<(Address, String, u8)> {
    let symbol = symbol.unwrap_or(&config.native.symbol);
    let address = config.token_address(symbol).with_context(|| {
        let known: Vec<_> = config.tokens.values().map(|token| token.symbol.as_str()).collect();
        format!(
            "token {symbol:?} is not configured on {}; known are {} {}",
            config.title,
            config.native.symbol,
            known.join(" ")
        )
    })?;
    let (symbol, decimals) = config.token_info(address).unwrap_or((symbol, 18));
    Ok((address, symbol.to_owned(), decimals))
}

/// A human amount of a token.
pub fn amount(text: &str, decimals: u8) -> Result<Amount> {
    Amount::parse_decimal(text, decimals).with_context(|| format!("amount {text:?}"))
}
