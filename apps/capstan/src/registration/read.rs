//! What the registry says of a host, as far as a wish asks.

use anyhow::{Context as _, Result};
use capstan_base::Address;
use capstan_chain::ChainClient;

use super::{Found, Wanted};

/// Reads it; `None` if the host is not registered.
pub async fn read(chain: &ChainClient, host: Address, wanted: &Wanted) -> Result<Option<Found>> {
    let Some(node) = chain.node(host).await? else { return Ok(None) };
    let info = chain.node_info(host).await?.context("it was registered a moment ago")?;
    let mut found = Found { node, info, prices: Vec::new(), offered: Vec::new() };
    for offer in &wanted.offers {
        found.prices.push(chain.price_of(host, offer.model, offer.token).await?);
    }
    for (model, token) in &wanted.remove {
        found.offered.push(chain.price_of(host, *model, *token).await?.is_some());
    }
    Ok(Some(found))
}
