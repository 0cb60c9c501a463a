//! Sends the steps, one after another.

use anyhow::{Context as _, Result, bail};
use capstan_base::{Address, Amount, B256, U256};
use capstan_chain::{ChainClient, calls};

use super::{FAB_DECIMALS, Step, Wanted};
use crate::context::Sender;

/// Transactions of one command on one chain, by what they did; none if nothing was to do.
pub type Done = Vec<(String, B256)>;

/// Carries the steps out and says what was sent. A run that is cut short leaves what it did; the
/// next one plans anew from what the chain then says.
pub async fn apply(
    sender: &Sender,
    chain: &ChainClient,
    account: Address,
    wanted: &Wanted,
    steps: Vec<Step>,
) -> Result<Done> {
    let registry = chain.node_registry()?;
    let mut done = Done::new();
    for step in steps {
        let word = step.word();
        if let Step::Register(stake) | Step::AddStake(stake) = &step {
            done.extend(approve(sender, chain, account, *stake).await?);
        }
        let call = match step {
            Step::Register(stake) => {
                let endpoint = wanted.endpoint.as_deref().context("an endpoint is needed")?;
                let region = wanted.region.as_deref().unwrap_or_default();
                let metadata = B256::ZERO;
                calls::register_node(registry, stake, endpoint, region, metadata, &wanted.offers)
            }
            Step::UpdateInfo { endpoint, region, metadata_hash } => {
                calls::update_info(registry, &endpoint, &region, metadata_hash)
            }
            Step::SetOffers(offers) => calls::set_offers(registry, &offers),
            Step::RemoveOffer(model, token) => calls::remove_offer(registry, model, token),
            Step::AddStake(amount) => calls::add_stake(registry, amount),
            Step::StartUnbonding => calls::start_unbonding(registry),
            Step::CancelUnbonding => calls::cancel_unbonding(registry),
            Step::WithdrawStake => calls::withdraw_stake(registry),
        };
        done.push((word.to_owned(), sender.send(chain, word, call).await?));
    }
    Ok(done)
}

/// Lets the registry take the stake, unless it may already.
async fn approve(
    sender: &Sender,
    chain: &ChainClient,
    account: Address,
    stake: Amount,
) -> Result<Option<(String, B256)>> {
    let (fab, registry) = (chain.governance_token().await?, chain.node_registry()?);
    let wanted = U256::from(stake.base_units());
    let held = chain.token_balance(fab, account).await?;
    if held < wanted {
        let held = Amount::try_from(held).unwrap_or(Amount::MAX);
        bail!(
            "{account} holds {} FAB, the stake takes {}: send FAB ({fab}) to it first",
            held.to_decimal(FAB_DECIMALS),
            stake.to_decimal(FAB_DECIMALS)
        );
    }
    if chain.allowance(fab, account, registry).await? >= wanted {
        return Ok(None);
    }
    let call = calls::erc20_approve(fab, registry, wanted);
    Ok(Some(("approve".to_owned(), sender.send(chain, "approve", call).await?)))
}
