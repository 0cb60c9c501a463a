//! `capstan registration`: see, change and end a host's registration, on one chain or on all.

mod status;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::context::{Context, amount};
use crate::output::Output;
use crate::registration::{
    ChainArgs, Done, FAB_DECIMALS, Step, Wanted, apply, changes, each_chain, offers, read, removals,
};
use crate::settings::UsageError;

/// What to do with a registration.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  capstan registration status                          # every chain
  capstan registration update --all-chains --endpoint https://new.example
  capstan registration update --chain opbnb --offer models/tiny.gguf:BNB:0.05:0.15 --stake 1500
  capstan registration unregister --all-chains         # no new sessions; the delay begins
  capstan registration withdraw --all-chains           # the stake, after the delay

Every command may be run again: what is done already is not done twice, and what was cut short goes
on. While `capstan host` runs with this account, it sends these transactions.
Exit code 3: some chains are done and some failed.")]
pub enum RegistrationCommand {
    /// Show stake, endpoint and offers on each chain, and whether renters can come
    Status(status::StatusArgs),
    /// Change endpoint, region, prices or stake; what is not named stays
    Update(UpdateArgs),
    /// Take no new sessions and start the delay after which the stake is free
    Unregister(UnregisterArgs),
    /// Take the stake out, once the delay is over
    Withdraw(WithdrawArgs),
}

/// Options of `capstan registration update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    chains: ChainArgs,
    /// New public base URL
    #[arg(long)]
    endpoint: Option<String>,
    /// New region, in words
    #[arg(long)]
    region: Option<String>,
    /// MODEL:TOKEN:INPUT:OUTPUT: adds an offer or changes its price, as in `capstan register`
    #[arg(long = "offer", value_name = "OFFER")]
    offers: Vec<String>,
    /// MODEL:TOKEN: withdraws an offer
    #[arg(long = "remove-offer", value_name = "OFFER")]
    remove: Vec<String>,
    /// Raises the stake to this many FAB in all
    #[arg(long, value_name = "FAB")]
    stake: Option<String>,
}

/// Options of `capstan registration unregister`.
#[derive(Debug, Args)]
pub struct UnregisterArgs {
    #[command(flatten)]
    chains: ChainArgs,
    /// Take it back: serve again
    #[arg(long)]
    cancel: bool,
}

/// Options of `capstan registration withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    chains: ChainArgs,
}

pub async fn run(command: RegistrationCommand, global: &Global, output: &Output) -> Result<()> {
    match command {
        RegistrationCommand::Status(args) => status::run(args, global, output).await,
        RegistrationCommand::Update(args) => update(args, global, output).await,
        RegistrationCommand::Unregister(args) => unregister(args, global, output).await,
        RegistrationCommand::Withdraw(args) => withdraw(args, global, output).await,
    }
}

async fn update(args: UpdateArgs, global: &Global, output: &Output) -> Result<()> {
    let nothing = args.endpoint.is_none() && args.region.is_none() && args.stake.is_none();
    if nothing && args.offers.is_empty() && args.remove.is_empty() {
        let text =
            "nothing to change: name --endpoint, --region, --offer, --remove-offer or --stake";
        return Err(UsageError(text.into()).into());
    }
    let context = Context::load(global).await?;
    let chains = args.chains.clients(&context.settings)?;
    let many = args.chains.all_chains;
    let stake = args.stake.as_deref().map(|text| amount(text, FAB_DECIMALS)).transpose()?;
    for chain in &chains {
        let read = offers(chain.config(), &args.offers, many)
            .and_then(|_| removals(chain.config(), &args.remove, many));
        read.map_err(|error| UsageError(format!("{error:#}")))?;
    }
    each_chain(&context, "registration update", chains, output, async |on, chain| {
        let wanted = Wanted {
            stake,
            endpoint: args.endpoint.clone(),
            region: args.region.clone(),
            offers: offers(chain.config(), &args.offers, many)?,
            remove: removals(chain.config(), &args.remove, many)?,
        };
        let Some(found) = read(chain, on.account, &wanted).await? else {
            bail!("{} is not registered here; see `capstan register --help`", on.account);
        };
        let steps = changes(&wanted, &found);
        apply(&on.sender, chain, on.account, &wanted, steps).await
    })
    .await
}

async fn unregister(args: UnregisterArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chains = args.chains.clients(&context.settings)?;
    each_chain(&context, "registration unregister", chains, output, async |on, chain| {
        let Some(node) = chain.node(on.account).await? else { return Ok(Done::new()) };
        let step = match (args.cancel, node.unbonds_at) {
            (false, None) => Step::StartUnbonding,
            (true, Some(_)) => Step::CancelUnbonding,
            (false, Some(at)) => {
                output.progress(format!("unbonding already; the stake is free at {at}"));
                return Ok(Done::new());
            }
            (true, None) => return Ok(Done::new()),
        };
        apply(&on.sender, chain, on.account, &Wanted::default(), vec![step]).await
    })
    .await
}

async fn withdraw(args: WithdrawArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let chains = args.chains.clients(&context.settings)?;
    each_chain(&context, "registration withdraw", chains, output, async |on, chain| {
        let Some(node) = chain.node(on.account).await? else { return Ok(Done::new()) };
        let Some(at) = node.unbonds_at else {
            bail!("still serving: run `capstan registration unregister` first, then wait");
        };
        let now = chain.head_time().await?;
        if now < at {
            bail!(
                "too early: the stake is free at {at} (Unix seconds), {} from now",
                crate::output::duration(at.since(now))
            );
        }
        let steps = vec![Step::WithdrawStake];
        apply(&on.sender, chain, on.account, &Wanted::default(), steps).await
    })
    .await
}
