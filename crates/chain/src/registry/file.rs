//! The configuration file's layer.
//!
//! ```toml
//! default_chain = 84532
//!
//! [chains.base-sepolia]                 # a preset: everything below may be left out
//! rpc_urls = ["https://sepolia.base.org"]
//! finality = "safe"                     # latest, safe, finalized, depth:<blocks>
//! gas_multiplier = 1.1                  # 1.0 to 5.0
//! max_fee_gwei = 1000                   # most that is offered per gas, 1 to 1000000
//! block_time_ms = 2000
//! [chains.base-sepolia.contracts]       # enables the chain
//! job_marketplace = "0x..."
//! node_registry = "0x..."
//! model_registry = "0x..."              # optional
//! governance_token = "0x..."            # optional
//! timelock = "0x..."                    # optional, as every other contract of a deployment
//! from_block = 123                      # optional: events of the contracts are looked for from here
//! [chains.base-sepolia.tokens.USDC]
//! address = "0x..."
//! decimals = 6
//! coin_price = "0.0003"                 # optional: native coin that one token is worth
//! [chains.base-sepolia.settlement]      # optional, each line of it too
//! max_cost = "0.001"                    # native coin
//! worth_percent = 100
//! batch_max = 50
//! batch_wait_seconds = 2
//! batch_worth = "0.01"                  # native coin
//!
//! [chains.my-chain]                     # a chain of your own also needs:
//! id = 1234
//! title = "My Chain"
//! kind = "evm"                          # or "op-stack"
//! native = { symbol = "ETH", decimals = 18 }
//! ```

use core::time::Duration;

use capstan_kit::{Problems, Section};

use crate::registry::layer::{From, Layer, Role, TokenLayer, parse_address};
use crate::registry::{ChainKind, GWEI, NativeCoin, settlement};

/// The document's keys that belong to the registry.
pub const FILE_KEYS: [&str; 2] = ["chains", "default_chain"];

/// Writes the file over the layers; gives `default_chain` with its path.
pub(crate) fn apply(
    document: &toml::Table,
    layers: &mut Vec<Layer>,
    problems: &mut Problems,
) -> Option<From<u64>> {
    let root = Section::new("", document);
    for (name, section) in root.named("chains", problems) {
        let index = layers.iter().position(|layer| layer.name == name);
        let index = index.unwrap_or_else(|| {
            layers.push(Layer::unknown(name));
            layers.len().saturating_sub(1)
        });
        if let Some(layer) = layers.get_mut(index) {
            let before = problems.len();
            chain(layer, section, problems);
            layer.faulty |= problems.len() > before;
        }
    }
    let default = root.unsigned("default_chain", problems);
    default.map(|value| From { value, path: "default_chain".to_owned() })
}

fn chain(layer: &mut Layer, section: Section<'_>, problems: &mut Problems) {
    if let Some(value) = section.unsigned("id", problems) {
        let path = section.path_of("id");
        match &layer.id {
            Some(preset) if layer.is_preset && preset.value != value => {
                let hint = format!("leave it out, or choose another name than {:?}", layer.name);
                problems.add(path, format!("{} has id {}", layer.name, preset.value), hint);
            }
            _ => layer.id = Some(From { value, path }),
        }
    }
    if let Some(title) = section.text("title", problems) {
        layer.title = Some(title.to_owned());
    }
    if let Some(kind) = section.text("kind", problems) {
        match kind {
            "evm" => layer.kind = ChainKind::Evm,
            "op-stack" => layer.kind = ChainKind::OpStack,
            _ => problems.add(
                section.path_of("kind"),
                format!("unknown kind {kind:?}"),
                "\"evm\" or \"op-stack\"",
            ),
        }
    }
    if let Some(native) = section.section("native", problems) {
        let symbol = native.text("symbol", problems);
        let decimals = native.unsigned("decimals", problems).unwrap_or(18);
        match (symbol, u8::try_from(decimals)) {
            (Some(symbol), Ok(decimals)) if decimals <= 28 && !symbol.is_empty() => {
                layer.native = Some(NativeCoin { symbol: symbol.to_owned(), decimals });
            }
            _ => problems.add(
                section.path_of("native"),
                "needs a symbol, and decimals of at most 28",
                "native = { symbol = \"ETH\", decimals = 18 }",
            ),
        }
        native.finish(problems);
    }
    if let Some(urls) = section.texts("rpc_urls", problems) {
        let path = section.path_of("rpc_urls");
        rpc_urls(layer, &path, &urls, problems);
    }
    if let Some(milliseconds) = section.unsigned("block_time_ms", problems) {
        // Below 10 ms nobody polls; above ten minutes it is no chain.
        if (10..=600_000).contains(&milliseconds) {
            layer.block_time = Duration::from_millis(milliseconds);
        } else {
            problems.add(section.path_of("block_time_ms"), "is out of range", "10 to 600000");
        }
    }
    if let Some(finality) = section.parsed("finality", problems) {
        layer.finality = finality;
    }
    if let Some(text) = section.number_text("gas_multiplier", problems) {
        match text.parse() {
            Ok(multiplier) => layer.gas_multiplier = multiplier,
            Err(error) => {
                let error: crate::fees::GasMultiplierError = error;
                problems.add(section.path_of("gas_multiplier"), error.to_string(), "");
            }
        }
    }
    if let Some(gwei) = section.unsigned("max_fee_gwei", problems) {
        // Above a million gwei it is no limit.
        if (1..=1_000_000).contains(&gwei) {
            layer.max_fee = u128::from(gwei).saturating_mul(GWEI);
        } else {
            problems.add(section.path_of("max_fee_gwei"), "is out of range", "1 to 1000000");
        }
    }
    if let Some(contracts) = section.section("contracts", problems) {
        for role in Role::all() {
            if let Some(text) = contracts.text(role.key(), problems) {
                address(layer, role, contracts.path_of(role.key()), text, problems);
            }
        }
        layer.from_block = contracts.unsigned("from_block", problems).or(layer.from_block);
        contracts.finish(problems);
    }
    for (symbol, token) in section.named("tokens", problems) {
        let path = section.path_of(&format!("tokens.{symbol}"));
        let mut known = layer.tokens.remove(symbol).unwrap_or(TokenLayer {
            address: None,
            decimals: None,
            coin_price: None,
            path: path.clone(),
        });
        if let Some(text) = token.text("address", problems) {
            match parse_address(text) {
                Ok(value) => known.address = Some(From { value, path: token.path_of("address") }),
                Err(reason) => problems.add(token.path_of("address"), reason, ""),
            }
        }
        if let Some(decimals) = token.unsigned("decimals", problems) {
            match u8::try_from(decimals).ok().filter(|decimals| *decimals <= 28) {
                Some(decimals) => known.decimals = Some(decimals),
                None => problems.add(token.path_of("decimals"), "is above 28", ""),
            }
        }
        known.coin_price = settlement::wei(&token, "coin_price", problems).or(known.coin_price);
        token.finish(problems);
        layer.tokens.insert(symbol.to_owned(), TokenLayer { path, ..known });
    }
    if let Some(policy) = section.section("settlement", problems) {
        settlement::read(&mut layer.settlement, &policy, problems);
        policy.finish(problems);
    }
    section.finish(problems);
}

/// Sets the endpoints if every one of them is good.
pub(crate) fn rpc_urls(layer: &mut Layer, path: &str, urls: &[&str], problems: &mut Problems) {
    if urls.is_empty() {
        problems.add(path, "is empty", "give at least one http, https, ws or wss URL");
    }
    let mut parsed = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        match url.parse() {
            Ok(url) => parsed.push(url),
            Err(error) => {
                let error: crate::rpc::RpcUrlError = error;
                let at = if urls.len() == 1 { String::new() } else { format!("[{index}]") };
                problems.add(format!("{path}{at}"), error.to_string(), "https://<host>/<path>");
            }
        }
    }
    if !parsed.is_empty() && parsed.len() == urls.len() {
        layer.rpc_urls = parsed;
    }
}

/// Sets the address of a role, or says what is wrong with it.
pub(crate) fn address(
    layer: &mut Layer,
    role: Role,
    path: String,
    text: &str,
    problems: &mut Problems,
) {
    match parse_address(text) {
        Ok(value) => {
            layer.contracts.insert(role, From { value, path });
        }
        Err(reason) => {
            layer.faulty = true;
            problems.add(path, reason, "the address of the deployed contract");
        }
    }
}
