//! The command line: names, help, where values come from. File < environment < flags.

use std::path::PathBuf;

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
    /// Serve models to renters and settle their sessions
    Host(commands::host::HostArgs),
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
}
