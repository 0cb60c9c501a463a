//! `capstan hosts`: who serves a model, for how much, and how well so far.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use capstan_base::ModelId;
use capstan_chain::ChainClient;
use capstan_model::Model;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::token;
use crate::output::{Output, table};
use crate::rental::hosts::{endpoint_of, ranked};
use crate::settings::Settings;

/// Options of `capstan hosts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan hosts --model models/capstan-tiny.gguf
  capstan hosts --model models/capstan-tiny.gguf --token USDC --chain base-sepolia --json

The order is the one in which `capstan rent` without --host tries them: by price, with the record counted in. A
host's record is what its work brought the protocol in fees against what its failed jobs would have brought,
both halved every thirty days; a host without one counts as if half its work failed, and a record counts the
more the more fees it shows.")]
pub struct HostsArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    chain: Option<String>,
    /// The model's GGUF file, whose hash is its id
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Payment token by symbol [default: the chain's coin]
    #[arg(long)]
    token: Option<String>,
}

pub async fn run(args: HostsArgs, global: &Global, output: &Output) -> Result<()> {
    let settings = Settings::load(global.config.as_deref())?;
    let chain = ChainClient::connect(settings.chain(args.chain.as_deref())?.clone());
    let file = args.model.display();
    let model = Model::load(&args.model).with_context(|| format!("model {file}"))?;
    let (address, symbol, decimals) = token(chain.config(), args.token.as_deref())?;
    let candidates = ranked(&chain, ModelId(model.id().into()), address).await?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for candidate in &candidates {
        let endpoint = endpoint_of(&chain, candidate.host).await?;
        let quality = candidate.quality_bps();
        let percent = |bps: u16| format!("{}.{:02} %", bps / 100, bps % 100);
        rows.push(vec![
            candidate.host.to_string(),
            candidate.price.input.to_decimal(decimals),
            candidate.price.output.to_decimal(decimals),
            quality.map_or_else(|| "new".to_owned(), percent),
            endpoint.clone().unwrap_or_default(),
        ]);
        values.push(json!({
            "host": candidate.host,
            "input": candidate.price.input,
            "output": candidate.price.output,
            "merit": candidate.score.merit.to_string(),
            "fault": candidate.score.fault.to_string(),
            "quality_bps": quality,
            "endpoint": endpoint,
        }));
    }
    let input = format!("{symbol}/M IN");
    let headings = ["HOST", input.as_str(), "OUT", "QUALITY", "ENDPOINT"];
    output.answer(table(&headings, &rows), &json!(values));
    Ok(())
}
