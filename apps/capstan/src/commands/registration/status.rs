//! `capstan registration status`: what each chain says of this host.

use anyhow::{Result, bail};
use capstan_base::Address;
use capstan_chain::ChainClient;
use capstan_store::SessionStore;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::look::{Look, LookArgs};
use crate::output::Output;
use crate::registration::{ChainArgs, FAB_DECIMALS, Listed, listed};
use crate::settings::{PartialError, Settings};

/// Options of `capstan registration status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Chain name or id [default: every enabled chain]
    #[arg(long)]
    chain: Option<String>,
    #[command(flatten)]
    look: LookArgs,
}

/// What one chain says.
struct Standing {
    lines: Vec<String>,
    value: Value,
}

pub async fn run(args: StatusArgs, global: &Global, output: &Output) -> Result<()> {
    let look = Look::load(global, &args.look).await?;
    let all_chains = args.chain.is_none();
    let chains = ChainArgs { chain: args.chain, all_chains }.clients(&look.settings)?;
    let store = look.session_store().await?;
    let (mut lines, mut values, mut unreadable) = (Vec::new(), Vec::new(), 0_usize);
    for chain in &chains {
        let config = chain.config();
        let title = format!("{} ({})", config.title, config.chain_id);
        match standing(chain, look.account, &look.settings, store.as_deref()).await {
            Ok(standing) => {
                lines.push(title);
                lines.extend(standing.lines.iter().map(|line| format!("  {line}")));
                values.push(standing.value);
            }
            Err(error) => {
                unreadable += 1;
                lines.push(format!("{title}\n  unknown: {error:#}"));
                values.push(json!({
                    "chain_id": config.chain_id, "chain": config.name, "host": look.account,
                    "registered": null, "eligible": null, "failed": format!("{error:#}"),
                }));
            }
        }
    }
    output.answer(lines.join("\n"), &json!(values));
    end(unreadable, chains.len())
}

/// How it went, as an exit code tells it: what was read of no chain is nothing done.
fn end(unreadable: usize, all: usize) -> Result<()> {
    match unreadable {
        0 => Ok(()),
        none if none == all => bail!("no chain can be read"),
        some => Err(PartialError(format!("{some} of {all} chains cannot be read")).into()),
    }
}

async fn standing(
    chain: &ChainClient,
    host: Address,
    settings: &Settings,
    store: Option<&dyn SessionStore>,
) -> Result<Standing> {
    let config = chain.config();
    let Some(node) = chain.node(host).await? else {
        return Ok(Standing {
            lines: vec![format!("{host} is not registered; see `capstan register --help`")],
            value: json!({
                "chain_id": config.chain_id, "chain": config.name, "host": host,
                "registered": false, "eligible": false, "why_not": ["not registered"],
            }),
        });
    };
    let info = chain.node_info(host).await?;
    let least = chain.min_stake().await?;
    let offers = listed(chain, host, settings, store).await?;
    let mut why_not = Vec::new();
    if let Some(at) = node.unbonds_at {
        why_not.push(format!("unbonding: the stake is free at {at} (Unix seconds)"));
    }
    if node.stake < least {
        let least = least.to_decimal(FAB_DECIMALS);
        why_not.push(format!(
            "the stake is below {least} FAB: `capstan registration update --stake {least}`"
        ));
    }
    let stake = node.stake.to_decimal(FAB_DECIMALS);
    let (endpoint, region) = info.map(|info| (info.endpoint, info.region)).unzip();
    let mut lines = vec![
        format!("{host} has {stake} FAB at stake"),
        format!("endpoint {}", endpoint.as_deref().unwrap_or("unknown")),
    ];
    lines
        .extend(region.iter().filter(|text| !text.is_empty()).map(|text| format!("region {text}")));
    lines.extend(offers.iter().map(|offer| offer_line(chain, offer)));
    // The registry keeps no list: that none is known here is no proof that there is none.
    let unknown = why_not.is_empty() && offers.is_empty();
    lines.push(match why_not.as_slice() {
        [] if unknown => {
            "no offer is known here; `capstan registration update --offer …` makes one, \
                          or name the model in [host.models]"
                .to_owned()
        }
        [] => "renters can open sessions".to_owned(),
        reasons => format!("renters cannot open sessions: {}", reasons.join("; ")),
    });
    let value = json!({
        "chain_id": config.chain_id,
        "chain": config.name,
        "host": host,
        "registered": true,
        "stake": node.stake,
        "min_stake": least,
        "unbonds_at": node.unbonds_at,
        "endpoint": endpoint,
        "region": region,
        "offers": offers.iter().map(|offer| offer_value(chain, offer)).collect::<Vec<_>>(),
        "eligible": (!unknown).then_some(why_not.is_empty()),
        "why_not": why_not,
    });
    Ok(Standing { lines, value })
}

fn offer_line(chain: &ChainClient, offer: &Listed) -> String {
    let (symbol, decimals) = chain.config().token_info(offer.token).unwrap_or(("base units", 0));
    let name = offer.name.clone().unwrap_or_else(|| offer.model.to_string());
    format!(
        "offers {name} for {} {symbol} in, {} {symbol} out, per million tokens",
        offer.price.input.to_decimal(decimals),
        offer.price.output.to_decimal(decimals)
    )
}

fn offer_value(chain: &ChainClient, offer: &Listed) -> Value {
    json!({
        "model": offer.model,
        "name": offer.name,
        "token": offer.token,
        "symbol": chain.config().token_info(offer.token).map(|(symbol, _)| symbol),
        "input_per_million": offer.price.input,
        "output_per_million": offer.price.output,
        "serving": offer.serving,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chain_read_is_a_failure_and_some_is_a_part() {
        assert!(end(0, 1).is_ok());
        assert!(!end(1, 1).unwrap_err().is::<PartialError>());
        assert!(end(1, 2).unwrap_err().is::<PartialError>());
    }
}
