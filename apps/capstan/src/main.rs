//! Capstan: sell and rent LLM inference by the token, settled on the chain the money lies on.
//!
//! The only place that names concrete adapters. Each command is one file under `commands/`.

mod account;
mod chain_file;
mod cli;
mod commands;
mod context;
mod desk;
mod key;
mod look;
mod output;
mod registration;
mod rental;
mod settings;
mod wish;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::output::Output;

/// Exit code for mistakes in configuration or arguments, as clap's own.
const EXIT_USAGE: u8 = 2;

/// Exit code when some of several things were done, and some were not.
const EXIT_PARTIAL: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&anyhow::Error::new(error).context("cannot start the runtime"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(Box::pin(commands::run(cli, &output)));
    // Blocking reads of a terminal must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.failure(&error);
            let usage = error.is::<capstan_kit::Problems>() || error.is::<settings::UsageError>();
            match () {
                () if usage => ExitCode::from(EXIT_USAGE),
                () if error.is::<settings::PartialError>() => ExitCode::from(EXIT_PARTIAL),
                () => ExitCode::FAILURE,
            }
        }
    }
}
