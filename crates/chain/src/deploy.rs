//! Our contracts onto a chain, one transaction after the other.
//!
//! For local chains, tests and `capstan deploy`. Every link between two contracts is a constructor
//! argument: an address made by a transaction is known before it is sent, from its sender and nonce,
//! so where two contracts name each other the first takes the address that the second will have. No
//! contract has a set-up function, and no key holds power over one for even a block.
//!
//! Nothing is stored. A run that breaks off goes on where it stopped if it is told the nonce it began
//! with: what its earlier transactions made is checked and not made again.

mod check;
mod plan;

use core::time::Duration;

use alloy_primitives::U256;
use capstan_base::{Address, B256};
use tokio::time::Instant;
use tracing::info;

use crate::bindings::ContractKind;
use crate::bindings::abi::SelfBatch;
use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::registry::Contracts;
use crate::rpc::SendOutcome;
use crate::signer::{LocalSigner, TxFields, TxTarget};
use crate::types::{BlockTag, Bytes, GasEstimate, Receipt};

pub use check::{preflight, self_test};
pub use plan::{DeployParams, Plan};

/// Longest wait for one receipt: a public chain under load takes minutes, never this long.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(300);

/// Shortest pause between two looks for a receipt; a local chain mines at once.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Margin over the estimate, in per cent: state may move between estimate and inclusion.
const GAS_MARGIN: u64 = 20;

/// One contract of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub kind: ContractKind,
    /// Where it lies.
    pub address: Address,
    /// What made it; none if an earlier run did.
    pub tx_hash: Option<B256>,
}

/// What a deployment left on the chain.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// Addresses for the configuration.
    pub contracts: Contracts,
    /// The test dollar, six decimals.
    pub test_usdc: Option<Address>,
    /// In the order they were made.
    pub steps: Vec<Step>,
}

/// Deploys a plan's contracts, beginning with the sender's next nonce.
///
/// # Errors
/// The first step that fails; earlier ones stay on the chain.
pub async fn deploy_all(
    client: &ChainClient,
    signer: &LocalSigner,
    params: &DeployParams,
) -> Result<Deployed, ChainError> {
    let first_nonce = client.account_nonce(signer.address(), BlockTag::Latest).await?;
    let plan = Plan::new(signer.address(), first_nonce, params.clone());
    // It holds every contract's code.
    Box::pin(run_plan(client, signer, &plan, |_| {})).await
}

/// Makes what is missing of a plan, and tells of each step as it is done.
///
/// # Errors
/// The first step that fails, or an address where an earlier transaction made something else. Told
/// the same plan again, this goes on from there.
pub async fn run_plan(
    client: &ChainClient,
    signer: &LocalSigner,
    plan: &Plan,
    mut done: impl FnMut(&Step),
) -> Result<Deployed, ChainError> {
    let from_block = client.head(BlockTag::Latest).await?.number;
    let mut steps = Vec::new();
    for (nonce, kind) in plan.steps() {
        let address = plan.address_of(kind);
        let next = client.account_nonce(signer.address(), BlockTag::Latest).await?;
        let tx_hash = if next > nonce {
            client.verify_contract(kind, address).await?;
            None
        } else {
            let (made, tx_hash) = create(client, signer, nonce, kind, plan.code_of(kind)).await?;
            if made != address {
                let (chain, contract) = (client.chain_id(), kind.name());
                let reason = format!(
                    "it lies at {made} and not at {address}: the account sent something else meanwhile"
                );
                return Err(ChainError::Deployment { chain, contract, reason });
            }
            Some(tx_hash)
        };
        let step = Step { kind, address, tx_hash };
        done(&step);
        steps.push(step);
    }
    // Where an earlier run began, this one does not know.
    let whole = steps.iter().all(|step| step.tx_hash.is_some());
    let contracts = Contracts { from_block: whole.then_some(from_block), ..plan.contracts() };
    let test_usdc = steps.iter().find(|step| step.kind == ContractKind::TestUsdc);
    Ok(Deployed { contracts, test_usdc: test_usdc.map(|step| step.address), steps })
}

/// Deploys the code that accounts delegate to in order to batch their calls by EIP-7702. One per chain
/// serves every account, whoever deployed it: it has no owner and no storage.
///
/// # Errors
/// The failed step.
pub async fn deploy_self_batch(
    client: &ChainClient,
    signer: &LocalSigner,
) -> Result<(Address, B256), ChainError> {
    let nonce = client.account_nonce(signer.address(), BlockTag::Latest).await?;
    create(client, signer, nonce, ContractKind::SelfBatch, SelfBatch::BYTECODE.clone()).await
}

async fn create(
    client: &ChainClient,
    signer: &LocalSigner,
    nonce: u64,
    kind: ContractKind,
    code: Bytes,
) -> Result<(Address, B256), ChainError> {
    let (chain, contract) = (client.chain_id(), kind.name());
    let failed =
        |reason: &str| ChainError::Deployment { chain, contract, reason: reason.to_owned() };
    let gas = client.estimate_creation(signer.address(), &code).await?;
    let receipt = send(client, signer, nonce, TxTarget::Create, U256::ZERO, code, gas).await?;
    if !receipt.success {
        return Err(failed("the transaction reverted"));
    }
    let address = receipt.contract_address.ok_or_else(|| failed("the receipt names no address"))?;
    info!(chain = %chain, contract, %address, tx = %receipt.tx_hash, "deployed");
    Ok((address, receipt.tx_hash))
}

/// Sends one call and waits until it is in a block. For set-up steps, where nothing is lost if this
/// process dies: business goes through the engine, which survives that.
///
/// # Errors
/// [`ChainError::Reverted`] if the call would revert; it is then not sent.
pub async fn transact(
    client: &ChainClient,
    signer: &LocalSigner,
    call: &Call,
) -> Result<Receipt, ChainError> {
    let chain = client.chain_id();
    let reverted = |data: Bytes| ChainError::Reverted {
        chain,
        operation: "a transaction",
        reason: crate::bindings::decode_revert(&data),
        data,
    };
    let gas = match client.estimate_gas(signer.address(), call).await? {
        GasEstimate::Gas(gas) => gas,
        GasEstimate::Revert(data) => return Err(reverted(data)),
    };
    let Call { to, value, data } = call.clone();
    let nonce = client.account_nonce(signer.address(), BlockTag::Latest).await?;
    let receipt = send(client, signer, nonce, TxTarget::To(to), value, data, gas).await?;
    if receipt.success { Ok(receipt) } else { Err(reverted(Bytes::new())) }
}

async fn send(
    client: &ChainClient,
    signer: &LocalSigner,
    nonce: u64,
    target: TxTarget,
    value: U256,
    data: Bytes,
    gas: u64,
) -> Result<Receipt, ChainError> {
    let chain_id = client.chain_id();
    let fields = TxFields {
        chain_id,
        nonce,
        target,
        value,
        data,
        gas_limit: gas.saturating_add(gas.saturating_mul(GAS_MARGIN) / 100),
        fees: client.gas_price().await?.offer(),
        own_code: None,
    };
    let signed = signer
        .sign_transaction(&fields)
        .map_err(|source| ChainError::Signing { chain: chain_id, source })?;
    let started = Instant::now();
    let mut outcome = client.send_raw(&signed.raw).await;
    loop {
        match client.receipt(signed.hash).await {
            Ok(Some(receipt)) => return Ok(receipt),
            Ok(None) => {}
            // Just after a block, one endpoint may have it and another not yet.
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error),
        }
        match outcome {
            SendOutcome::InsufficientFunds => return Err(poor(client, signer, &fields).await?),
            SendOutcome::Accepted | SendOutcome::AlreadyKnown => {}
            // The same bytes again: they can take effect once at most.
            _ => outcome = client.send_raw(&signed.raw).await,
        }
        if started.elapsed() > RECEIPT_DEADLINE {
            let detail = format!("no receipt of {} in time, last answer {outcome:?}", signed.hash);
            let operation = "waiting for a receipt";
            return Err(ChainError::Inconsistent { chain: chain_id, operation, detail });
        }
        tokio::time::sleep((client.config().block_time / 4).max(LEAST_PAUSE)).await;
    }
}

async fn poor(
    client: &ChainClient,
    signer: &LocalSigner,
    fields: &TxFields,
) -> Result<ChainError, ChainError> {
    let gas = U256::from(fields.gas_limit).saturating_mul(U256::from(fields.fees.max_fee()));
    Ok(ChainError::InsufficientBalance {
        chain: client.chain_id(),
        token: client.config().native.symbol.clone(),
        needed: fields.value.saturating_add(gas).to_string(),
        available: client.balance(signer.address()).await?.to_string(),
    })
}
