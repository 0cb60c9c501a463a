//! Offers as an operator writes them, and those that are known of an account.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use capstan_base::{Address, Amount, ModelId, Price};
use capstan_chain::{ChainClient, ChainConfig, NewOffer, calls};
use capstan_model::file_id;
use capstan_store::{IntentFilter, SessionStore, all_intents};

use crate::context::{amount, model_name, token};
use crate::settings::Settings;

/// Reads `MODEL:TOKEN:INPUT:OUTPUT` lines. On many chains each takes those in its own tokens.
pub fn offers(config: &ChainConfig, texts: &[String], many: bool) -> Result<Vec<NewOffer>> {
    let mut offers = Vec::new();
    for text in texts {
        let parts: Vec<_> = text.rsplitn(4, ':').collect();
        let [output, input, symbol, model] = parts.as_slice() else {
            bail!("offer {text:?} is not MODEL:TOKEN:INPUT:OUTPUT");
        };
        if many && token(config, Some(symbol)).is_err() {
            continue;
        }
        let (address, _, decimals) = token(config, Some(symbol))?;
        let model = model_id(model).with_context(|| format!("offer {text:?}"))?;
        let price = Price { input: amount(input, decimals)?, output: amount(output, decimals)? };
        if price.input == Amount::ZERO && price.output == Amount::ZERO {
            bail!("offer {text:?} asks nothing; a price must be above zero on one side");
        }
        offers.push(NewOffer { model, token: address, price });
    }
    if offers.is_empty() && !texts.is_empty() {
        bail!("no offer is in a token of {}; its coin is {:?}", config.title, config.native.symbol);
    }
    Ok(offers)
}

/// Reads `MODEL:TOKEN` lines, as [`offers`] does.
pub fn removals(
    config: &ChainConfig,
    texts: &[String],
    many: bool,
) -> Result<Vec<(ModelId, Address)>> {
    let mut removals = Vec::new();
    for text in texts {
        let (model, symbol) =
            text.rsplit_once(':').with_context(|| format!("{text:?} is not MODEL:TOKEN"))?;
        match token(config, Some(symbol)) {
            Ok((address, ..)) => removals.push((model_id(model)?, address)),
            Err(_) if many => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removals)
}

fn model_id(text: &str) -> Result<ModelId> {
    match text.parse::<ModelId>() {
        Ok(id) => Ok(id),
        Err(_) => Ok(ModelId(file_id(text).with_context(|| format!("model {text:?}"))?.into())),
    }
}

/// One offer that the registry holds.
pub struct Listed {
    /// Model.
    pub model: ModelId,
    /// Name it is served under, as far as the configuration says.
    pub name: Option<String>,
    /// Payment token.
    pub token: Address,
    /// Price per million tokens.
    pub price: Price,
    /// True if a session may be opened for it now.
    pub serving: bool,
}

/// What a host offers on a chain: of the models that are configured, were offered from here, or were
/// offered where the host last announced itself, since the registry keeps no list.
pub async fn listed(
    chain: &ChainClient,
    host: Address,
    settings: &Settings,
    store: Option<&dyn SessionStore>,
) -> Result<Vec<Listed>> {
    let mut models: BTreeMap<ModelId, Option<String>> = BTreeMap::new();
    for model in &settings.models {
        // A file that is gone is told by those who serve it.
        if let Ok(id) = file_id(&model.file) {
            let name = model.name.clone().unwrap_or_else(|| model_name(&model.file));
            models.insert(ModelId(id.into()), Some(name));
        }
    }
    let config = chain.config();
    let mut tokens: BTreeSet<_> = config.tokens.values().map(|token| token.address).collect();
    tokens.insert(Address::ZERO);
    let mut made = Vec::new();
    if let Some(node) = chain.node(host).await? {
        made.extend(chain.offers_set_in(host, node.info_block).await?);
    }
    if let Some(store) = store {
        let chain_id = Some(config.chain_id);
        let filter = IntentFilter { chain_id, ..IntentFilter::default() };
        for intent in all_intents(store, filter).await? {
            made.extend(calls::offered_in(&intent.request.data));
        }
    }
    for (model, token) in made {
        models.entry(model).or_default();
        tokens.insert(token);
    }
    let mut listed = Vec::new();
    for (model, name) in models {
        for token in &tokens {
            if let Some(price) = chain.price_of(host, model, *token).await? {
                let serving = chain.is_serving(host, model, *token).await?;
                listed.push(Listed { model, name: name.clone(), token: *token, price, serving });
            }
        }
    }
    Ok(listed)
}
