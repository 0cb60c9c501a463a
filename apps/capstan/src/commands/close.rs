//! `capstan close`: get the deposit back without the host.
//!
//! The first call asks the chain to close and acknowledges what was signed; the host has the
//! challenge window to show a higher voucher. A call after that finalises. Both may be repeated.

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Result, bail};
use capstan_base::SessionId;
use capstan_renter::close::{CloseStep, Closer};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::Context;
use crate::output::Output;
use crate::rental::{find_rental, symbol_of};

/// How long to wait for this command's own transaction.
const WITHIN: Duration = Duration::from_secs(120);

/// Pause between looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Options of `capstan close`.
#[derive(Debug, Args)]
pub struct CloseArgs {
    /// Session to close
    session: SessionId,
}

pub async fn run(args: CloseArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let store = context.open_store("close")?;
    let rental = find_rental(&store, args.session).await?;
    let chain = context.chain(Some(&rental.key.chain_id.to_string())).await?;
    let engine = context.engine(&store, std::slice::from_ref(&chain))?;
    let closer = Closer { chain: Arc::clone(&chain), store: store.clone(), engine };
    let (symbol, decimals) = symbol_of(&chain, rental.terms.token);
    let first = closer.look(&rental).await?;
    match &first {
        CloseStep::NeverOpened => bail!("this session was never opened; nothing was paid in"),
        CloseStep::Opening => bail!(
            "the chain shows no such session yet, but its opening is on its way; run this again \
             once it is mined"
        ),
        CloseStep::Active(_) => {
            output.progress("asking the chain to close…");
            closer.request(&rental).await?;
        }
        CloseStep::Closing(state) if state.challenge_end <= chain.head_time().await? => {
            output.progress("the challenge window is over; finalising…");
            closer.finalize(&rental).await?;
        }
        CloseStep::Closing(_) | CloseStep::Closed(_) => {}
    }
    let awaited = tokio::time::timeout(WITHIN, async {
        loop {
            let rental = find_rental(&store, args.session).await?;
            let step = closer.look(&rental).await?;
            let moved = core::mem::discriminant(&step) != core::mem::discriminant(&first);
            let waits = matches!(&step, CloseStep::Closing(state)
                if matches!(&first, CloseStep::Closing(_)) && state.challenge_end > chain.head_time().await?);
            if moved || waits || matches!(step, CloseStep::Closed(_)) {
                return anyhow::Ok(step);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await;
    match awaited {
        Ok(Ok(CloseStep::Closed(closing))) => output.answer(
            format!(
                "closed in {}: {} {symbol} came back",
                closing.close_tx,
                closing.refund.to_decimal(decimals)
            ),
            &json!({
                "state": "closed",
                "host_paid": closing.paid,
                "fee": closing.fee,
                "refunded": closing.refund,
                "close_tx": closing.close_tx,
            }),
        ),
        Ok(Ok(CloseStep::Closing(state))) => output.answer(
            format!(
                "closing: the host may answer until {} (Unix seconds); run this again after that",
                state.challenge_end
            ),
            &json!({ "state": "closing", "challenge_end": state.challenge_end }),
        ),
        Ok(Ok(_)) => bail!("the chain does not show the close yet; run this again"),
        Ok(Err(error)) => return Err(error),
        Err(_) => bail!("the transaction is not mined yet; it is stored, run this again later"),
    }
    Ok(())
}
