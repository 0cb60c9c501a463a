//! One chain after another: each for itself, all of them told.

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use capstan_base::Address;
use capstan_chain::ChainClient;
use clap::Args;
use serde_json::json;

use super::Done;
use crate::context::{Context, Sender, verify};
use crate::output::Output;
use crate::settings::{PartialError, Settings, UsageError};

/// Longest wait for one chain: what is not final by then is stored and goes on at the next run.
const WITHIN: Duration = Duration::from_secs(600);

/// Which chains.
#[derive(Clone, Debug, Args)]
pub struct ChainArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    pub chain: Option<String>,
    /// Every enabled chain in turn; one that fails does not stop the others
    #[arg(long, conflicts_with = "chain")]
    pub all_chains: bool,
}

impl ChainArgs {
    /// Clients of the chains meant.
    pub fn clients(&self, settings: &Settings) -> Result<Vec<Arc<ChainClient>>> {
        if !self.all_chains {
            let config = settings.chain(self.chain.as_deref())?;
            return Ok(vec![Arc::new(ChainClient::connect(config.clone()))]);
        }
        let all: Vec<_> = crate::context::clients(settings).into_values().collect();
        if all.is_empty() {
            let text =
                "no chain is enabled: set its contracts in capstan.toml, see `capstan chains`";
            return Err(UsageError(text.into()).into());
        }
        Ok(all)
    }
}

/// What `work` is given for each chain.
pub struct On {
    /// Where calls go.
    pub sender: Sender,
    /// The account.
    pub account: Address,
}

/// Does `work` on each chain and tells how it went. First, whatever an earlier command left
/// unfinished there is waited for.
pub async fn each_chain(
    context: &Context,
    purpose: &'static str,
    chains: Vec<Arc<ChainClient>>,
    output: &Output,
    work: impl AsyncFn(&On, &Arc<ChainClient>) -> Result<Done>,
) -> Result<()> {
    let on = On { sender: context.sender(purpose, &chains).await?, account: context.account() };
    let (all, mut failed) = (chains.len(), Vec::new());
    for chain in &chains {
        let one = async {
            verify(chain).await?;
            output.progress(format!("{}…", chain.config().title));
            let mut done = on.sender.finish(chain).await?;
            done.extend(work(&on, chain).await?);
            Ok(done)
        };
        let outcome = tokio::time::timeout(WITHIN, one).await.unwrap_or_else(|_| {
            Err(anyhow!("not final after {} s; it is stored, run this again", WITHIN.as_secs()))
        });
        tell(chain, on.account, &outcome, output);
        failed.extend(outcome.err());
    }
    match failed.len() {
        0 => Ok(()),
        _ if all == 1 => failed.pop().map_or(Ok(()), Err),
        some if some == all => Err(anyhow!("none of {all} chains was done")),
        some => Err(PartialError(format!("{some} of {all} chains failed; run this again")).into()),
    }
}

fn tell(chain: &ChainClient, host: Address, outcome: &Result<Done>, output: &Output) {
    let config = chain.config();
    let (text, status, error) = match outcome {
        Ok(done) if done.is_empty() => ("nothing to do".to_owned(), "unchanged", None),
        Ok(done) => {
            let steps: Vec<_> = done.iter().map(|(what, tx)| format!("{what} in {tx}")).collect();
            (steps.join(", "), "done", None)
        }
        Err(error) => (format!("failed: {error:#}"), "failed", Some(format!("{error:#}"))),
    };
    let done = outcome.as_deref().unwrap_or_default();
    let mut value = json!({
        "chain_id": config.chain_id,
        "chain": config.name,
        "host": host,
        "status": status,
        "steps": done.iter().map(|(what, tx)| json!({ "what": what, "tx": tx })).collect::<Vec<_>>(),
        "tx": done.last().map(|(_, tx)| tx),
    });
    if let (Some(error), Some(fields)) = (error, value.as_object_mut()) {
        fields.insert("failed".to_owned(), json!(error));
    }
    output.answer(format!("{}: {text}", config.title), &value);
}
