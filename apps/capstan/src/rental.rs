//! The session a command uses: opened as the arguments ask, or one opened before.

mod health;
pub mod hosts;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use capstan_base::{Address, SessionId};
use capstan_chain::ChainClient;
use capstan_model::Model;
use capstan_renter::close::Closer;
use capstan_renter::open::{OpenRequest, Opened, Opener};
use capstan_store::{Rental, Store};
use clap::Args;
use serde_json::json;

use crate::context::{Context, amount, model_name, token};
use crate::output::Output;
use crate::settings::UsageError;

/// Which session to use; shared by every command that opens one.
#[derive(Clone, Debug, Args)]
pub struct SessionArgs {
    /// Chain name or id [default: the default chain]
    #[arg(long)]
    pub chain: Option<String>,
    /// Host to rent, by address [default: the best by price and record, see `capstan hosts`]
    #[arg(long, value_parser = crate::cli::account)]
    pub host: Option<Address>,
    /// Where the host listens [default: its registered endpoint]
    #[arg(long, value_name = "URL")]
    pub host_url: Option<String>,
    /// The model's GGUF file: its tokenizer recounts what is billed
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Payment token by symbol [default: the chain's coin]
    #[arg(long)]
    pub token: Option<String>,
    /// Deposit in whole token units, such as 0.05
    #[arg(long, required_unless_present = "resume")]
    pub deposit: Option<String>,
    /// Life of the session, hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    pub hours: u64,
    /// Go on with a session opened before, instead of opening one
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["host", "deposit"])]
    pub resume: Option<SessionId>,
}

/// A session that can be used, and what goes with it.
pub struct Prepared {
    /// Its chain.
    pub chain: Arc<ChainClient>,
    /// The model that recounts.
    pub model: Arc<Model>,
    /// Its name.
    pub model_name: String,
    /// The session.
    pub opened: Opened,
    /// As stored.
    pub rental: Rental,
    /// Closes it.
    pub closer: Closer,
}

/// Opens the session the arguments ask for, or finds the one they name.
pub async fn prepare(
    context: &Context,
    store: &Store,
    args: &SessionArgs,
    output: &Output,
) -> Result<Prepared> {
    let file = args.model.display();
    let model = Arc::new(Model::load(&args.model).with_context(|| format!("model {file}"))?);
    let resumed = match args.resume {
        Some(id) => Some(find_rental(store, id).await?),
        None => None,
    };
    let chain = match &resumed {
        Some(rental) => context.chain(Some(&rental.key.chain_id.to_string())).await?,
        None => context.chain(args.chain.as_deref()).await?,
    };
    let engine = context.engine(store, std::slice::from_ref(&chain))?;
    let closer = Closer { chain: Arc::clone(&chain), store: store.clone(), engine: engine.clone() };
    let opened = match resumed {
        Some(rental) => Opened {
            key: rental.key,
            terms: rental.terms,
            host_url: args.host_url.clone().unwrap_or(rental.host_url),
            price: rental.price,
        },
        None => {
            let (address, symbol, decimals) = token(chain.config(), args.token.as_deref())?;
            let Some(deposit) = &args.deposit else {
                return Err(UsageError("--deposit is needed".into()).into());
            };
            let deposit = amount(deposit, decimals)?;
            let wanted = capstan_base::ModelId(model.id().into());
            let (host, host_url, max_price) = match (args.host, &args.host_url) {
                (Some(host), named) => {
                    // That there is no endpoint is told where the session is opened.
                    let registered = match named {
                        Some(_) => None,
                        None => hosts::endpoint_of(&chain, host).await?,
                    };
                    if let Some(url) = named.as_ref().or(registered.as_ref()) {
                        health::check(url, chain.config(), output).await?;
                    }
                    (host, named.clone(), None)
                }
                (None, None) => {
                    // Its price and place are those it was picked for, whatever it registers meanwhile.
                    let (chosen, url) = hosts::choose(&chain, wanted, address, output).await?;
                    (chosen.host, Some(url), Some(chosen.price))
                }
                (None, Some(_)) => {
                    return Err(UsageError("--host-url needs --host: whose is it?".into()).into());
                }
            };
            output.progress(format!(
                "opening a session with {} {symbol} on {}…",
                deposit.to_decimal(decimals),
                chain.config().title
            ));
            let request = OpenRequest {
                host,
                host_url,
                model: wanted,
                max_price,
                token: address,
                deposit,
                lifetime: args.hours.saturating_mul(3600),
            };
            let opener = Opener {
                chain: Arc::clone(&chain),
                store: store.clone(),
                engine,
                signer: Arc::clone(&context.signer),
            };
            opener.open(&request, context.now()).await?
        }
    };
    let rental = find_rental(store, opened.key.session_id).await?;
    output.answer(
        format!("session {} on chain {}", opened.key.session_id, opened.key.chain_id),
        &json!({
            "event": "opened",
            "session_id": opened.key.session_id,
            "chain_id": opened.key.chain_id,
            "host": opened.terms.host,
            "token": opened.terms.token,
            "deposit": opened.terms.deposit,
            "open_tx": rental.open_tx,
        }),
    );
    Ok(Prepared { chain, model, model_name: model_name(&args.model), opened, rental, closer })
}

/// A stored rental by session id, on whichever chain.
pub async fn find_rental(store: &Store, id: SessionId) -> Result<Rental> {
    store
        .rentals(None)
        .await?
        .into_iter()
        .find(|rental| rental.key.session_id == id)
        .with_context(|| format!("session {id} was not opened from here; see `capstan sessions`"))
}

/// Symbol and decimals of a session's token; base units if it is not configured.
pub fn symbol_of(chain: &ChainClient, token: Address) -> (String, u8) {
    let (symbol, decimals) = chain.config().token_info(token).unwrap_or(("base units", 0));
    (symbol.to_owned(), decimals)
}
