//! `capstan deploy`: the whole protocol on one chain, owned by nobody's key.

use anyhow::{Context as _, Result, bail};
use capstan_base::Address;
use capstan_chain::deploy::{DeployParams, Deployed, Plan, preflight, run_plan, self_test};
use capstan_chain::{BlockTag, ChainClient, ContractKind};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::chain_file::{self, Made};
use crate::cli::Global;
use crate::context::Context;
use crate::output::{Output, table};
use crate::settings::{DEFAULT_FILE, UsageError};

/// The EntryPoint of ERC-4337, version 0.8, where its authors put it on every chain.
const ENTRY_POINT: &str = "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108";

/// Options of `capstan deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan deploy --chain base-sepolia --token-holder 0xSAFE --guardian 0xA --fee-bps 250
  capstan deploy --chain base-sepolia --token-holder 0xSAFE --guardian 0xA --fee-bps 250 --send

Without --send nothing is sent: the parameters and the chain are checked, and what would be made, where, and
for about how much is shown. With it one transaction a contract is sent, the addresses are written into the
configuration file, and the deployment is tested: every contract in the version of this build, every link
between them, no role and no ownership with a key.

Whatever can be changed afterwards, holders of FAB change by vote, after a timelock of two days. --token-holder
gets all FAB and MCT, and with it all votes until it hands them out: it should be a contract.

A run that breaks off is finished by the same command with --first-nonce and the nonce it said it began with.")]
pub struct DeployArgs {
    /// Chain name or id, which need have no contracts yet
    #[arg(long)]
    chain: String,
    /// Who gets the whole supply of FAB and MCT
    #[arg(long, value_name = "ADDRESS", value_parser = crate::cli::account)]
    token_holder: Address,
    /// Who may pause entry for three days, until governance says otherwise; may be given many times
    #[arg(long = "guardian", value_name = "ADDRESS", value_parser = crate::cli::account)]
    guardians: Vec<Address>,
    /// Protocol fee of sessions and jobs, basis points of what hosts are paid
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=1000))]
    fee_bps: u16,
    /// ERC-4337 EntryPoint of the chain, version 0.8
    #[arg(long, value_name = "ADDRESS", default_value = ENTRY_POINT, value_parser = crate::cli::account)]
    entry_point: Address,
    /// Leave the contracts of smart accounts out: for a chain without an EntryPoint
    #[arg(long, conflicts_with = "entry_point")]
    without_accounts: bool,
    /// Go on with a deployment that began with this nonce
    #[arg(long, value_name = "NONCE")]
    first_nonce: Option<u64>,
    /// Write over contracts that the configuration file has for this chain
    #[arg(long)]
    replace: bool,
    /// Send the transactions
    #[arg(long)]
    send: bool,
}

pub async fn run(args: DeployArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let known = context.settings.registry.find(&args.chain);
    let config = known
        .with_context(|| format!("no chain is called {:?}; see `capstan chains`", args.chain))?
        .clone();
    let file = global.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    if !args.replace && chain_file::names_contracts(&file, &config.name)? {
        let text = format!(
            "{} names contracts of {} already; --replace puts new ones in their place",
            file.display(),
            config.name
        );
        return Err(UsageError(text).into());
    }
    // Two programs that send from one account would take each other's nonces.
    let _lock = match args.send {
        true => Some(context.open_session_store("deploy").await?),
        false => None,
    };
    let client = ChainClient::connect(config);
    let deployer = context.account();
    let next = client.account_nonce(deployer, BlockTag::Latest).await?;
    let first_nonce = args.first_nonce.unwrap_or(next);
    if first_nonce > next {
        bail!("the next nonce of {deployer} is {next}: nothing can have begun with {first_nonce}");
    }
    let params = DeployParams {
        token_holder: args.token_holder,
        guardians: args.guardians.clone(),
        fee_bps: args.fee_bps,
        entry_point: (!args.without_accounts).then_some(args.entry_point),
        owner: None,
        fee_recipient: None,
        test_usdc: false,
    };
    let plan = Plan::new(deployer, first_nonce, params);
    let against = preflight(&client, deployer, &plan, next).await?;
    let price = client.gas_price().await?.offer().max_fee();
    if !args.send {
        let gas = plan.gas_from(next);
        output.answer(
            words(&plan, &against, gas, price),
            &value(&client, &plan, &against, gas, price),
        );
    }
    if !against.is_empty() {
        bail!("this cannot be deployed: {}", against.join("; "));
    }
    if !args.send {
        return Ok(());
    }
    output.progress(format!("begins with nonce {first_nonce} of {deployer}"));
    let deployed = run_plan(&client, &context.signer, &plan, |step| {
        let how = step.tx_hash.map_or_else(|| "was there".to_owned(), |hash| hash.to_string());
        output.progress(format!("{:24} {}  {how}", step.kind.name(), step.address));
    })
    .await
    .with_context(|| format!("go on with --first-nonce {first_nonce}"))?;
    finish(&client, &plan, deployed, &file, args.replace, deployer, output).await
}

/// Writes the addresses, then tests what was made.
async fn finish(
    client: &ChainClient,
    plan: &Plan,
    deployed: Deployed,
    file: &std::path::Path,
    replace: bool,
    deployer: Address,
    output: &Output,
) -> Result<()> {
    let name = &client.config().name;
    let keyed = deployed.steps.iter().map(|step| (step.kind.key(), step.address));
    let made = Made { contracts: keyed.collect(), from_block: deployed.contracts.from_block };
    chain_file::write(file, name, &made, replace)?;
    let mut config = client.config().clone();
    config.contracts = Some(deployed.contracts.clone());
    let wrong = self_test(&ChainClient::connect(config), plan, deployer).await;
    let steps: Vec<_> = deployed.steps.iter().map(|step| {
        json!({ "contract": step.kind.name(), "address": step.address, "tx": step.tx_hash })
    }).collect();
    output.answer(
        format!("{} contracts on {name}, written to {}", steps.len(), file.display()),
        &json!({
            "chain_id": client.chain_id(),
            "sent": true,
            "first_nonce": plan.first_nonce(),
            "contracts": steps,
            "file": file,
            "wrong": wrong,
        }),
    );
    if !wrong.is_empty() {
        bail!("the deployment is not what it should be: {}", wrong.join("; "));
    }
    Ok(())
}

fn words(plan: &Plan, against: &[String], gas: u64, price: u128) -> String {
    let rows: Vec<_> = plan
        .steps()
        .map(|(nonce, kind)| {
            vec![nonce.to_string(), kind.name().to_owned(), plan.address_of(kind).to_string()]
        })
        .collect();
    let verdict = match against.is_empty() {
        true => "nothing was sent; --send does it".to_owned(),
        false => format!("not possible: {}", against.join("; ")),
    };
    format!(
        "{}\nabout {gas} gas at up to {price} wei each, owned by {}\n{verdict}",
        table(&["NONCE", "CONTRACT", "ADDRESS"], &rows),
        plan.address_of(ContractKind::Timelock),
    )
}

fn value(client: &ChainClient, plan: &Plan, against: &[String], gas: u64, price: u128) -> Value {
    let steps: Vec<_> = plan
        .steps()
        .map(|(nonce, kind)| {
            json!({ "contract": kind.name(), "address": plan.address_of(kind), "nonce": nonce })
        })
        .collect();
    json!({
        "chain_id": client.chain_id(),
        "sent": false,
        "first_nonce": plan.first_nonce(),
        "contracts": steps,
        "gas": gas,
        "max_fee_per_gas": price.to_string(),
        "wrong": against,
    })
}
