//! `capstan delegate`: code of the account's own that makes many calls in one transaction (EIP-7702).

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_base::Address;
use capstan_chain::{ChainClient, Delegation};
use capstan_store::EngineStore;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::context::Context;
use crate::output::Output;

/// Options of `capstan delegate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan delegate --chain base-sepolia                   # what the account runs now
  capstan delegate --chain base-sepolia --to 0xSELFBATCH  # from now on it can make batches
  capstan delegate --chain base-sepolia --end             # as it was

The closes of sessions share a transaction without this, by the marketplace's own batch. It is for calls
that contracts do not batch themselves, and has a price: nodes take one transaction at a time from an
account that runs code. SelfBatch, from contracts/src, obeys the account itself and nobody else; what
lies at --to is compared with it, byte for byte. The command may be run again: what is so already is not
done twice. The host of this account must not run meanwhile; it makes batches from its next start on.")]
pub struct DelegateArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    chain: Option<String>,
    /// Address of SelfBatch, whose code the account is to run
    #[arg(long, value_name = "ADDRESS", value_parser = crate::cli::account)]
    to: Option<Address>,
    /// Run no code any more
    #[arg(long, conflicts_with = "to")]
    end: bool,
}

pub async fn run(args: DelegateArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chain = context.chain(args.chain.as_deref()).await?;
    let account = context.account();
    let wanted = match (args.to, args.end) {
        (Some(code), _) => Delegation::To(code),
        (None, true) => Delegation::None,
        (None, false) => {
            let found = chain.delegation(account).await?;
            output.answer(words(account, found), &value(&chain, account, found, None));
            return Ok(());
        }
    };
    if let Some(code) = args.to {
        check(&chain, code).await?;
    }
    let store = context.open_session_store("delegate").await?;
    let engine_store = Arc::clone(&store) as Arc<dyn EngineStore>;
    let engine = context.engine_on(engine_store, std::slice::from_ref(&chain))?;
    let outbox = context.outbox(engine, store);
    // What a command that was killed left unfinished may change the code yet.
    outbox.finish(chain.chain_id()).await?;
    let found = chain.delegation(account).await?;
    if found == wanted {
        let text = format!("{}: nothing to do", words(account, found));
        output.answer(text, &value(&chain, account, found, None));
        return Ok(());
    }
    if found == Delegation::Contract {
        bail!(
            "{account} is a contract on {}: it has no key to delegate with",
            chain.config().title
        );
    }
    let code = args.to.unwrap_or(Address::ZERO);
    let tx = outbox.run_code(chain.chain_id(), code).await?;
    // A transaction succeeds whether its authorization counts or not.
    let now = chain.delegation(account).await?;
    if now != wanted {
        bail!("{tx} is final, and yet {}; run the command again", words(account, now));
    }
    output.answer(
        format!("{} since {tx}", words(account, now)),
        &value(&chain, account, now, Some(tx.to_string())),
    );
    Ok(())
}

/// The code has to be the one that obeys the account alone, and the chain has to know what is asked.
async fn check(chain: &ChainClient, code: Address) -> Result<()> {
    let title = &chain.config().title;
    chain
        .verify_self_batch(code)
        .await
        .with_context(|| format!("the account must not run what lies at {code}"))?;
    if !chain.supports_delegation(code).await? {
        bail!("{title} does not know EIP-7702, or its endpoint does not say so");
    }
    Ok(())
}

fn words(account: Address, found: Delegation) -> String {
    match found {
        Delegation::None => format!("{account} runs no code"),
        Delegation::To(code) => format!("{account} runs the code at {code}"),
        Delegation::Contract => format!("{account} is a contract"),
    }
}

fn value(chain: &ChainClient, account: Address, found: Delegation, tx: Option<String>) -> Value {
    let code = match found {
        Delegation::To(code) => Some(code),
        Delegation::None | Delegation::Contract => None,
    };
    json!({
        "chain_id": chain.chain_id(),
        "account": account,
        "code": code,
        "is_contract": found == Delegation::Contract,
        "tx": tx,
    })
}
