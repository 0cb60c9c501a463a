//! `capstan register`: stake FAB, set prices, announce the endpoint, on one chain or on all.

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::Global;
use crate::context::{Context, amount};
use crate::output::Output;
use crate::registration::{
    ChainArgs, FAB_DECIMALS, Wanted, apply, each_chain, joining, offers, read,
};
use crate::settings::UsageError;

/// Options of `capstan register`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan register --chain base-sepolia --endpoint https://host.example \\
      --offer models/tiny.gguf:ETH:0.02:0.06
  capstan register --all-chains --endpoint https://host.example \\
      --offer models/tiny.gguf:ETH:0.02:0.06 --offer models/tiny.gguf:BNB:0.08:0.24

Run twice, the second time says that there is nothing to do; cut short, it goes on where it was.
Exit code 3: some chains are done and some failed.")]
pub struct RegisterArgs {
    #[command(flatten)]
    chains: ChainArgs,
    /// FAB to stake, at least 1000
    #[arg(long, default_value = "1000")]
    stake: String,
    /// Public base URL of this host, such as https://host.example
    #[arg(long)]
    endpoint: String,
    /// Where it stands, in words
    #[arg(long)]
    region: Option<String>,
    /// MODEL:TOKEN:INPUT:OUTPUT, prices per million tokens in whole token units; MODEL is a GGUF
    /// file or a model id, TOKEN a symbol or `native`. May be given more than once; with
    /// --all-chains each chain takes those in its own tokens.
    #[arg(long = "offer", required = true, value_name = "OFFER")]
    offers: Vec<String>,
}

pub async fn run(args: RegisterArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chains = args.chains.clients(&context.settings)?;
    let many = args.chains.all_chains;
    let stake = amount(&args.stake, FAB_DECIMALS)?;
    for chain in &chains {
        // Before anything is sent anywhere.
        offers(chain.config(), &args.offers, many)
            .map_err(|error| UsageError(format!("{error:#}")))?;
    }
    each_chain(&context, "register", chains, output, async |on, chain| {
        let wanted = Wanted {
            stake: Some(stake),
            endpoint: Some(args.endpoint.clone()),
            region: args.region.clone(),
            offers: offers(chain.config(), &args.offers, many)?,
            remove: Vec::new(),
        };
        let found = read(chain, on.account, &wanted).await?;
        let steps = joining(&wanted, found.as_ref());
        let Some(found) = found else {
            return apply(&on.sender, chain, on.account, &wanted, steps).await;
        };
        if let Some(at) = found.node.unbonds_at {
            bail!(
                "registered and unbonding until {at} (Unix seconds); `capstan registration \
                 unregister --cancel` serves again"
            );
        }
        if !steps.is_empty() {
            let differs: Vec<_> = steps.iter().map(|step| step.word()).collect();
            bail!(
                "registered already, with other figures ({}); `capstan registration update` with \
                 the same options changes them",
                differs.join(", ")
            );
        }
        Ok(Vec::new())
    })
    .await
}
