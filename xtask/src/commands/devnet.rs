//! `cargo xtask devnet`: a stage to try the product by hand.

use std::process::ExitCode;

use anyhow::Result;

use crate::commands::demo::play;
use crate::repo::Repo;

/// Starts two local chains and a host, and waits while you try things.
///
/// Deploys the contracts on two local EVM chains, registers a host with the project's own small
/// model on both, and prints what to type in another terminal to rent it: with the chat, with any
/// OpenAI client, with curl. Everything is play money and gone after Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address the host listens on
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Print one JSON document with everything a program needs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    let mut arguments = vec!["--listen", &args.listen];
    if args.json {
        arguments.push("--json");
    }
    play(repo, "devnet", &arguments)
}
