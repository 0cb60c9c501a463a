//! `capstan sessions`: what was opened from here, compared with the chains.

use anyhow::Result;
use capstan_base::Amount;
use capstan_renter::close::{CloseStep, look as compare};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::{clients, own_database_only};
use crate::look::{Look, LookArgs};
use crate::output::{Output, table};
use crate::rental::symbol_of;
use crate::settings::UsageError;

/// Options of `capstan sessions`.
#[derive(Debug, Args)]
pub struct SessionsArgs {
    /// Show closed sessions too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    look: LookArgs,
}

pub async fn run(args: SessionsArgs, global: &Global, output: &Output) -> Result<()> {
    let look = Look::load(global, &args.look).await?;
    if look.settings.store.is_some() {
        return Err(UsageError(own_database_only("sessions")).into());
    }
    let store = look.store()?;
    let chains = clients(&look.settings);
    let rentals = match &store {
        Some(store) => store.rentals(None).await?,
        None => Vec::new(),
    };
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for rental in rentals {
        let Some(chain) = chains.get(&rental.key.chain_id) else {
            rows.push(vec![
                rental.key.session_id.to_string(),
                rental.key.chain_id.to_string(),
                "chain not configured".to_owned(),
            ]);
            continue;
        };
        let Some(store) = &store else { break };
        let (state, closing) = match compare(chain, store, &rental).await {
            Ok(CloseStep::Closed(closing)) => ("closed".to_owned(), Some(closing)),
            Ok(CloseStep::Closing(state)) => {
                (format!("closing, final after {}", state.challenge_end), None)
            }
            Ok(CloseStep::Active(_)) => ("active".to_owned(), None),
            Ok(CloseStep::Opening) => ("opening".to_owned(), None),
            Ok(CloseStep::NeverOpened) => ("not open".to_owned(), None),
            Err(error) => (format!("unknown: {error}"), None),
        };
        if closing.is_some() && !args.all {
            continue;
        }
        let (symbol, decimals) = symbol_of(chain, rental.terms.token);
        let signed = rental.voucher.as_ref().map_or(Amount::ZERO, |newest| newest.voucher.amount);
        let human = |amount: Amount| format!("{} {symbol}", amount.to_decimal(decimals));
        rows.push(vec![
            rental.key.session_id.to_string(),
            chain.config().name.clone(),
            state.clone(),
            human(rental.terms.deposit),
            human(signed),
            closing.map_or_else(String::new, |closing| human(closing.paid)),
            closing.map_or_else(String::new, |closing| human(closing.refund)),
        ]);
        values.push(json!({
            "session_id": rental.key.session_id,
            "chain_id": rental.key.chain_id,
            "host": rental.terms.host,
            "state": state,
            "tokens": rental.tally.frontier.size,
            "deposit": rental.terms.deposit,
            "signed": signed,
            "expiry": rental.terms.expiry,
            "host_paid": closing.map(|closing| closing.paid),
            "fee": closing.map(|closing| closing.fee),
            "refunded": closing.map(|closing| closing.refund),
            "close_tx": closing.map(|closing| closing.close_tx),
        }));
    }
    let headings = ["SESSION", "CHAIN", "STATE", "DEPOSIT", "SIGNED", "PAID", "REFUNDED"];
    output.answer(table(&headings, &rows), &json!(values));
    Ok(())
}
