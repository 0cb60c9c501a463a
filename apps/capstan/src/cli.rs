//! The command line: names, help, where values come from. File < environment < flags.

use std::path::PathBuf;

use capstan_base::Address;
use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Sell and rent LLM inference by the token, settled on the chain the money lies on.
#[derive(Debug, Parser)]
#[command(name = "capstan", version, propagate_version = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file: chains, contracts, host limits [default: ./capstan.toml if it exists]
    #[arg(long, global = true, env = "CAPSTAN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where this node keeps its database [default: ~/.capstan]
    #[arg(long, global = true, env = "CAPSTAN_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Log as JSON lines on standard error
    #[arg(long, global = true, env = "CAPSTAN_LOG_JSON")]
    pub log_json: bool,
    /// What to log, such as `info,capstan_host=debug`
    #[arg(long, global = true, env = "CAPSTAN_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// The account's key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Where the account's key comes from. Never from the command line itself, which every process of
/// the machine can read.
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// Keystore file (version 3 JSON); without one the key is read from CAPSTAN_PRIVATE_KEY or
    /// HOST_PRIVATE_KEY
    #[arg(long, global = true, env = "CAPSTAN_KEYSTORE", value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    /// File that holds the keystore's password; without one it is read from CAPSTAN_PASSWORD or
    /// asked for
    #[arg(long, global = true, env = "CAPSTAN_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key, or show an account's address
    #[command(subcommand)]
    Key(commands::key::KeyCommand),
    /// List chains, and check those that are enabled
    Chains(commands::chains::ChainsArgs),
    /// Register as a host: stake, prices, endpoint
    Register(commands::register::RegisterArgs),
    /// See, change and end a registration
    #[command(subcommand)]
    Registration(commands::registration::RegistrationCommand),
    /// Serve models to renters and settle their sessions
    Host(commands::host::HostArgs),
    /// List who serves a model, for how much, and how well so far
    Hosts(commands::hosts::HostsArgs),
    /// Open a session at a host and use it through a local OpenAI endpoint
    Rent(commands::rent::RentArgs),
    /// Open a session if need be and print an API key with a signed ceiling
    Voucher(commands::voucher::VoucherArgs),
    /// List the sessions opened from here
    Sessions(commands::sessions::SessionsArgs),
    /// Close a session without the host
    Close(commands::close::CloseArgs),
    /// Show or withdraw what the ledger holds for this account
    Earnings(commands::earnings::EarningsArgs),
    /// List transactions: wanted, under way, over
    Intents(commands::intents::IntentsArgs),
    /// Tell the whole story of one transaction
    Explain(commands::explain::ExplainArgs),
    /// Claim what was signed for, while the host does not run
    Settle(commands::settle::SettleArgs),
    /// Let one transaction of the account make many calls (EIP-7702)
    Delegate(commands::delegate::DelegateArgs),
    /// Deploy the whole protocol on a chain, owned by its token's votes
    Deploy(commands::deploy::DeployArgs),
    /// Compare what is stored with the chains, once
    Reconcile(commands::reconcile::ReconcileArgs),
    /// Check everything an operator depends on, and say what to do
    Doctor(commands::doctor::DoctorArgs),
}

/// An account as an argument. Written in both cases it carries a checksum (EIP-55), and money goes
/// nowhere if that is wrong.
pub fn account(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|error| format!("{error}"))?;
    let digits = text.trim_start_matches("0x");
    let mixed = digits.bytes().any(|byte| byte.is_ascii_uppercase())
        && digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if mixed && digits != address.to_checksum(None).trim_start_matches("0x") {
        return Err("its checksum is wrong: look for a mistyped or mixed-up character".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_account_is_refused() {
        let right = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let address = account(right).unwrap();
        assert_eq!(account(&right.to_lowercase()), Ok(address));
        assert_eq!(account(&right.to_uppercase().replace("0X", "0x")), Ok(address));
        account(&right.replace("aad", "aab")).unwrap_err();
        account(&right.replace("d6e", "D6e")).unwrap_err();
        account("0x12").unwrap_err();
    }
}
