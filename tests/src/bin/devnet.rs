//! Two local chains with contracts and a running host, to try the product by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a stage for trying things prints, and stops where it cannot go on"
)]

use std::process::ExitCode;

use capstan_tests::process;
use capstan_tests::tools;
use capstan_tests::world::World;
use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// Address the host listens on
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Print one JSON document with everything a program needs
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    eprintln!("· starting two chains, deploying the contracts, registering a host");
    let world = World::start().await;
    let account = world.account(2000, 0).await;
    let renter = world.account(0, 1000).await;
    process::register(&world, &account, &format!("http://{}", args.listen)).await;
    let (mut host, url) = process::host(&world, &account, &args.listen).await;
    let key = process::private_key(&renter);
    let chains: Vec<_> = world
        .chains
        .iter()
        .map(|chain| {
            json!({
                "chain_id": chain.anvil.chain_id,
                "name": chain.name,
                "rpc_url": chain.anvil.url,
                "marketplace": chain.marketplace(),
                "node_registry": chain.contracts.node_registry,
                "usdc": chain.usdc,
            })
        })
        .collect();
    let capstan = tools::capstan().display().to_string();
    let (config, data) = (process::text(&world.config()), process::text(&world.data("renter")));
    if args.json {
        println!(
            "{}",
            json!({
                "host": account.address(), "host_url": url, "capstan": capstan, "config": config,
                "data": data, "renter": renter.address(), "renter_key": key, "chains": chains,
                "model": process::text(&tools::model()),
            })
        );
    } else {
        for chain in &world.chains {
            println!("chain {} ({}) on {}", chain.anvil.chain_id, chain.name, chain.anvil.url);
        }
        println!("host {} on {url}\n", account.address());
        println!(
            "In another terminal, as a renter with play money (10 coins and 1000 USDC a chain):\n"
        );
        println!("  export CAPSTAN_CONFIG={config}\n  export CAPSTAN_DATA={data}");
        println!("  export CAPSTAN_PRIVATE_KEY={key}");
        println!("  alias capstan={capstan}\n");
        let rent =
            format!("--host {} --model {}", account.address(), process::text(&tools::model()));
        println!("  capstan rent {rent} --deposit 0.001 --chat");
        println!("  capstan rent {rent} --chain opbnb-testnet --deposit 0.001");
        println!("  capstan rent {rent} --token USDC --deposit 1");
        println!("  capstan voucher {rent} --deposit 0.001     # an API key for curl and the like");
        println!("  capstan sessions --all\n");
        println!("Ctrl-C ends everything.");
    }
    stopped().await;
    if host.terminate().await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ctrl-C or SIGTERM: either must end the chains too.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the signal can be heard");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
