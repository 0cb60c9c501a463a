//! `capstan earnings`: what the ledger holds for this account, and taking it out.

use anyhow::{Result, bail};
use capstan_base::Address;
use capstan_chain::{BlockTag, calls};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::{Context, token};
use crate::output::{Output, table};

/// Options of `capstan earnings`.
#[derive(Debug, Args)]
pub struct EarningsArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    chain: Option<String>,
    /// Withdraw the balance of this token, by symbol
    #[arg(long, value_name = "TOKEN")]
    withdraw: Option<String>,
    /// Where to send it [default: this account]
    #[arg(long, requires = "withdraw", value_parser = crate::cli::account)]
    to: Option<Address>,
}

pub async fn run(args: EarningsArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chain = context.chain(args.chain.as_deref()).await?;
    let account = context.account();
    let Some(symbol) = args.withdraw else {
        let config = chain.config();
        let symbols = config.tokens.values().map(|token| token.symbol.as_str());
        let mut rows = Vec::new();
        let mut values = Vec::new();
        for symbol in core::iter::once(config.native.symbol.as_str()).chain(symbols) {
            let (address, symbol, decimals) = token(config, Some(symbol))?;
            let balance = chain.ledger_balance(account, address, BlockTag::Latest).await?;
            rows.push(vec![symbol.clone(), balance.to_decimal(decimals)]);
            values.push(json!({ "symbol": symbol, "token": address, "balance": balance }));
        }
        output.answer(
            table(&["TOKEN", "EARNED"], &rows),
            &json!({ "account": account, "chain_id": chain.chain_id(), "balances": values }),
        );
        return Ok(());
    };
    let (address, symbol, decimals) = token(chain.config(), Some(&symbol))?;
    let balance = chain.ledger_balance(account, address, BlockTag::Latest).await?;
    if balance.is_zero() {
        bail!("the ledger holds no {symbol} for {account}");
    }
    let to = args.to.unwrap_or(account);
    let sender = context.sender("earnings", std::slice::from_ref(&chain)).await?;
    let call = calls::withdraw(chain.marketplace()?, address, to);
    let tx = sender.send(&chain, "withdraw", call).await?;
    output.answer(
        format!("{} {symbol} sent to {to} in {tx}", balance.to_decimal(decimals)),
        &json!({ "to": to, "token": address, "amount": balance, "tx": tx }),
    );
    Ok(())
}
