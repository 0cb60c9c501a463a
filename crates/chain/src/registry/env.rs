//! The environment's layer, and the names it is read under.
//!
//! Names are built from a chain's prefix: `BASE_SEPOLIA`, `OPBNB_TESTNET`, `BASE_MAINNET`,
//! `OPBNB_MAINNET`, `ETHEREUM`, `BSC`, `POLYGON`, `AVALANCHE`, `ARBITRUM`, `OPTIMISM`, `FANTOM`; a
//! chain of the file's own has its name in capitals. `BASE` and `OPBNB` alone name a family: gas
//! multipliers under them serve mainnet and testnet, contract addresses under them serve the
//! testnet, and endpoints under them are refused, since nobody can tell which is meant.

use capstan_kit::Problems;

use crate::registry::file;
use crate::registry::layer::{From, Layer, Role, TokenLayer, parse_address};

/// Chain id that is meant when none is named.
pub const DEFAULT_CHAIN_ID: &str = "DEFAULT_CHAIN_ID";
/// Endpoints of Base Sepolia, comma-separated.
pub const BASE_SEPOLIA_RPC_URL: &str = "BASE_SEPOLIA_RPC_URL";
/// Endpoints of opBNB testnet, comma-separated.
pub const OPBNB_TESTNET_RPC_URL: &str = "OPBNB_TESTNET_RPC_URL";
/// Gas price factor of Base and Base Sepolia.
pub const BASE_GAS_MULTIPLIER: &str = "BASE_GAS_MULTIPLIER";
/// Gas price factor of opBNB and opBNB testnet.
pub const OPBNB_GAS_MULTIPLIER: &str = "OPBNB_GAS_MULTIPLIER";
/// End of the name of a list of endpoints.
pub const RPC_URL: &str = "_RPC_URL";
/// End of the name of a gas price factor.
pub const GAS_MULTIPLIER: &str = "_GAS_MULTIPLIER";
/// End of the name of a finality policy.
pub const FINALITY: &str = "_FINALITY";
/// End of the name of the address of USDC; six decimals unless the file says otherwise.
pub const USDC_TOKEN: &str = "_USDC_TOKEN";

const FAMILIES: [&str; 2] = ["BASE", "OPBNB"];

/// End of the name of an address: the key of the file in capitals, `_JOB_MARKETPLACE`.
fn suffix(role: Role) -> String {
    format!("_{}", role.key().to_uppercase())
}

/// Writes the environment over the layers; gives `DEFAULT_CHAIN_ID`. A variable that is set to
/// nothing counts as not set, as in a `.env` file with a line left empty.
pub(crate) fn apply(
    env: &dyn Fn(&str) -> Option<String>,
    layers: &mut [Layer],
    problems: &mut Problems,
) -> Option<From<u64>> {
    let lookup = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    for layer in layers.iter_mut() {
        let before = problems.len();
        chain(layer, &lookup, problems);
        layer.faulty |= problems.len() > before;
    }
    for family in FAMILIES {
        let name = format!("{family}{RPC_URL}");
        // A chain of the file's own may carry the family's name; then it is not ambiguous.
        if lookup(&name).is_some() && !layers.iter().any(|layer| layer.prefix == family) {
            let hint = layers
                .iter()
                .filter(|layer| layer.family == Some(family))
                .map(|layer| format!("{}{RPC_URL}", layer.prefix))
                .collect::<Vec<_>>()
                .join(" or ");
            problems.add(name, "may mean the testnet or the mainnet", format!("set {hint}"));
        }
    }
    let text = lookup(DEFAULT_CHAIN_ID)?;
    let value = text.trim().parse().ok();
    if value.is_none() {
        problems.add(DEFAULT_CHAIN_ID, "is not a chain id", "a decimal number such as 84532");
    }
    value.map(|value| From { value, path: DEFAULT_CHAIN_ID.to_owned() })
}

fn chain(layer: &mut Layer, env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) {
    let own = |end: &str| {
        let name = format!("{}{end}", layer.prefix);
        env(&name).map(|value| (name, value))
    };
    let of_family = |end: &str| {
        let name = format!("{}{end}", layer.family?);
        env(&name).map(|value| (name, value))
    };
    let is_testnet = layer.prefix.ends_with("_SEPOLIA") || layer.prefix.ends_with("_TESTNET");
    let of_testnet = |end: &str| of_family(end).filter(|_| is_testnet);

    let urls = own(RPC_URL);
    let multiplier = own(GAS_MULTIPLIER).or_else(|| of_family(GAS_MULTIPLIER));
    let finality = own(FINALITY);
    let usdc = own(USDC_TOKEN).or_else(|| of_testnet(USDC_TOKEN));
    let contracts: Vec<_> = Role::all()
        .map(|role| (role, own(&suffix(role)).or_else(|| of_testnet(&suffix(role)))))
        .collect();

    if let Some((name, value)) = urls {
        let urls: Vec<_> = value.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        file::rpc_urls(layer, &name, &urls, problems);
    }
    if let Some((name, value)) = multiplier {
        match value.parse::<crate::fees::GasMultiplier>() {
            Ok(multiplier) => layer.gas_multiplier = multiplier,
            Err(error) => report_once(problems, name, &error.to_string()),
        }
    }
    if let Some((name, value)) = finality {
        match value.trim().parse() {
            Ok(finality) => layer.finality = finality,
            Err(error) => {
                let error: crate::registry::FinalityError = error;
                problems.add(name, error.to_string(), "");
            }
        }
    }
    for (role, found) in contracts {
        if let Some((name, value)) = found {
            file::address(layer, role, name, &value, problems);
        }
    }
    if let Some((path, value)) = usdc {
        match parse_address(&value) {
            Ok(value) => {
                let token_path = layer.path("tokens.USDC");
                let token = layer.tokens.entry("USDC".to_owned()).or_insert(TokenLayer {
                    address: None,
                    coin_price: None,
                    decimals: Some(6),
                    path: token_path,
                });
                token.address = Some(From { value, path });
            }
            Err(reason) => problems.add(path, reason, ""),
        }
    }
}

/// A family's variable is read once per chain of the family; its mistake is one mistake.
fn report_once(problems: &mut Problems, path: String, message: &str) {
    if !problems.iter().any(|found| found.path == path) {
        problems.add(path, message, "");
    }
}
