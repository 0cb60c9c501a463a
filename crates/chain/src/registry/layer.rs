//! A chain while its configuration is still being put together.

use core::time::Duration;
use std::collections::BTreeMap;

use capstan_base::{Address, U256};

use crate::bindings::ContractKind;
use crate::fees::GasMultiplier;
use crate::registry::{ChainKind, DEFAULT_MAX_FEE, Finality, NativeCoin, SettlementPolicy};
use crate::rpc::RpcUrl;

/// A value with the place it came from, so that a mistake found late still has its path.
#[derive(Clone, Debug)]
pub(crate) struct From<T> {
    pub(crate) value: T,
    pub(crate) path: String,
}

/// Role of a configured address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Contract(ContractKind),
    /// The ledger, which is the marketplace.
    HostEarnings,
}

impl Role {
    /// The test dollar is a token, and no contract of a chain.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = ContractKind::ALL.into_iter().filter(|kind| *kind != ContractKind::TestUsdc);
        kinds.map(Self::Contract).chain([Self::HostEarnings])
    }

    /// Key in the file; upper case, the end of an environment variable.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Contract(kind) => kind.key(),
            Self::HostEarnings => "host_earnings",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TokenLayer {
    pub(crate) address: Option<From<Address>>,
    pub(crate) decimals: Option<u8>,
    pub(crate) coin_price: Option<U256>,
    pub(crate) path: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Short name, the key of the file's table.
    pub(crate) name: String,
    /// Start of its environment variables.
    pub(crate) prefix: String,
    /// Chain family, for variables that serve mainnet and testnet alike.
    pub(crate) family: Option<&'static str>,
    pub(crate) id: Option<From<u64>>,
    pub(crate) title: Option<String>,
    pub(crate) kind: ChainKind,
    pub(crate) native: Option<NativeCoin>,
    pub(crate) tokens: BTreeMap<String, TokenLayer>,
    pub(crate) rpc_urls: Vec<RpcUrl>,
    pub(crate) contracts: BTreeMap<Role, From<Address>>,
    /// Block of the first deployment.
    pub(crate) from_block: Option<u64>,
    pub(crate) block_time: Duration,
    pub(crate) finality: Finality,
    pub(crate) gas_multiplier: GasMultiplier,
    pub(crate) max_fee: u128,
    pub(crate) settlement: SettlementPolicy,
    pub(crate) is_preset: bool,
    /// Something of it was said wrongly: what is missing now need not be missing in truth.
    pub(crate) faulty: bool,
}

impl Layer {
    /// Nothing but a name: a chain this build does not know.
    pub(crate) fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefix: name.to_uppercase().replace('-', "_"),
            family: None,
            id: None,
            title: None,
            kind: ChainKind::Evm,
            native: None,
            tokens: BTreeMap::new(),
            rpc_urls: Vec::new(),
            contracts: BTreeMap::new(),
            from_block: None,
            // Two seconds suit most chains, and only set how often somebody looks.
            block_time: Duration::from_secs(2),
            finality: Finality::Finalized,
            gas_multiplier: GasMultiplier::ONE,
            max_fee: DEFAULT_MAX_FEE,
            settlement: SettlementPolicy::default(),
            is_preset: false,
            faulty: false,
        }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        format!("chains.{}.{key}", self.name)
    }
}

/// Parses an address. EIP-55 capitals are checked if there are any.
pub(crate) fn parse_address(text: &str) -> Result<Address, &'static str> {
    let text = text.trim();
    let address: Address = text.parse().map_err(|_| "is not an address of 20 bytes in hex")?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mixed = digits.bytes().any(|byte| byte.is_ascii_uppercase())
        && digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if mixed && address.to_checksum(None).get(2..) != Some(digits) {
        return Err("has a wrong checksum (EIP-55)");
    }
    if address.is_zero() {
        return Err("is the zero address");
    }
    Ok(address)
}
