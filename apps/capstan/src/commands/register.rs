//! `capstan register`: stake FAB, set prices, announce the endpoint, on one chain.

use anyhow::{Context as _, Result, bail};
use capstan_base::{Amount, B256, ModelId, Price, U256};
use capstan_chain::{ChainClient, NewOffer, calls};
use capstan_model::file_id;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::{Context, amount, token};
use crate::output::Output;
use crate::settings::UsageError;

/// Decimal places of FAB.
const FAB_DECIMALS: u8 = 18;

/// Options of `capstan register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    chain: Option<String>,
    /// FAB to stake, at least 1000
    #[arg(long, default_value = "1000")]
    stake: String,
    /// Public base URL of this host, such as https://host.example
    #[arg(long)]
    endpoint: String,
    /// Where it stands, in words
    #[arg(long, default_value = "")]
    region: String,
    /// MODEL:TOKEN:INPUT:OUTPUT, prices per million tokens in whole token units; MODEL is a GGUF
    /// file or a model id. May be given more than once.
    #[arg(long = "offer", required = true, value_name = "OFFER")]
    offers: Vec<String>,
}

pub async fn run(args: RegisterArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chain = context.chain(args.chain.as_deref()).await?;
    let offers = args
        .offers
        .iter()
        .map(|text| offer(&chain, text).map_err(|error| UsageError(format!("{error:#}")).into()))
        .collect::<Result<Vec<_>>>()?;
    let stake = amount(&args.stake, FAB_DECIMALS)?;
    let account = context.account();
    if let Some(node) = chain.node(account).await? {
        bail!(
            "{account} is registered on {} already, with {} FAB at stake",
            chain.config().title,
            node.stake.to_decimal(FAB_DECIMALS)
        );
    }
    let store = context.open_store("register.db")?;
    let engine = context.engine(&store, std::slice::from_ref(&chain))?;
    let registry = chain.node_registry()?;
    let fab = chain.governance_token().await?;
    let wanted = U256::from(stake.base_units());
    let held = chain.token_balance(fab, account).await?;
    if held < wanted {
        bail!("{account} holds {held} base units of FAB, the stake is {wanted}");
    }
    if chain.allowance(fab, account, registry).await? < wanted {
        output.progress("approving the stake…");
        context
            .send(&engine, &chain, "approve", calls::erc20_approve(fab, registry, wanted))
            .await?;
    }
    output.progress("registering…");
    let call =
        calls::register_node(registry, stake, &args.endpoint, &args.region, B256::ZERO, &offers);
    let tx = context.send(&engine, &chain, "register", call).await?;
    output.answer(
        format!("registered {account} on {} in {tx}", chain.config().title),
        &json!({ "chain_id": chain.chain_id(), "host": account, "tx": tx }),
    );
    Ok(())
}

fn offer(chain: &ChainClient, text: &str) -> Result<NewOffer> {
    let parts: Vec<_> = text.rsplitn(4, ':').collect();
    let [output, input, symbol, model] = parts.as_slice() else {
        bail!("offer {text:?} is not MODEL:TOKEN:INPUT:OUTPUT");
    };
    let model = match model.parse::<ModelId>() {
        Ok(id) => id,
        Err(_) => ModelId(file_id(model).with_context(|| format!("offer {text:?}"))?.into()),
    };
    let (address, _, decimals) = token(chain.config(), Some(symbol))?;
    let price = Price { input: amount(input, decimals)?, output: amount(output, decimals)? };
    if price.input == Amount::ZERO && price.output == Amount::ZERO {
        bail!("offer {text:?} asks nothing; a price must be above zero on one side");
    }
    Ok(NewOffer { model, token: address, price })
}
