//! `capstan explain`: the whole story of one intent, from the wish to its end.

use anyhow::{Context as _, Result};
use capstan_base::UnixSeconds;
use capstan_chain::bindings::decode_revert;
use capstan_chain::types::Bytes;
use capstan_store::{
    Attempt, HistoryRow, Intent, IntentFilter, IntentId, IntentState, SessionStore,
};
use clap::Args;
use serde_json::{Value, json};

use super::intents::{standing, value};
use crate::cli::Global;
use crate::look::{Look, LookArgs};
use crate::output::Output;

/// Options of `capstan explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan intents            # their numbers
  capstan explain 17
  capstan explain 17 --json

Works while `capstan host` runs: it only reads.")]
pub struct ExplainArgs {
    /// The intent's number, as `capstan intents` lists it
    intent: u64,
    #[command(flatten)]
    look: LookArgs,
}

pub async fn run(args: ExplainArgs, global: &Global, output: &Output) -> Result<()> {
    let look = Look::load(global, &args.look).await?;
    let store = look.stored().await?;
    let intent = store.intent(IntentId(args.intent)).await?;
    let intent = intent
        .with_context(|| format!("there is no intent {}; see `capstan intents`", args.intent))?;
    let story = Story::read(&*store, intent).await?;
    output.answer(story.text(&look), &story.value());
    Ok(())
}

struct Story {
    intent: Intent,
    attempts: Vec<Attempt>,
    history: Vec<HistoryRow>,
    /// Intents of the same transaction.
    neighbours: Vec<IntentId>,
}

impl Story {
    async fn read(store: &dyn SessionStore, intent: Intent) -> Result<Self> {
        let attempts = store.attempts(intent.id).await?;
        let history = store.history(intent.id).await?;
        let neighbours = neighbours(store, &intent).await?;
        Ok(Self { intent, attempts, history, neighbours })
    }

    fn text(&self, look: &Look) -> String {
        let Intent { id, request, .. } = &self.intent;
        let chain = look.settings.registry.known(request.chain_id);
        let title = chain.map_or_else(|| request.chain_id.to_string(), |chain| chain.title.clone());
        let mut lines = vec![
            format!("intent {id}: {} on {title} is {}", request.label, standing(&self.intent)),
            format!("  asked    {} by {}", self.intent.created_at, request.sender),
            format!(
                "  call     {} with {} bytes and {} wei",
                request.to,
                request.data.len(),
                request.value
            ),
            format!("  key      {}", request.idempotency_key),
        ];
        lines.push(self.terms());
        let limits = [("not before", request.not_before), ("deadline", request.deadline)];
        lines.extend(limits.into_iter().filter_map(|(what, at)| Some(format!("  {what} {}", at?))));
        if !self.neighbours.is_empty() {
            lines.push(format!("  with     {} in one transaction", list(&self.neighbours)));
        }
        // Attempts and notes in the order they happened.
        let attempts =
            self.attempts.iter().map(|attempt| (attempt.signed.signed_at, told(attempt)));
        let notes = self
            .history
            .iter()
            .map(|row| (row.at, format!("{}: {}", row.what, words(&row.detail))));
        let mut events: Vec<(UnixSeconds, String)> = attempts.chain(notes).collect();
        events.sort_by_key(|(at, _)| *at);
        lines.extend(events.into_iter().map(|(at, event)| format!("  {at}  {event}")));
        lines.push(self.end());
        lines.join("\n")
    }

    /// What it may cost, what it is worth, and whether it may be tried at two nonces.
    fn terms(&self) -> String {
        let request = &self.intent.request;
        let cost = request
            .max_cost
            .map_or_else(|| "any cost".to_owned(), |wei| format!("a cost of at most {wei} wei"));
        let worth = request
            .worth
            .map_or_else(|| "worth unknown".to_owned(), |wei| format!("worth {wei} wei"));
        let repeat = if request.repeat_safe {
            "the chain refuses it a second time"
        } else {
            "the chain would do it twice, so a lost nonce is final before another is used"
        };
        let spent = match self.intent.spent.is_zero() {
            true => String::new(),
            false => format!("; {} wei spent on tries that did not do it", self.intent.spent),
        };
        let code = match request.own_code {
            None => String::new(),
            Some(code) if code.is_zero() => "; ends the account's own code".to_owned(),
            Some(code) => format!("; the account runs the code at {code} from then on"),
        };
        format!("  terms    {cost}; {worth}; {repeat}{code}{spent}")
    }

    fn end(&self) -> String {
        let at = self.intent.updated_at;
        if let Some(failure) = &self.intent.failure {
            return format!("  {at}  given up ({}): {}", failure.code, words(&failure.detail));
        }
        let Some(mined) = self.intent.inclusion else {
            let next = match self.intent.state {
                IntentState::Queued => "waits for a nonce: the engine runs within `capstan host`",
                _ => "waits for a block",
            };
            return format!("  now         {next}");
        };
        let how = if mined.success { "included" } else { "reverted" };
        let others = self.intent.place.map_or(0, |place| place.items.saturating_sub(1));
        let shared = match others {
            0 => String::new(),
            others => format!(", shared with {others} others"),
        };
        let rollup = match mined.rollup_fee == 0 {
            true => String::new(),
            false => format!(" and a rollup fee of {} wei", mined.rollup_fee),
        };
        let finality = match self.intent.state {
            IntentState::Final => "final",
            _ => "not final yet",
        };
        format!(
            "  {at}  {how} by {} in block {} ({finality}), {} gas at {} wei{rollup}{shared}",
            mined.tx_hash, mined.block_number, mined.gas_used, mined.effective_gas_price
        )
    }

    fn value(&self) -> Value {
        let mut value = value(&self.intent);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("data".into(), json!(self.intent.request.data));
            fields.insert("neighbours".into(), json!(self.neighbours));
            if let Some(failure) = &self.intent.failure {
                fields["failure"]["reason"] = json!(words(&failure.detail));
            }
            fields.insert("attempts".into(), self.attempts.iter().map(attempt_value).collect());
            let notes = self.history.iter();
            let notes = notes
                .map(|row| {
                    let (at, what, detail) = (row.at, &row.what, &row.detail);
                    json!({ "at": at, "what": what, "detail": detail, "reason": words(detail) })
                })
                .collect();
            fields.insert("history".into(), notes);
        }
        value
    }
}

/// The other intents of its transaction. The store finds intents by account and not by transaction,
/// so all of the account's are looked through.
async fn neighbours(store: &dyn SessionStore, intent: &Intent) -> Result<Vec<IntentId>> {
    let Some(place) = intent.place.filter(|place| place.items > 1) else { return Ok(Vec::new()) };
    let (chain_id, sender) = (Some(intent.request.chain_id), Some(intent.request.sender));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = IntentFilter { chain_id, sender, after, ..IntentFilter::default() };
        let page = store.intents(page).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        let same = page.iter().filter(|other| {
            other.id != intent.id && other.place.is_some_and(|other| other.flight == place.flight)
        });
        found.extend(same.map(|other| other.id));
    }
}

/// Revert data in the contract's own words; every other detail as it is.
fn words(detail: &str) -> String {
    let data = detail.starts_with("0x").then(|| detail.parse::<Bytes>().ok()).flatten();
    data.map_or_else(|| detail.to_owned(), |data| decode_revert(&data))
}

fn list(ids: &[IntentId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn told(attempt: &Attempt) -> String {
    let signed = &attempt.signed;
    let detail = attempt.broadcast_detail.as_ref().map(|detail| format!(": {detail}"));
    let tip = signed.priority_fee.map_or_else(String::new, |tip| format!(", tip {tip}"));
    let voids = if signed.voids { " (empty, to use the nonce up)" } else { "" };
    format!(
        "attempt {} at nonce {}{voids}: {}, {} gas at most {} wei{tip}; broadcast {}{}",
        attempt.number,
        attempt.nonce,
        signed.tx_hash,
        signed.gas_limit,
        signed.max_fee,
        attempt.broadcast.as_str(),
        detail.unwrap_or_default()
    )
}

fn attempt_value(attempt: &Attempt) -> Value {
    let signed = &attempt.signed;
    json!({
        "number": attempt.number,
        "nonce": attempt.nonce,
        "voids": signed.voids,
        "tx": signed.tx_hash,
        "gas_limit": signed.gas_limit,
        "max_fee": signed.max_fee.to_string(),
        "priority_fee": signed.priority_fee.map(|fee| fee.to_string()),
        "rollup_fee": signed.rollup_fee.to_string(),
        "signed_at": signed.signed_at,
        "broadcast": attempt.broadcast.as_str(),
        "broadcast_detail": attempt.broadcast_detail,
    })
}
