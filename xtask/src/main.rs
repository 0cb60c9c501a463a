//! Developer commands: `cargo xtask <command>`. They need Rust, Node.js and npm, and
//! those that prove or analyse contracts Python besides.
//!
//! Progress goes to stderr, results to stdout, so that every `--json` can be piped.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer command speaks to a terminal"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod build;
mod commands;
mod forge;
mod python;
mod repo;
mod steps;
mod tidy;
mod toolchain;

/// Developer commands of Capstan.
///
/// Start with `cargo xtask demo` to see the product work, and with `cargo xtask test` before you
/// hand in a change. Everything they fetch goes into `.tools/` and the cargo target folder.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Devnet(commands::devnet::Args),
    Faults(commands::faults::Args),
    Test(commands::test::Args),
    Simulate(commands::simulate::Args),
    Tidy(commands::tidy::Args),
    Gas(commands::gas::Args),
    Artifacts(commands::artifacts::Args),
    ContractsLong(commands::contracts_long::Args),
    ContractsCoverage(commands::contracts_coverage::Args),
    ContractsSymbolic(commands::contracts_symbolic::Args),
    ContractsStatic(commands::contracts_static::Args),
    ContractsMutate(commands::contracts_mutate::Args),
    Bench(commands::bench::Args),
    Tools(commands::tools::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = repo::Repo::find().and_then(|repo| match cli.command {
        Command::Demo(args) => commands::demo::run(&repo, &args),
        Command::Devnet(args) => commands::devnet::run(&repo, &args),
        Command::Faults(args) => commands::faults::run(&repo, &args),
        Command::Test(args) => commands::test::run(&repo, &args),
        Command::Simulate(args) => commands::simulate::run(&repo, &args),
        Command::Tidy(args) => commands::tidy::run(&repo, &args),
        Command::Gas(args) => commands::gas::run(&repo, &args),
        Command::Bench(args) => commands::bench::run(&repo, &args),
        Command::Artifacts(args) => commands::artifacts::run(&repo, &args),
        Command::ContractsLong(args) => commands::contracts_long::run(&repo, &args),
        Command::ContractsCoverage(args) => commands::contracts_coverage::run(&repo, &args),
        Command::ContractsSymbolic(args) => commands::contracts_symbolic::run(&repo, &args),
        Command::ContractsStatic(args) => commands::contracts_static::run(&repo, &args),
        Command::ContractsMutate(args) => commands::contracts_mutate::run(&repo, &args),
        Command::Tools(args) => commands::tools::run(&repo, &args),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches() {
        for command in Cli::command().get_subcommands() {
            let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            assert!(long.len() > 120, "`{}` has no long help", command.get_name());
        }
    }
}
