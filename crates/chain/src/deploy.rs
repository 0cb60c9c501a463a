//! Our contracts onto a chain, one transaction after the other.
//!
//! For local chains, tests and the operator's `deploy` command. Nothing is stored: a run that breaks
//! off is answered by another run, which deploys anew.

use core::time::Duration;

use alloy_primitives::U256;
use alloy_sol_types::SolConstructor;
use capstan_base::{Address, B256};
use tokio::time::Instant;
use tracing::info;

use crate::bindings::ContractKind;
use crate::bindings::abi::{
    GovernanceToken, JobMarketplace, ModelRegistry, NodeRegistry, SelfBatch, TestUsdc,
};
use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::registry::Contracts;
use crate::rpc::SendOutcome;
use crate::signer::{LocalSigner, TxFields, TxTarget};
use crate::types::{BlockTag, Bytes, GasEstimate, Receipt};

/// Longest wait for one receipt: a public chain under load takes minutes, never this long.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(300);

/// Shortest pause between two looks for a receipt; a local chain mines at once.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Margin over the estimate, in per cent: state may move between estimate and inclusion.
const GAS_MARGIN: u64 = 20;

/// Who gets what on a fresh deployment.
#[derive(Clone, Copy, Debug)]
pub struct DeployParams {
    /// Gets the whole supply of FAB.
    pub fab_receiver: Address,
    /// Owns the model registry and the fee: a timelock, on any chain that matters.
    pub owner: Address,
    /// Collects fees.
    pub fee_recipient: Address,
    /// Protocol fee, basis points.
    pub fee_bps: u16,
    /// Deploys the worthless test dollar too.
    pub test_usdc: bool,
}

/// What a deployment left on the chain.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// Addresses for the configuration.
    pub contracts: Contracts,
    /// The test dollar, six decimals.
    pub test_usdc: Option<Address>,
    /// Contract, address, transaction: in the order they were made.
    pub steps: Vec<(ContractKind, Address, B256)>,
}

/// Deploys FAB, the model registry, the node registry, the marketplace, and the test dollar if
/// asked for.
///
/// # Errors
/// The first step that fails; earlier ones stay on the chain, unused.
pub async fn deploy_all(
    client: &ChainClient,
    signer: &LocalSigner,
    params: &DeployParams,
) -> Result<Deployed, ChainError> {
    let mut steps = Vec::new();
    let mut deploy = async |kind: ContractKind, code: &Bytes, arguments: Vec<u8>| {
        let code: Bytes = code.iter().copied().chain(arguments).collect();
        let (address, tx_hash) = create(client, signer, kind, code).await?;
        steps.push((kind, address, tx_hash));
        Ok::<_, ChainError>(address)
    };
    let arguments = GovernanceToken::constructorCall { receiver: params.fab_receiver };
    let governance_token =
        deploy(ContractKind::GovernanceToken, &GovernanceToken::BYTECODE, arguments.abi_encode())
            .await?;
    let arguments = ModelRegistry::constructorCall { owner_: params.owner };
    let model_registry =
        deploy(ContractKind::ModelRegistry, &ModelRegistry::BYTECODE, arguments.abi_encode())
            .await?;
    let arguments =
        NodeRegistry::constructorCall { stakeToken: governance_token, models: model_registry };
    let node_registry =
        deploy(ContractKind::NodeRegistry, &NodeRegistry::BYTECODE, arguments.abi_encode()).await?;
    let arguments = JobMarketplace::constructorCall {
        nodes: node_registry,
        owner_: params.owner,
        feeRecipient_: params.fee_recipient,
        feeBps_: params.fee_bps,
    };
    let job_marketplace =
        deploy(ContractKind::JobMarketplace, &JobMarketplace::BYTECODE, arguments.abi_encode())
            .await?;
    let test_usdc = match params.test_usdc {
        true => Some(deploy(ContractKind::TestUsdc, &TestUsdc::BYTECODE, Vec::new()).await?),
        false => None,
    };
    let contracts = Contracts {
        job_marketplace,
        node_registry,
        model_registry: Some(model_registry),
        governance_token: Some(governance_token),
    };
    Ok(Deployed { contracts, test_usdc, steps })
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
    create(client, signer, ContractKind::SelfBatch, SelfBatch::BYTECODE.clone()).await
}

async fn create(
    client: &ChainClient,
    signer: &LocalSigner,
    kind: ContractKind,
    code: Bytes,
) -> Result<(Address, B256), ChainError> {
    let (chain, contract) = (client.chain_id(), kind.name());
    let failed =
        |reason: &str| ChainError::Deployment { chain, contract, reason: reason.to_owned() };
    let gas = client.estimate_creation(signer.address(), &code).await?;
    let receipt = send(client, signer, TxTarget::Create, U256::ZERO, code, gas).await?;
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
    let receipt = send(client, signer, TxTarget::To(to), value, data, gas).await?;
    if receipt.success { Ok(receipt) } else { Err(reverted(Bytes::new())) }
}

async fn send(
    client: &ChainClient,
    signer: &LocalSigner,
    target: TxTarget,
    value: U256,
    data: Bytes,
    gas: u64,
) -> Result<Receipt, ChainError> {
    let chain_id = client.chain_id();
    let fields = TxFields {
        chain_id,
        nonce: client.account_nonce(signer.address(), BlockTag::Latest).await?,
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
