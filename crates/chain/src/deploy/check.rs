//! Before a deployment: can this chain carry it? After: is it what was meant?

use alloy_primitives::{U256, keccak256};
use capstan_base::{Address, B256};

use crate::bindings::ContractKind;
use crate::bindings::abi::{CircuitBreaker, IEip712, IErc20, JobMarketplace, Timelock};
use crate::client::ChainClient;
use crate::deploy::plan::Plan;
use crate::error::ChainError;
use crate::types::{BlockTag, Bytes};

/// Transient storage (EIP-1153) and MCOPY (EIP-5656), which the contracts use; then an empty contract.
const CANCUN: &[u8] = &[0x5f, 0x5f, 0x5d, 0x5f, 0x5f, 0x5f, 0x5e, 0x5f, 0x5f, 0xf3];

/// FAB and MCT there are for ever: a billion, 18 decimals.
const SUPPLY: u128 = 1_000_000_000 * 1_000_000_000_000_000_000;

/// Everything that speaks against making what a plan lacks on a client's chain; empty if nothing does.
/// `next` is the deployer's next nonce: what lies before it was made by an earlier run.
///
/// # Errors
/// Those of the RPC.
pub async fn preflight(
    client: &ChainClient,
    deployer: Address,
    plan: &Plan,
    next: u64,
) -> Result<Vec<String>, ChainError> {
    client.verify_chain_id().await?;
    let mut against = plan.mistakes();
    if let Err(error) = client.estimate_creation(deployer, &Bytes::from_static(CANCUN)).await {
        if error.is_retryable() {
            return Err(error);
        }
        against.push(
            "the chain does not run code of the Cancun fork, which the contracts need".into(),
        );
    }
    if let Some(entry_point) = plan.params().entry_point {
        let call = IEip712::eip712DomainCall {};
        match client.view("reading the EntryPoint", entry_point, call, BlockTag::Latest).await {
            Ok(domain) if domain.name == "ERC4337" && domain.version == "1" => {}
            // An answer that is none is that of an account without this code.
            Err(error)
                if error.is_retryable() && !matches!(error, ChainError::Inconsistent { .. }) =>
            {
                return Err(error);
            }
            _ => against.push(format!("{entry_point} is no ERC-4337 EntryPoint of version 0.8")),
        }
    }
    let price = client.gas_price().await?.offer().max_fee();
    let needed = U256::from(plan.gas_from(next)).saturating_mul(U256::from(price));
    let balance = client.balance(deployer).await?;
    if balance < needed {
        against.push(format!("{deployer} has {balance} wei, and it takes about {needed}"));
    }
    Ok(against)
}

/// Everything that is not as the plan meant it; empty if all is well. The client must be configured
/// with the plan's contracts.
pub async fn self_test(client: &ChainClient, plan: &Plan, deployer: Address) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Err(errors) = client.verify().await {
        wrong.extend(errors.iter().map(ToString::to_string));
    }
    if let Err(error) = values(client, plan, deployer, &mut wrong).await {
        wrong.push(error.to_string());
    }
    wrong
}

async fn values(
    client: &ChainClient,
    plan: &Plan,
    deployer: Address,
    wrong: &mut Vec<String>,
) -> Result<(), ChainError> {
    const READING: &str = "testing a deployment";
    let at = BlockTag::Latest;
    let params = plan.params();
    let market = plan.address_of(ContractKind::JobMarketplace);
    let fee = client.view(READING, market, JobMarketplace::feeBpsCall {}, at).await?;
    if fee != params.fee_bps {
        wrong.push(format!("the fee is {fee} basis points and not {}", params.fee_bps));
    }
    let recipient = client.view(READING, market, JobMarketplace::feeRecipientCall {}, at).await?;
    if recipient != plan.fee_recipient() {
        wrong.push(format!("fees go to {recipient} and not to {}", plan.fee_recipient()));
    }
    for kind in [ContractKind::GovernanceToken, ContractKind::RelayToken] {
        let call = IErc20::balanceOfCall { account: params.token_holder };
        let held = client.view(READING, plan.address_of(kind), call, at).await?;
        if held != U256::from(SUPPLY) {
            wrong.push(format!("{} holds {held} of {}", params.token_holder, kind.name()));
        }
    }
    let breaker = plan.address_of(ContractKind::CircuitBreaker);
    for guardian in &params.guardians {
        let call = CircuitBreaker::isGuardianCall { account: *guardian };
        if !client.view(READING, breaker, call, at).await? {
            wrong.push(format!("{guardian} is no guardian"));
        }
    }
    if let Some(entry_point) = params.entry_point {
        for kind in [ContractKind::SessionAccount, ContractKind::BaseAccountIntegration] {
            let found = client.address_by(plan.address_of(kind), "ENTRY_POINT").await?;
            if found != entry_point {
                wrong.push(format!("{} obeys {found} and not {entry_point}", kind.name()));
            }
        }
    }
    if params.owner.is_none() {
        roles(client, plan, deployer, wrong).await?;
    }
    Ok(())
}

/// The governor proposes and cancels, anybody executes, and no key does anything else.
async fn roles(
    client: &ChainClient,
    plan: &Plan,
    deployer: Address,
    wrong: &mut Vec<String>,
) -> Result<(), ChainError> {
    let timelock = plan.address_of(ContractKind::Timelock);
    let governance = plan.address_of(ContractKind::Governance);
    let params = plan.params();
    let names = ["PROPOSER_ROLE", "CANCELLER_ROLE", "EXECUTOR_ROLE", "DEFAULT_ADMIN_ROLE"];
    for name in names {
        let role = if name == "DEFAULT_ADMIN_ROLE" { B256::ZERO } else { keccak256(name) };
        let has = async |account| {
            let call = Timelock::hasRoleCall { role, account };
            client.view("reading a role", timelock, call, BlockTag::Latest).await
        };
        let keys = params.guardians.iter().copied().chain([deployer, params.token_holder]);
        for key in keys {
            if has(key).await? {
                wrong.push(format!("{key} has {name} of the timelock"));
            }
        }
        let (meant, holder) = match name {
            "EXECUTOR_ROLE" => (true, Address::ZERO),
            "DEFAULT_ADMIN_ROLE" => (false, governance),
            _ => (true, governance),
        };
        if has(holder).await? != meant {
            let verb = if meant { "lacks" } else { "has" };
            wrong.push(format!("{holder} {verb} {name} of the timelock"));
        }
    }
    Ok(())
}
