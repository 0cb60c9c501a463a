//! Chains that this build knows. Endpoints are the chains' own public ones: good for a first look,
//! rate-limited for anything more.

use core::time::Duration;

use alloy_primitives::{Address, address};

use crate::registry::layer::{From, Layer, TokenLayer};
use crate::registry::{ChainKind, Finality, NativeCoin};

struct Preset {
    name: &'static str,
    prefix: &'static str,
    family: Option<&'static str>,
    id: u64,
    title: &'static str,
    kind: ChainKind,
    coin: &'static str,
    rpc: &'static [&'static str],
    block_ms: u64,
    finality: Finality,
    /// Circle's USDC, six decimals.
    usdc: Option<Address>,
}

const BASE: Option<&str> = Some("BASE");
const OPBNB: Option<&str> = Some("OPBNB");

/// Finality: `Safe` on a rollup is "posted to the L1", some minutes; `Finalized` where the chain has
/// a finality of its own within seconds or, on Ethereum, two epochs.
const PRESETS: [Preset; 11] = [
    Preset {
        name: "base-sepolia",
        prefix: "BASE_SEPOLIA",
        family: BASE,
        id: 84_532,
        title: "Base Sepolia",
        kind: ChainKind::OpStack,
        coin: "ETH",
        rpc: &["https://sepolia.base.org"],
        block_ms: 2_000,
        finality: Finality::Safe,
        usdc: Some(address!("036CbD53842c5426634e7929541eC2318f3dCF7e")),
    },
    Preset {
        name: "opbnb-testnet",
        prefix: "OPBNB_TESTNET",
        family: OPBNB,
        id: 5_611,
        title: "opBNB Testnet",
        kind: ChainKind::OpStack,
        coin: "BNB",
        rpc: &["https://opbnb-testnet-rpc.bnbchain.org"],
        block_ms: 250,
        finality: Finality::Safe,
        usdc: None,
    },
    Preset {
        name: "base",
        prefix: "BASE_MAINNET",
        family: BASE,
        id: 8_453,
        title: "Base",
        kind: ChainKind::OpStack,
        coin: "ETH",
        rpc: &["https://mainnet.base.org"],
        block_ms: 2_000,
        finality: Finality::Safe,
        usdc: Some(address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")),
    },
    Preset {
        name: "opbnb",
        prefix: "OPBNB_MAINNET",
        family: OPBNB,
        id: 204,
        title: "opBNB",
        kind: ChainKind::OpStack,
        coin: "BNB",
        rpc: &["https://opbnb-mainnet-rpc.bnbchain.org"],
        block_ms: 250,
        finality: Finality::Safe,
        usdc: None,
    },
    Preset {
        name: "ethereum",
        prefix: "ETHEREUM",
        family: None,
        id: 1,
        title: "Ethereum",
        kind: ChainKind::Evm,
        coin: "ETH",
        rpc: &["https://ethereum-rpc.publicnode.com"],
        block_ms: 12_000,
        finality: Finality::Finalized,
        usdc: None,
    },
    Preset {
        name: "bsc",
        prefix: "BSC",
        family: None,
        id: 56,
        title: "BNB Smart Chain",
        kind: ChainKind::Evm,
        coin: "BNB",
        rpc: &["https://bsc-dataseed.bnbchain.org", "https://bsc-rpc.publicnode.com"],
        block_ms: 750,
        finality: Finality::Finalized,
        usdc: None,
    },
    Preset {
        name: "polygon",
        prefix: "POLYGON",
        family: None,
        id: 137,
        title: "Polygon",
        kind: ChainKind::Evm,
        coin: "POL",
        rpc: &["https://polygon-rpc.com", "https://polygon-bor-rpc.publicnode.com"],
        block_ms: 2_000,
        finality: Finality::Finalized,
        usdc: None,
    },
    Preset {
        name: "avalanche",
        prefix: "AVALANCHE",
        family: None,
        id: 43_114,
        title: "Avalanche C-Chain",
        kind: ChainKind::Evm,
        coin: "AVAX",
        rpc: &["https://api.avax.network/ext/bc/C/rpc"],
        block_ms: 2_000,
        finality: Finality::Finalized,
        usdc: None,
    },
    Preset {
        name: "arbitrum",
        prefix: "ARBITRUM",
        family: None,
        id: 42_161,
        title: "Arbitrum One",
        kind: ChainKind::Evm,
        coin: "ETH",
        rpc: &["https://arb1.arbitrum.io/rpc"],
        block_ms: 250,
        finality: Finality::Safe,
        usdc: None,
    },
    Preset {
        name: "optimism",
        prefix: "OPTIMISM",
        family: None,
        id: 10,
        title: "OP Mainnet",
        kind: ChainKind::OpStack,
        coin: "ETH",
        rpc: &["https://mainnet.optimism.io"],
        block_ms: 2_000,
        finality: Finality::Safe,
        usdc: None,
    },
    Preset {
        name: "fantom",
        prefix: "FANTOM",
        family: None,
        id: 250,
        title: "Fantom Opera",
        kind: ChainKind::Evm,
        coin: "FTM",
        rpc: &["https://rpcapi.fantom.network", "https://fantom-rpc.publicnode.com"],
        block_ms: 1_000,
        // Final in one block by its consensus, and without tags that could be relied on.
        finality: Finality::Depth(1),
        usdc: None,
    },
];

pub(crate) fn all() -> Vec<Layer> {
    PRESETS.iter().map(layer).collect()
}

fn layer(preset: &Preset) -> Layer {
    let mut layer = Layer {
        prefix: preset.prefix.to_owned(),
        family: preset.family,
        title: Some(preset.title.to_owned()),
        kind: preset.kind,
        native: Some(NativeCoin { symbol: preset.coin.to_owned(), decimals: 18 }),
        rpc_urls: preset.rpc.iter().filter_map(|url| url.parse().ok()).collect(),
        block_time: Duration::from_millis(preset.block_ms),
        finality: preset.finality,
        is_preset: true,
        ..Layer::unknown(preset.name)
    };
    layer.id = Some(From { value: preset.id, path: layer.path("id") });
    if let Some(value) = preset.usdc {
        let path = layer.path("tokens.USDC");
        let address = Some(From { value, path: format!("{path}.address") });
        let (decimals, coin_price) = (Some(6), None);
        let token = TokenLayer { address, decimals, coin_price, path };
        layer.tokens.insert("USDC".to_owned(), token);
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_whole() {
        let layers = all();
        for (layer, preset) in layers.iter().zip(&PRESETS) {
            assert_eq!(layer.rpc_urls.len(), preset.rpc.len(), "{}", layer.name);
            assert!(!layer.rpc_urls.is_empty());
        }
        let mut ids: Vec<_> = PRESETS.iter().map(|preset| preset.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 10, 56, 137, 204, 250, 5_611, 8_453, 42_161, 43_114, 84_532]);
    }
}
