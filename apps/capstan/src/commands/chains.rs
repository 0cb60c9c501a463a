//! `capstan chains`: what is known, what is enabled, and whether it is what it should be.

use anyhow::{Result, bail};
use capstan_chain::ChainClient;
use capstan_kit::causes;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::output::{Output, table};
use crate::settings::Settings;

/// Options of `capstan chains`.
#[derive(Debug, Args)]
pub struct ChainsArgs {
    /// Ask every enabled chain for its id and its contracts; exit 1 if one is not as configured
    #[arg(long)]
    check: bool,
}

pub async fn run(args: ChainsArgs, global: &Global, output: &Output) -> Result<()> {
    let settings = Settings::load(global.config.as_deref())?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    let mut wrong = 0_usize;
    for config in settings.registry.all() {
        let enabled = config.contracts.is_some();
        let mut state = if enabled { "enabled".to_owned() } else { "no contracts".to_owned() };
        if args.check && enabled {
            state = match ChainClient::connect(config.clone()).verify().await {
                Ok(()) => "ok".to_owned(),
                Err(findings) => {
                    wrong += 1;
                    let findings: Vec<_> = findings.iter().map(|finding| causes(finding)).collect();
                    findings.join("; ")
                }
            };
        }
        values.push(json!({
            "chain_id": config.chain_id,
            "name": config.name,
            "title": config.title,
            "native": config.native.symbol,
            "enabled": enabled,
            "state": state,
        }));
        rows.push(vec![
            config.chain_id.to_string(),
            config.name.clone(),
            config.title.clone(),
            config.native.symbol.clone(),
            state,
        ]);
    }
    output.answer(table(&["ID", "NAME", "TITLE", "COIN", "STATE"], &rows), &json!(values));
    if wrong > 0 {
        bail!("{wrong} enabled chains are not as configured");
    }
    Ok(())
}
