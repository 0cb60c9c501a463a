//! One of several engines with one key: submits what it is told, sends what is due while it leads.
//! The set-up comes as its argument, commands on standard input; it answers in JSON lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a process made to be killed stops where it cannot go on, and prints its answers"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Bytes, U256};
use capstan_base::ChainId;
use capstan_chain::{ChainClient, ChainRegistry, Finality, LocalSigner};
use capstan_engine::{Engine, EngineConfig, LaneChain, LaneConfig};
use capstan_kit::telemetry::{LogFormat, Metrics, init_logs};
use capstan_store::{LaneKey, NewIntent, PgStore};
use capstan_tests::many::{CHAIN, GIFT, Said, Setup, payee};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_util::sync::CancellationToken;

/// Before a submission that failed is tried again.
const AGAIN: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let filter = std::env::var("CAPSTAN_LOG").unwrap_or_else(|_| "error".to_owned());
    init_logs(LogFormat::Text, Some(&filter)).expect("a log filter");
    let metrics = Metrics::install().expect("metrics");
    let setup = std::env::args().nth(1).expect("the set-up");
    let setup: Setup = serde_json::from_str(&setup).expect("a set-up");
    let url = setup.store.parse().expect("a URL");
    let store = PgStore::connect(&url, "member").await.expect("the database");
    let signer = Arc::new(LocalSigner::from_bytes("set-up", setup.key.as_slice()).expect("a key"));
    let lane = LaneKey { chain_id: ChainId(CHAIN), sender: signer.address() };
    let engine = start(&setup, store, signer);
    say(Said::Ready);
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Some(command) = commands.next_line().await.expect("text") {
        match command.split_once(' ') {
            Some(("submit", number)) => {
                let number = number.parse().expect("a number");
                tokio::spawn(submit(engine.clone(), lane, number));
            }
            _ => say(Said::Leads(leads(&metrics.render()))),
        }
    }
}

fn start(setup: &Setup, store: PgStore, signer: Arc<LocalSigner>) -> Engine {
    let text = format!("[chains.opbnb-testnet]\nrpc_urls = [\"{}\"]\n", setup.rpc);
    let registry =
        ChainRegistry::load(&text.parse().expect("TOML"), |_| None).expect("a configuration");
    let config = registry.known(ChainId(CHAIN)).expect("a preset").clone();
    let lane = LaneConfig {
        finality: Finality::Depth(2),
        poll_interval: Duration::from_millis(250),
        idle_interval: Duration::from_secs(1),
        max_fee: config.max_fee,
        ..LaneConfig::default()
    };
    let client: Arc<dyn LaneChain> = Arc::new(ChainClient::connect(config));
    Engine::start(
        Arc::new(store),
        HashMap::from([(ChainId(CHAIN), client)]),
        vec![signer],
        EngineConfig { default: lane, ..EngineConfig::default() },
        CancellationToken::new(),
    )
    .expect("an engine")
}

async fn submit(engine: Engine, lane: LaneKey, number: u64) {
    let key = format!("gift {number}");
    let intent = NewIntent::new(key, lane, payee(number), U256::from(GIFT), Bytes::new());
    while engine.submit(intent.clone()).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
    say(Said::Submitted(number));
}

fn leads(metrics: &str) -> bool {
    let mut lines = metrics.lines().filter(|line| line.starts_with("capstan_engine_leads{"));
    lines.any(|line| line.ends_with(" 1"))
}

fn say(said: Said) {
    println!("{}", serde_json::to_string(&said).expect("JSON"));
}
