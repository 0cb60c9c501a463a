//! What most commands need: settings, the account, the store, chains, the engine.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail};
use capstan_base::{Address, Amount, B256, ChainId, UnixSeconds};
use capstan_chain::{Call, ChainClient, ChainConfig, LocalSigner};
use capstan_engine::{Engine, LaneChain, LaneSigner};
use capstan_host::settlement::renew_limits;
use capstan_kit::{Clock, SystemClock, causes};
use capstan_store::{EngineStore, PgStore, SessionStore, Store};
use tokio_util::sync::CancellationToken;

use crate::account::{AccountLock, Accounts, Taken};
use crate::cli::Global;
use crate::desk::Desk;
use crate::settings::{Settings, UsageError};
use crate::wish::{Outbox, Wish};

/// Settings and account of one command.
pub struct Context {
    /// File and environment.
    pub settings: Settings,
    /// The account's key.
    pub signer: Arc<LocalSigner>,
    /// Where databases lie.
    data: PathBuf,
    /// Locks and desks.
    accounts: Accounts,
    /// Held from the first database on, until the command ends.
    lock: OnceLock<AccountLock>,
    /// Cancelled when the command ends.
    pub stop: CancellationToken,
}

/// Where this command's calls go.
pub enum Sender {
    /// An engine of its own.
    Own(Outbox),
    /// The running host that holds the account.
    Desk(Desk, Arc<LocalSigner>),
}

impl Context {
    /// Reads settings and key.
    pub async fn load(global: &Global) -> Result<Self> {
        let settings = Settings::load(global.config.as_deref())?;
        let signer = Arc::new(crate::key::load(&global.key).await?);
        let data = data_folder(global)?;
        let accounts = Accounts::of_machine(&data)?;
        let (lock, stop) = (OnceLock::new(), CancellationToken::new());
        Ok(Self { settings, signer, data, accounts, lock, stop })
    }

    /// The account.
    pub fn account(&self) -> Address {
        self.signer.address()
    }

    /// Wall-clock time.
    pub fn now(&self) -> UnixSeconds {
        SystemClock.now()
    }

    /// Takes the account for this process and opens its database, made if there is none. Refused
    /// where machines share one: what this command stores would not be there.
    pub fn open_store(&self, purpose: &str) -> Result<Store> {
        if self.settings.store.is_some() {
            return Err(UsageError(own_database_only(purpose)).into());
        }
        match self.accounts.take(self.account(), purpose)? {
            Taken::Free(lock) => self.open_locked(lock),
            Taken::Held(by) => bail!(held(self.account(), &by)),
        }
    }

    /// Takes the account for this process and opens the database that machines share, if they do,
    /// else its own. Of several processes of one machine one has the account all the same: the
    /// others hand in what they want sent.
    pub async fn open_session_store(&self, purpose: &str) -> Result<Arc<dyn SessionStore>> {
        match self.accounts.take(self.account(), purpose)? {
            Taken::Free(lock) => self.open_session_store_locked(lock).await,
            Taken::Held(by) => bail!(held(self.account(), &by)),
        }
    }

    async fn open_session_store_locked(&self, lock: AccountLock) -> Result<Arc<dyn SessionStore>> {
        let Some(shared) = &self.settings.store else {
            return Ok(Arc::new(self.open_locked(lock)?));
        };
        // The first one is held for good, and another is not to be had.
        let _ = self.lock.set(lock);
        Ok(Arc::new(PgStore::connect(&shared.url, &shared.machine).await?))
    }

    fn open_locked(&self, lock: AccountLock) -> Result<Store> {
        // The first one is held for good, and another is not to be had.
        let _ = self.lock.set(lock);
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("cannot make the data folder {}", self.data.display()))?;
        let path = database(&self.data, self.account());
        Store::open(&path).with_context(|| format!("cannot open the database {}", path.display()))
    }

    /// Sends by an engine over these chains, or, while `capstan host` runs with this account,
    /// through it.
    pub async fn sender(&self, purpose: &str, chains: &[Arc<ChainClient>]) -> Result<Sender> {
        match self.accounts.take(self.account(), purpose)? {
            Taken::Free(lock) => {
                let store = self.open_session_store_locked(lock).await?;
                let engine = self.engine_on(Arc::clone(&store) as Arc<dyn EngineStore>, chains)?;
                Ok(Sender::Own(self.outbox(engine, store)))
            }
            Taken::Held(by) => match Desk::find(&self.accounts.desk(self.account())).await {
                Some(desk) => Ok(Sender::Desk(desk, Arc::clone(&self.signer))),
                None => bail!(held(self.account(), &by)),
            },
        }
    }

    /// Where wishes of this account go.
    pub fn outbox(&self, engine: Engine, store: Arc<dyn SessionStore>) -> Outbox {
        Outbox { engine, store, account: self.account() }
    }

    /// Lets other commands hand in calls while this one holds the account.
    pub fn open_desk(&self, outbox: Outbox) -> Result<()> {
        let path = self.accounts.desk(self.account());
        crate::desk::serve(&path, outbox, self.stop.child_token())
    }

    /// The chain a command names by name or id, or the default one.
    pub fn chain_config(&self, named: Option<&str>) -> Result<&ChainConfig> {
        self.settings.chain(named)
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

    /// The same for settlements: those that wait take over what today's configuration says of costs,
    /// before the engine reads them.
    pub async fn settling_engine(
        &self,
        store: &Arc<dyn SessionStore>,
        chains: &BTreeMap<ChainId, Arc<ChainClient>>,
    ) -> Result<Engine> {
        let changed = renew_limits(&**store, chains).await?;
        if changed > 0 {
            tracing::info!(
                changed,
                "settlements that wait have the limits of today's configuration"
            );
        }
        let list: Vec<_> = chains.values().cloned().collect();
        self.engine_on(Arc::clone(store) as Arc<dyn EngineStore>, &list)
    }
}

impl Sender {
    /// Sends one call and waits until it is final; see [`Outbox::send`].
    pub async fn send(&self, chain: &ChainClient, what: &str, call: Call) -> Result<B256> {
        let wish = Wish { label: what.to_owned(), chain_id: chain.chain_id(), call };
        match self {
            Self::Own(outbox) => outbox.send(wish).await,
            Self::Desk(desk, signer) => desk.send(signer, wish).await,
        }
    }

    /// Waits for what earlier commands left unfinished; see [`Outbox::finish`].
    pub async fn finish(&self, chain: &ChainClient) -> Result<Vec<(String, B256)>> {
        match self {
            Self::Own(outbox) => outbox.finish(chain.chain_id()).await,
            Self::Desk(desk, signer) => desk.finish(signer, chain.chain_id()).await,
        }
    }
}

/// Why a command of renters does not work beside a store that machines share.
pub fn own_database_only(purpose: &str) -> String {
    format!(
        "`capstan {purpose}` keeps a database of this machine's own, and [store] names one that \
         machines share: give it another account, and a configuration without [store]"
    )
}

fn held(account: Address, by: &str) -> String {
    format!(
        "{account} is in use by {by}: two processes would give out the same nonces. End that one \
         first, or wait for it"
    )
}

/// Where databases lie: `--data`, or a folder in the home folder.
pub fn data_folder(global: &Global) -> Result<PathBuf> {
    match &global.data {
        Some(data) => Ok(data.clone()),
        None => Ok(std::env::home_dir()
            .context("no home directory; name a place with --data")?
            .join(".capstan")),
    }
}

/// The database of an account: everything it serves, rents and sends.
pub fn database(data: &Path, account: Address) -> PathBuf {
    data.join(format!("{}.db", format!("{account:?}").to_lowercase()))
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

/// A payment token by symbol, with its decimals; `native` is each chain's coin.
pub fn token(config: &ChainConfig, symbol: Option<&str>) -> Result<(Address, String, u8)> {
    let symbol = symbol.filter(|symbol| *symbol != "native").unwrap_or(&config.native.symbol);
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
