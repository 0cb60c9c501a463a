//! The settler process; see the library's `settler` for what it is told and what it answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a process made to be killed stops where it cannot go on, and prints its answers"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capstan_base::ChainId;
use capstan_chain::rpc::PoolOptions;
use capstan_chain::{ChainClient, ChainRegistry, Finality, LocalSigner};
use capstan_engine::{Engine, EngineConfig, LaneChain, LaneConfig};
use capstan_kit::telemetry::{LogFormat, init_logs};
use capstan_store::{EngineStore, IntentFilter, Store};
use capstan_tests::settler::{Counts, DeadlyStore, KILL_ENV, Line, Setup, Told};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Times of the endpoints' pool, as much shorter than the product's own as the blocks are.
const POOL: PoolOptions = PoolOptions {
    deadline: Duration::from_millis(250),
    cool_down: Duration::from_millis(25),
    ejection: Duration::from_millis(500),
    look: Duration::from_millis(25),
    recheck: Duration::from_millis(1000),
    silence: Duration::from_millis(2000),
};

/// Between looks at the store for a change worth telling.
const TICK: Duration = Duration::from_millis(20);

/// Before a submission that failed is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// SIGXFSZ of Linux: a write beyond the file size limit. With a handler the write fails instead.
const FILE_TOO_LARGE: i32 = 25;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let filter = std::env::var("CAPSTAN_LOG").ok();
    init_logs(LogFormat::Text, filter.as_deref()).expect("a log filter");
    let _ignored = signal(SignalKind::from_raw(FILE_TOO_LARGE)).expect("a signal handler");
    let path = std::env::args_os().nth(1).expect("the set-up's path");
    let setup: Setup =
        serde_json::from_slice(&std::fs::read(path).expect("the set-up")).expect("a set-up");
    let point = std::env::var(KILL_ENV).ok().map(|text| text.parse().expect("a kill point"));
    let plain = Store::open(&setup.database).expect("the database opens");
    let store: Arc<dyn EngineStore> = Arc::new(DeadlyStore::new(plain.clone(), point));
    let cancel = CancellationToken::new();
    let engine = start(&setup, Arc::clone(&store), cancel.clone());
    say(&Line::Ready);
    let submitted = Arc::new(AtomicUsize::new(0));
    tokio::spawn(submit(setup, engine.clone(), Arc::clone(&submitted)));
    tokio::spawn(tell_counts(Arc::clone(&store), submitted));
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(command)) = commands.next_line().await {
        match command.as_str() {
            // SQLite takes no limit below what it has, and no page beyond it.
            "fill" => plain.limit_pages(1).await.expect("a limit"),
            "empty" => plain.limit_pages(u32::MAX / 2).await.expect("a limit"),
            "cap_files" => cap_files(Some(4096)),
            "uncap_files" => cap_files(None),
            "report" => say(&Line::Report { intents: report(store.as_ref()).await }),
            "stop" => break,
            other => panic!("{other:?} is no command"),
        }
    }
    cancel.cancel();
    engine.stopped().await;
}

fn start(setup: &Setup, store: Arc<dyn EngineStore>, cancel: CancellationToken) -> Engine {
    let chain_id = ChainId(setup.chain_id);
    let urls = setup.urls.join("\", \"");
    let name = if setup.chain_id == 84532 { "base-sepolia" } else { "opbnb-testnet" };
    let [market, nodes] = setup.contracts;
    let text = format!(
        "[chains.{name}]\nrpc_urls = [\"{urls}\"]\n[chains.{name}.contracts]\n\
         job_marketplace = \"{market}\"\nnode_registry = \"{nodes}\"\n"
    );
    let registry =
        ChainRegistry::load(&text.parse().expect("TOML"), |_| None).expect("a configuration");
    let config = registry.known(chain_id).expect("a preset").clone();
    let lane = LaneConfig {
        finality: Finality::Depth(setup.finality_depth),
        poll_interval: Duration::from_millis(setup.poll_ms),
        idle_interval: Duration::from_millis(setup.poll_ms * 5),
        max_fee: config.max_fee,
        ..LaneConfig::default()
    };
    let client: Arc<dyn LaneChain> = Arc::new(ChainClient::with_options(config, POOL));
    let signer = LocalSigner::from_bytes("set-up", setup.key.as_slice()).expect("a key");
    let chains = HashMap::from([(chain_id, client)]);
    let config = EngineConfig { default: lane, ..EngineConfig::default() };
    Engine::start(store, chains, vec![Arc::new(signer)], config, cancel).expect("an engine")
}

/// Puts each job into the outbox when it is due, until that succeeds.
async fn submit(setup: Setup, engine: Engine, submitted: Arc<AtomicUsize>) {
    let signer = LocalSigner::from_bytes("set-up", setup.key.as_slice()).expect("a key");
    for job in &setup.jobs {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let due = Duration::from_millis(setup.began_ms + job.at_ms);
        tokio::time::sleep(due.saturating_sub(now)).await;
        let intent = job.intent(ChainId(setup.chain_id), signer.address());
        while engine.submit(intent.clone()).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
        submitted.fetch_add(1, Ordering::SeqCst);
    }
}

async fn tell_counts(store: Arc<dyn EngineStore>, submitted: Arc<AtomicUsize>) {
    let mut last = None;
    loop {
        tokio::time::sleep(TICK).await;
        let submitted = submitted.load(Ordering::SeqCst);
        let Ok(intents) = store.intents(IntentFilter::default()).await else { continue };
        let over = intents.iter().filter(|intent| is_over(intent.state.as_str())).count();
        let mined = intents.iter().filter(|intent| intent.inclusion.is_some());
        let included = mined.filter(|intent| !is_over(intent.state.as_str())).count();
        let counts = Counts { submitted, intents: intents.len(), included, over };
        if last != Some(counts) {
            last = Some(counts);
            say(&Line::Counts(counts));
        }
    }
}

fn is_over(state: &str) -> bool {
    matches!(state, "final" | "failed")
}

async fn report(store: &dyn EngineStore) -> Vec<Told> {
    let mut told = Vec::new();
    for intent in store.intents(IntentFilter::default()).await.expect("a list") {
        let attempts = store.attempts(intent.id).await.expect("attempts");
        let history = store.history(intent.id).await.expect("a history");
        told.push(Told {
            name: intent.request.idempotency_key.clone(),
            state: intent.state.as_str().to_owned(),
            mined: intent.inclusion.map(|mined| (mined.tx_hash, mined.success)),
            failure: intent
                .failure
                .map(|failure| format!("{}: {}", failure.code.as_str(), failure.detail)),
            attempts: attempts.iter().map(|attempt| attempt.signed.tx_hash).collect(),
            history: history.iter().map(|row| format!("{}: {}", row.what, row.detail)).collect(),
        });
    }
    told
}

/// Limits what this process may write to a file, which is how a full disk looks to it.
fn cap_files(bytes: Option<u64>) {
    let limits = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes, ..limits }).expect("a soft limit");
}

fn say(line: &Line) {
    println!("{}", serde_json::to_string(line).expect("JSON"));
}
