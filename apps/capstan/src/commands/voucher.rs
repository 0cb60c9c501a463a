//! `capstan voucher`: an API key for unmodified clients, good for a signed ceiling at one host.

use anyhow::{Result, bail};
use capstan_base::{SignedVoucher, Voucher};
use capstan_store::VoucherOutcome;
use capstan_wire::Credential;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::{Context, amount};
use crate::output::Output;
use crate::rental::{SessionArgs, prepare, symbol_of};

/// Options of `capstan voucher`.
#[derive(Debug, Args)]
pub struct VoucherArgs {
    #[command(flatten)]
    session: SessionArgs,
    /// The most the host may claim, in whole token units, everything signed before included
    /// [default: the whole deposit]
    #[arg(long)]
    ceiling: Option<String>,
}

pub async fn run(args: VoucherArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let store = context.open_store("voucher")?;
    let prepared = prepare(&context, &store, &args.session, output).await?;
    let (opened, rental) = (&prepared.opened, &prepared.rental);
    let (symbol, decimals) = symbol_of(&prepared.chain, opened.terms.token);
    let ceiling = match &args.ceiling {
        Some(text) => amount(text, decimals)?,
        None => opened.terms.deposit,
    };
    if ceiling > opened.terms.deposit {
        bail!("the ceiling is above the deposit of {}", opened.terms.deposit.to_decimal(decimals));
    }
    let signed = rental.voucher.as_ref().map(|newest| newest.voucher.amount);
    if signed.is_some_and(|signed| ceiling <= signed) {
        bail!(
            "{} {symbol} are signed already; a new ceiling must be higher",
            signed.unwrap_or_default().to_decimal(decimals)
        );
    }
    let voucher = Voucher::ceiling(opened.key.session_id, ceiling);
    let digest = voucher.digest(opened.key.chain_id, opened.key.marketplace);
    let signature = context.signer.sign_digest_65(digest)?;
    let signed = SignedVoucher { voucher, signature };
    // Stored before it is shown: whoever sees it may spend it.
    match store.record_signed_voucher(opened.key, &signed, &rental.tally).await? {
        VoucherOutcome::Stored => {}
        other => bail!("the session cannot be signed for any more ({other:?})"),
    }
    let credential = Credential {
        chain_id: opened.key.chain_id,
        terms: opened.terms.clone(),
        price: opened.price,
        voucher: signed,
    };
    let base_url = format!("{}/v1", opened.host_url.trim_end_matches('/').trim_end_matches("/v1"));
    output.answer(
        format!(
            "OPENAI_BASE_URL={base_url}\nOPENAI_API_KEY={}\n# good for {} {symbol} at this host",
            credential.encode(),
            ceiling.to_decimal(decimals)
        ),
        &json!({
            "event": "voucher",
            "base_url": base_url,
            "api_key": credential.encode(),
            "ceiling": ceiling,
            "model": prepared.model_name,
        }),
    );
    Ok(())
}
