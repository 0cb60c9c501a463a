//! The commands, one file each.

pub mod chains;
pub mod close;
pub mod delegate;
pub mod deploy;
pub mod doctor;
pub mod earnings;
pub mod explain;
pub mod host;
pub mod hosts;
pub mod intents;
pub mod key;
pub mod reconcile;
pub mod register;
pub mod registration;
pub mod rent;
pub mod sessions;
pub mod settle;
pub mod voucher;

use anyhow::Result;
use capstan_kit::telemetry::{LogFormat, init_logs};

use crate::cli::{Cli, Command};
use crate::output::Output;

/// Runs one command.
pub async fn run(cli: Cli, output: &Output) -> Result<()> {
    let Cli { global, command } = cli;
    let format = if global.log_json { LogFormat::Json } else { LogFormat::Text };
    // A command that answers and ends is quiet; a host tells what it does.
    let quiet = if matches!(command, Command::Host(_)) { "info" } else { "warn" };
    init_logs(format, Some(global.log.as_deref().unwrap_or(quiet)))?;
    match command {
        Command::Key(command) => key::run(command, &global, output).await,
        Command::Chains(args) => chains::run(args, &global, output).await,
        Command::Register(args) => Box::pin(register::run(args, &global, output)).await,
        Command::Host(args) => Box::pin(host::run(args, &global, output)).await,
        Command::Hosts(args) => Box::pin(hosts::run(args, &global, output)).await,
        Command::Rent(args) => Box::pin(rent::run(args, &global, output)).await,
        Command::Voucher(args) => voucher::run(args, &global, output).await,
        Command::Sessions(args) => sessions::run(args, &global, output).await,
        Command::Close(args) => close::run(args, &global, output).await,
        Command::Earnings(args) => earnings::run(args, &global, output).await,
        Command::Registration(command) => {
            Box::pin(registration::run(command, &global, output)).await
        }
        Command::Intents(args) => intents::run(args, &global, output).await,
        Command::Explain(args) => explain::run(args, &global, output).await,
        Command::Settle(args) => Box::pin(settle::run(args, &global, output)).await,
        Command::Delegate(args) => Box::pin(delegate::run(args, &global, output)).await,
        Command::Deploy(args) => Box::pin(deploy::run(args, &global, output)).await,
        Command::Reconcile(args) => Box::pin(reconcile::run(args, &global, output)).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, &global, output)).await,
    }
}
