//! What a chain and its endpoints say.

use std::sync::Arc;

use capstan_base::{Address, Amount, U256, UnixSeconds};
use capstan_chain::{BlockRef, BlockTag, ChainClient, ChainConfig, ChainError, Finality};
use capstan_host::funds::estimate;
use capstan_kit::{Clock as _, SystemClock, causes};

use super::Checks;
use crate::output::duration;
use crate::settings::Settings;

/// A block from further ahead than this means that this machine's clock is behind: chains allow their
/// own clocks a few seconds.
const AHEAD: u64 = 15;

/// A head older than this, seconds, and than [`LATE_BLOCKS`] blocks is old.
const OLD: u64 = 60;

/// See [`OLD`].
const LATE_BLOCKS: u64 = 30;

/// Blocks one endpoint may be behind another: they hear of a block within seconds of each other.
const LAG: u64 = 10;

/// All checks of one chain.
pub(super) async fn check(
    checks: &mut Checks<'_>,
    chain: &Arc<ChainClient>,
    settings: &Settings,
    account: Option<Address>,
) {
    let name = chain.config().name.clone();
    if !endpoints(checks, chain.config()).await {
        return;
    }
    match chain.verify().await {
        Ok(()) => {
            checks.ok(format!("{name} contracts"), "deployed, of this version, wired together")
        }
        Err(findings) => {
            for finding in &findings {
                let next = if finding.is_retryable() {
                    "the endpoint did not answer; try again"
                } else {
                    "correct the addresses in capstan.toml"
                };
                checks.fail(format!("{name} contracts"), causes(finding), next);
            }
            return;
        }
    }
    let Some(account) = account else { return };
    if let Err(error) = funds(checks, chain, settings, account).await {
        checks.warn(format!("{name} balance"), causes(&error), "try again");
    }
    if let Err(error) = registration(checks, chain, account).await {
        checks.warn(format!("{name} registration"), causes(&error), "try again");
    }
}

/// Each endpoint alone; true if one of them is good.
async fn endpoints(checks: &mut Checks<'_>, config: &ChainConfig) -> bool {
    let mut heads = Vec::new();
    for url in &config.rpc_urls {
        let name = format!("{} endpoint {url}", config.name);
        let alone = ChainConfig { rpc_urls: vec![url.clone()], ..config.clone() };
        let client = ChainClient::connect(alone);
        let head = match client.verify_chain_id().await {
            Ok(()) => client.head(BlockTag::Latest).await,
            Err(error) => Err(error),
        };
        match head {
            Ok(head) => heads.push((name, head)),
            Err(error @ ChainError::WrongChainId { .. }) => {
                checks.fail(name, causes(&error), "it serves another chain: replace it");
            }
            Err(error) => {
                checks.fail(name, causes(&error), "check the URL, the key in it, and the provider")
            }
        }
    }
    let newest = heads.iter().map(|(_, head)| head.number).max().unwrap_or(0);
    let now = SystemClock.now();
    for (name, head) in &heads {
        endpoint(checks, name, head, newest, config, now);
    }
    if config.rpc_urls.len() == 1 {
        let next = "name a second endpoint of another provider in rpc_urls";
        checks.warn(
            format!("{} endpoints", config.name),
            "only one: its outage is this chain's",
            next,
        );
    }
    !heads.is_empty()
}

fn endpoint(
    checks: &mut Checks<'_>,
    name: &str,
    head: &BlockRef,
    newest: u64,
    config: &ChainConfig,
    now: UnixSeconds,
) {
    let (age, ahead) = (now.since(head.timestamp), head.timestamp.since(now));
    let lag = newest.saturating_sub(head.number);
    let detail = format!("block {}, {} old, {lag} behind", head.number, duration(age));
    let pace = config.block_time.as_secs_f64();
    let late = std::time::Duration::from_secs(age).as_secs_f64()
        > pace * f64::from(u32::try_from(LATE_BLOCKS).unwrap_or(30));
    // A local chain makes a block when there is something to put in it.
    let paced = config.finality != Finality::Latest;
    if ahead > AHEAD {
        let detail =
            format!("its newest block is {} ahead of this machine's clock", duration(ahead));
        checks.fail(name, detail, "set this machine's clock: switch NTP on");
    } else if lag > LAG {
        checks.warn(name, detail, "it lags behind the others: replace it if that lasts");
    } else if paced && age > OLD && late {
        checks.warn(
            name,
            detail,
            "the chain stands, this endpoint lags, or this machine's clock is ahead",
        );
    } else {
        checks.ok(name, detail);
    }
}

async fn funds(
    checks: &mut Checks<'_>,
    chain: &ChainClient,
    settings: &Settings,
    account: Address,
) -> Result<(), ChainError> {
    let config = chain.config();
    let name = format!("{} balance", config.name);
    let balance = chain.balance(account).await?;
    let estimate = estimate(chain).await?;
    let lasts = balance.checked_div(estimate.cost.max(U256::ONE)).unwrap_or_default();
    let runway: u64 = if balance < estimate.reserve { 0 } else { lasts.saturating_to() };
    let symbol = &config.native.symbol;
    let human = Amount::try_from(balance).unwrap_or(Amount::MAX).to_decimal(config.native.decimals);
    let detail = format!("{human} {symbol}, for some {runway} settlements at today's gas price");
    let next = format!("send {symbol} to {account}");
    match runway {
        0 => checks.fail(name, detail, next),
        runway if runway < settings.host.min_runway => checks.warn(name, detail, next),
        _ => checks.ok(name, detail),
    }
    Ok(())
}

async fn registration(
    checks: &mut Checks<'_>,
    chain: &ChainClient,
    account: Address,
) -> Result<(), ChainError> {
    let name = format!("{} registration", chain.config().name);
    match chain.node(account).await? {
        None => {
            let next = "a host needs one: `capstan register --help`; a renter does not";
            checks.warn(name, "not registered", next);
        }
        Some(node) => match node.unbonds_at {
            Some(at) => {
                let next = "`capstan registration unregister --cancel` serves again";
                checks.warn(name, format!("unbonding until {at}: no new sessions"), next);
            }
            None if node.stake < chain.min_stake().await? => {
                let next = "`capstan registration update --stake …` adds to it";
                checks.warn(name, "the stake is below the minimum: no new sessions", next);
            }
            None => checks.ok(name, "registered and serving"),
        },
    }
    Ok(())
}
