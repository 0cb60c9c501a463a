//! From layers to chains: the checks that need all layers at once.

use std::collections::BTreeMap;

use capstan_base::{Address, ChainId};
use capstan_kit::Problems;

use crate::bindings::ContractKind;
use crate::registry::layer::{From, Layer, Role, TokenLayer};
use crate::registry::{ChainConfig, ChainRegistry, Contracts, Token};

/// Meant when nothing else is said, as the seed of this network has it.
const USUAL_DEFAULT: ChainId = ChainId(84_532);

const MARKETPLACE: Role = Role::Contract(ContractKind::JobMarketplace);
const NODES: Role = Role::Contract(ContractKind::NodeRegistry);

pub(crate) fn finish(
    layers: Vec<Layer>,
    file_default: Option<From<u64>>,
    env_default: Option<From<u64>>,
    problems: &mut Problems,
) -> ChainRegistry {
    let mut chains: BTreeMap<ChainId, ChainConfig> = BTreeMap::new();
    let mut names: BTreeMap<ChainId, String> = BTreeMap::new();
    let mut faulty = Vec::new();
    for layer in layers {
        if let Some(From { value, path }) = &layer.id {
            let chain = ChainId(*value);
            if let Some(other) = names.get(&chain) {
                let message = format!("chain id {chain} is taken by {other:?}");
                problems.add(path.clone(), message, format!("configure it under [chains.{other}]"));
                continue;
            }
            names.insert(chain, layer.name.clone());
            if layer.faulty {
                faulty.push(chain);
            }
        }
        if let Some(config) = chain(layer, problems) {
            chains.insert(config.chain_id, config);
        }
    }
    let enabled =
        |chain: &ChainId| chains.get(chain).is_some_and(|config| config.contracts.is_some());
    let default = match env_default.or(file_default) {
        Some(From { value, path }) => {
            let chain = ChainId(value);
            // A chain that is disabled only because of another mistake is reported there.
            if !enabled(&chain) && !faulty.contains(&chain) {
                let hint = match chains.get(&chain) {
                    Some(config) => format!("set chains.{}.contracts", config.name),
                    None => "add a [chains.<name>] table for it".to_owned(),
                };
                problems.add(path, format!("chain {chain} is not enabled"), hint);
            }
            Some(chain)
        }
        None if enabled(&USUAL_DEFAULT) => Some(USUAL_DEFAULT),
        None => {
            let mut all = chains.values().filter(|config| config.contracts.is_some());
            all.next().map(|config| config.chain_id).filter(|_| all.next().is_none())
        }
    };
    ChainRegistry { chains, default }
}

fn chain(layer: Layer, problems: &mut Problems) -> Option<ChainConfig> {
    let id = match &layer.id {
        Some(id) if id.value > 0 => Some(id.value),
        Some(id) => {
            problems.add(id.path.clone(), "is zero", "the chain's EIP-155 id");
            None
        }
        None => {
            problems.add(layer.path("id"), "is missing", "the chain's EIP-155 id");
            None
        }
    };
    if layer.native.is_none() && !layer.faulty {
        let hint = "native = { symbol = \"ETH\", decimals = 18 }";
        problems.add(layer.path("native"), "is missing", hint);
    }
    if layer.rpc_urls.is_empty() && !layer.faulty {
        let hint = format!("or set {}_RPC_URL", layer.prefix);
        problems.add(layer.path("rpc_urls"), "is missing", hint);
    }
    let contracts = contracts(&layer, problems);
    let tokens = tokens(&layer, problems);
    Some(ChainConfig {
        chain_id: ChainId(id?),
        title: layer.title.unwrap_or_else(|| layer.name.clone()),
        name: layer.name,
        kind: layer.kind,
        native: layer.native?,
        tokens,
        rpc_urls: layer.rpc_urls,
        contracts,
        block_time: layer.block_time,
        finality: layer.finality,
        gas_multiplier: layer.gas_multiplier,
        max_fee: layer.max_fee,
        settlement: layer.settlement,
    })
}

fn contracts(layer: &Layer, problems: &mut Problems) -> Option<Contracts> {
    let found = &layer.contracts;
    let of = |role| found.get(&role).map(|address| address.value);
    let mut seen: BTreeMap<Address, &'static str> = BTreeMap::new();
    for role in Role::all().filter(|role| *role != Role::HostEarnings) {
        let Some(address) = found.get(&role) else { continue };
        if let Some(other) = seen.insert(address.value, role.key()) {
            let message = format!("is the same address as {other}");
            problems.add(address.path.clone(), message, "each contract has an address of its own");
        }
    }
    if let Some(earnings) = found.get(&Role::HostEarnings)
        && of(MARKETPLACE).is_some_and(|marketplace| marketplace != earnings.value)
    {
        problems.add(
            earnings.path.clone(),
            "differs from the marketplace",
            "the marketplace holds the ledger: leave host_earnings out or repeat its address",
        );
    }
    if found.is_empty() {
        return None;
    }
    for role in [MARKETPLACE, NODES] {
        if of(role).is_none() && !layer.faulty {
            let path = layer.path(&format!("contracts.{}", role.key()));
            let hint = format!("or set {}_{}", layer.prefix, role.key().to_uppercase());
            problems.add(path, "is missing, while other contracts are set", hint);
        }
    }
    let others = found.iter().filter_map(|(role, address)| match role {
        Role::Contract(ContractKind::JobMarketplace | ContractKind::NodeRegistry) => None,
        Role::Contract(kind) => Some((*kind, address.value)),
        Role::HostEarnings => None,
    });
    Some(Contracts {
        job_marketplace: of(MARKETPLACE)?,
        node_registry: of(NODES)?,
        others: others.collect(),
        from_block: layer.from_block,
    })
}

fn tokens(layer: &Layer, problems: &mut Problems) -> BTreeMap<String, Token> {
    let mut tokens = BTreeMap::new();
    for (symbol, token) in &layer.tokens {
        let TokenLayer { address, decimals, coin_price, path } = token;
        if layer.native.as_ref().is_some_and(|coin| coin.symbol.eq_ignore_ascii_case(symbol)) {
            problems.add(path.clone(), "has the native coin's symbol", "choose another");
        }
        match (address, decimals) {
            (Some(address), Some(decimals)) => {
                let (address, decimals, coin_price) = (address.value, *decimals, *coin_price);
                let token = Token { symbol: symbol.clone(), address, decimals, coin_price };
                tokens.insert(symbol.clone(), token);
            }
            _ if layer.faulty => {}
            (None, _) => problems.add(format!("{path}.address"), "is missing", ""),
            (_, None) => problems.add(format!("{path}.decimals"), "is missing", ""),
        }
    }
    tokens
}
