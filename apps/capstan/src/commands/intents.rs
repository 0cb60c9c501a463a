//! `capstan intents`: transactions that are wanted, under way or over.

use anyhow::Result;
use capstan_base::UnixSeconds;
use capstan_kit::{Clock as _, SystemClock};
use capstan_store::{Intent, IntentFilter, IntentState, newest_intents};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::look::{Look, LookArgs};
use crate::output::{Output, duration, table};
use crate::wish::UNFINISHED;

/// Options of `capstan intents`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan intents                                  # what is not over yet
  capstan intents --state all --limit 100 --json   # the newest hundred
  capstan intents --state failed --chain base
  capstan explain 17                               # the whole story of one

Works while `capstan host` runs: it only reads.")]
pub struct IntentsArgs {
    /// Which ones
    #[arg(long, value_enum, default_value_t = Which::Open)]
    state: Which,
    /// Chain name or id [default: all]
    #[arg(long)]
    chain: Option<String>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    look: LookArgs,
}

/// Which intents to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Queued, in flight or included: not over
    Open,
    /// Waiting for a nonce
    Queued,
    /// Signed and sent
    InFlight,
    /// In a block that is not final
    Included,
    /// In a final block
    Final,
    /// Given up
    Failed,
    /// Every one
    All,
}

impl Which {
    fn states(self) -> Vec<Option<IntentState>> {
        match self {
            Self::Open => UNFINISHED.map(Some).to_vec(),
            Self::Queued => vec![Some(IntentState::Queued)],
            Self::InFlight => vec![Some(IntentState::InFlight)],
            Self::Included => vec![Some(IntentState::Included)],
            Self::Final => vec![Some(IntentState::Final)],
            Self::Failed => vec![Some(IntentState::Failed)],
            Self::All => vec![None],
        }
    }
}

pub async fn run(args: IntentsArgs, global: &Global, output: &Output) -> Result<()> {
    let look = Look::load(global, &args.look).await?;
    let chain_id = match &args.chain {
        Some(name) => Some(look.settings.chain(Some(name))?.chain_id),
        None => None,
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut intents = Vec::new();
    if let Some(store) = look.session_store().await? {
        for state in args.state.states() {
            let filter = IntentFilter { chain_id, state, ..IntentFilter::default() };
            intents.extend(newest_intents(&*store, filter, limit).await?);
        }
    }
    intents.sort_by_key(|intent| intent.id);
    let shown = intents.split_off(intents.len().saturating_sub(limit));
    let now = SystemClock.now();
    let rows: Vec<_> = shown.iter().map(|intent| row(intent, &look, now)).collect();
    let values: Vec<_> = shown.iter().map(value).collect();
    let headings = ["ID", "CHAIN", "STATE", "AGE", "FOR", "TRANSACTION"];
    output.answer(table(&headings, &rows), &json!(values));
    Ok(())
}

fn row(intent: &Intent, look: &Look, now: UnixSeconds) -> Vec<String> {
    let chain_id = intent.request.chain_id;
    let chain = look.settings.registry.known(chain_id);
    vec![
        intent.id.to_string(),
        chain.map_or_else(|| chain_id.to_string(), |config| config.name.clone()),
        standing(intent).to_owned(),
        duration(now.since(intent.created_at)),
        intent.request.label.clone(),
        intent.inclusion.map_or_else(String::new, |mined| mined.tx_hash.to_string()),
    ]
}

/// Where it stands, in a word; a final one that reverted did nothing.
pub fn standing(intent: &Intent) -> &'static str {
    match (intent.state, intent.inclusion) {
        (IntentState::Final, Some(mined)) if !mined.success => "reverted",
        (state, _) => state.as_str(),
    }
}

/// An intent as data.
pub fn value(intent: &Intent) -> Value {
    let request = &intent.request;
    json!({
        "id": intent.id,
        "label": request.label,
        "idempotency_key": request.idempotency_key,
        "chain_id": request.chain_id,
        "sender": request.sender,
        "to": request.to,
        "value": request.value.to_string(),
        "state": intent.state.as_str(),
        "nonce": intent.place.map(|place| place.nonce),
        "shares_with": intent.place.map(|place| place.items.saturating_sub(1)),
        "max_cost": request.max_cost.map(|wei| wei.to_string()),
        "worth": request.worth.map(|wei| wei.to_string()),
        "repeat_safe": request.repeat_safe,
        "own_code": request.own_code,
        "not_before": request.not_before,
        "deadline": request.deadline,
        "created_at": intent.created_at,
        "updated_at": intent.updated_at,
        "inclusion": intent.inclusion.map(|mined| json!({
            "tx": mined.tx_hash,
            "block": mined.block_number,
            "block_hash": mined.block_hash,
            "gas_used": mined.gas_used,
            "effective_gas_price": mined.effective_gas_price.to_string(),
            "rollup_fee": mined.rollup_fee.to_string(),
            "success": mined.success,
        })),
        "failure": intent.failure.as_ref().map(|failure| json!({
            "code": failure.code.as_str(),
            "detail": failure.detail,
        })),
    })
}
