//! Which chains there are, and which of them are in use.
//!
//! Three layers, the later over the earlier: the presets of this build, the `[chains.<name>]`
//! tables of the configuration file, the environment. A chain is *enabled* once the addresses of
//! its contracts are known; asking for any other is an error, never a silent default.

pub mod env;
mod file;
mod layer;
mod presets;
mod settlement;
mod validate;

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::collections::BTreeMap;

use capstan_base::{Address, Amount, ChainId, U256};
use capstan_kit::Problems;

use crate::bindings::ContractKind;
use crate::error::ChainError;
use crate::fees::GasMultiplier;
use crate::rpc::RpcUrl;

pub use file::FILE_KEYS;
pub use settlement::SettlementPolicy;

/// Most that is offered per gas unless set, 1000 gwei: far above what any built-in chain asks, and
/// a bound on what a broken or lying endpoint can make an account burn.
pub const DEFAULT_MAX_FEE: u128 = 1_000 * GWEI;

/// Wei per gwei.
pub(crate) const GWEI: u128 = 1_000_000_000;

/// How a chain charges for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Gas only.
    Evm,
    /// OP stack: gas, and on top of it a fee for the data on the L1.
    OpStack,
}

/// When an inclusion counts as settled for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// As soon as it is in a block: for local chains.
    Latest,
    /// When the chain calls the block safe.
    Safe,
    /// When the chain calls the block final.
    Finalized,
    /// When so many blocks lie on top of it: for chains without usable tags.
    Depth(u64),
}

/// Not a finality policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"latest\", \"safe\", \"finalized\" or \"depth:<blocks>\"")]
pub struct FinalityError;

impl FromStr for Finality {
    type Err = FinalityError;

    fn from_str(text: &str) -> Result<Self, FinalityError> {
        match text {
            "latest" => Ok(Self::Latest),
            "safe" => Ok(Self::Safe),
            "finalized" => Ok(Self::Finalized),
            _ => {
                let depth = text.strip_prefix("depth:").and_then(|blocks| blocks.parse().ok());
                depth.filter(|depth| *depth > 0).map(Self::Depth).ok_or(FinalityError)
            }
        }
    }
}

impl fmt::Display for Finality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Safe => f.write_str("safe"),
            Self::Finalized => f.write_str("finalized"),
            Self::Depth(blocks) => write!(f, "depth:{blocks}"),
        }
    }
}

/// The coin that pays for gas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeCoin {
    /// Ticker.
    pub symbol: String,
    /// Decimal places; 18 on every EVM chain so far.
    pub decimals: u8,
}

/// An ERC-20 token that sessions may be paid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Ticker.
    pub symbol: String,
    /// Contract.
    pub address: Address,
    /// Decimal places.
    pub decimals: u8,
    /// Wei that one whole token is worth, if that is configured.
    pub coin_price: Option<U256>,
}

/// Our contracts on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// Sessions and jobs, and the ledger under both.
    pub job_marketplace: Address,
    /// Hosts.
    pub node_registry: Address,
    /// Those that are known besides. What a command needs and does not find here, it asks the two
    /// above for, where they name it.
    pub others: BTreeMap<ContractKind, Address>,
    /// Block of the first of them, so that nobody looks for their events from the chain's beginning.
    pub from_block: Option<u64>,
}

impl Contracts {
    /// Where a contract lies, if that is configured.
    pub fn of(&self, kind: ContractKind) -> Option<Address> {
        match kind {
            ContractKind::JobMarketplace => Some(self.job_marketplace),
            ContractKind::NodeRegistry => Some(self.node_registry),
            _ => self.others.get(&kind).copied(),
        }
    }
}

/// One chain, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// Short name, as in `[chains.<name>]`: `base-sepolia`.
    pub name: String,
    /// Name for people: `Base Sepolia`.
    pub title: String,
    /// EIP-155 id.
    pub chain_id: ChainId,
    /// How it charges.
    pub kind: ChainKind,
    /// What pays for gas.
    pub native: NativeCoin,
    /// ERC-20 tokens by symbol.
    pub tokens: BTreeMap<String, Token>,
    /// Endpoints in order of preference; never empty for an enabled chain.
    pub rpc_urls: Vec<RpcUrl>,
    /// Our contracts; `None` if the chain is not enabled.
    pub contracts: Option<Contracts>,
    /// Usual time between blocks: how often looking again makes sense.
    pub block_time: Duration,
    /// When a settlement is final.
    pub finality: Finality,
    /// Factor on suggested gas prices.
    pub gas_multiplier: GasMultiplier,
    /// Most wei per gas that is ever offered: an endpoint that suggests more is not believed.
    pub max_fee: u128,
    /// What settling may cost, and when settlements go together.
    pub settlement: SettlementPolicy,
}

impl ChainConfig {
    /// Wei that an amount of a payment token is worth, rounded down; `None` if nobody said what the
    /// token is worth.
    pub fn worth(&self, token: Address, amount: Amount) -> Option<U256> {
        let units = U256::from(amount.base_units());
        if token.is_zero() {
            return Some(units);
        }
        let known = self.tokens.values().find(|known| known.address == token)?;
        let one = U256::from(10).checked_pow(U256::from(known.decimals))?;
        units.checked_mul(known.coin_price?)?.checked_div(one)
    }

    /// Symbol and decimals of a payment token; the zero address is the native coin. `None` for a
    /// token that is not configured.
    pub fn token_info(&self, token: Address) -> Option<(&str, u8)> {
        if token.is_zero() {
            return Some((&self.native.symbol, self.native.decimals));
        }
        let found = self.tokens.values().find(|known| known.address == token)?;
        Some((&found.symbol, found.decimals))
    }

    /// Address of a payment token by symbol, in any case; the native coin's is zero.
    pub fn token_address(&self, symbol: &str) -> Option<Address> {
        if symbol.eq_ignore_ascii_case(&self.native.symbol) {
            return Some(Address::ZERO);
        }
        let named = |known: &&Token| symbol.eq_ignore_ascii_case(&known.symbol);
        self.tokens.values().find(named).map(|known| known.address)
    }
}

/// All chains of this process.
#[derive(Clone, Debug)]
pub struct ChainRegistry {
    chains: BTreeMap<ChainId, ChainConfig>,
    default: Option<ChainId>,
}

impl ChainRegistry {
    /// Layers presets, the configuration file's document and the environment. Of the document only
    /// [`FILE_KEYS`] are read; its other keys belong to others. `env` looks a variable up.
    ///
    /// # Errors
    /// Every mistake of both, with its path.
    pub fn load(
        file: &toml::Table,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut layers = presets::all();
        let file_default = file::apply(file, &mut layers, &mut problems);
        let env_default = env::apply(&env, &mut layers, &mut problems);
        let registry = validate::finish(layers, file_default, env_default, &mut problems);
        problems.into_result(registry)
    }

    /// The same with this process's environment.
    pub fn from_process(file: &toml::Table) -> Result<Self, Problems> {
        Self::load(file, |name| std::env::var(name).ok())
    }

    /// An enabled chain.
    pub fn get(&self, chain: ChainId) -> Result<&ChainConfig, ChainError> {
        self.chains
            .get(&chain)
            .filter(|config| config.contracts.is_some())
            .ok_or_else(|| ChainError::UnsupportedChain { chain, enabled: self.enabled_list() })
    }

    /// Any chain that is known, enabled or not: to deploy contracts on it.
    pub fn known(&self, chain: ChainId) -> Option<&ChainConfig> {
        self.chains.get(&chain)
    }

    /// Any known chain by short name or decimal id.
    pub fn find(&self, name_or_id: &str) -> Option<&ChainConfig> {
        let id = name_or_id.parse().ok().map(ChainId);
        self.chains.values().find(|config| config.name == name_or_id || Some(config.chain_id) == id)
    }

    /// Every known chain by id, enabled or not.
    pub fn all(&self) -> impl Iterator<Item = &ChainConfig> {
        self.chains.values()
    }

    /// Enabled chains by id.
    pub fn enabled(&self) -> impl Iterator<Item = &ChainConfig> {
        self.chains.values().filter(|config| config.contracts.is_some())
    }

    /// The chain that is meant when none is named: `DEFAULT_CHAIN_ID` or `default_chain` if set,
    /// else Base Sepolia if enabled, else the only enabled chain.
    pub fn default_chain(&self) -> Result<&ChainConfig, ChainError> {
        match self.default {
            Some(chain) => self.get(chain),
            None => Err(ChainError::NoDefaultChain { enabled: self.enabled_list() }),
        }
    }

    /// `None` means the default chain; anything else has to be enabled.
    pub fn resolve(&self, chain: Option<ChainId>) -> Result<&ChainConfig, ChainError> {
        chain.map_or_else(|| self.default_chain(), |chain| self.get(chain))
    }

    fn enabled_list(&self) -> String {
        let ids: Vec<_> = self.enabled().map(|config| config.chain_id.to_string()).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    }
}
