//! The main job on real parts: two chains, contracts, a host with a real small model, three
//! renters; answers stream, a renter is cut off, the host is killed, and everything settles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demonstration prints, and stops where it cannot go on"
)]

use std::process::ExitCode;
use std::time::Duration;

use capstan_chain::LocalSigner;
use capstan_tests::oracle::{self, Closed};
use capstan_tests::process::{self, Process};
use capstan_tests::world::{BASE_SEPOLIA, Devnet, OPBNB_TESTNET, World};
use clap::Parser;
use futures_util::StreamExt;
use serde_json::{Value, json};

/// Streamed tokens after which the renter is cut off and the host is killed: past the first
/// voucher, well before the end of a story.
const CUT_AFTER: usize = 40;

/// Longest wait for a settlement.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    /// Print one JSON document on standard output
    #[arg(long)]
    json: bool,
}

struct Renter {
    process: Process,
    url: String,
    session: String,
    chain_id: u64,
    symbol: &'static str,
    token: String,
    decimals: u32,
    deposit: u128,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let say = |text: &str| eprintln!("{text}");
    say("· starting two chains and deploying the contracts");
    let world = World::start().await;
    world.configure("\n[host]\ngrace_seconds = 2\n");
    let host_account = world.account(1000, 0).await;
    let renters =
        [world.account(0, 0).await, world.account(0, 0).await, world.account(0, 100).await];
    let listen = format!("127.0.0.1:{}", process::free_port());
    say("· registering the host on both chains");
    process::register(&world, &host_account, &format!("http://{listen}")).await;
    let (mut host, url) = process::host(&world, &host_account, &listen).await;
    let place = (host_account.address(), url.as_str());
    say(&format!("· host {} listens on {url}", host_account.address()));

    let mut eth = open(&world, &renters[0], "eth", BASE_SEPOLIA, "ETH", "0.001", place).await;
    let mut bnb = open(&world, &renters[1], "bnb", OPBNB_TESTNET, "BNB", "0.001", place).await;
    let mut usdc = open(&world, &renters[2], "usdc", BASE_SEPOLIA, "USDC", "1", place).await;

    say("\n[ETH on 84532] What is a voucher?");
    say(&ask(&eth.url, "What is a voucher?", usize::MAX).await.0);

    say("\n[USDC on 84532] Tell me a story about a fox. (this renter is cut off)");
    let (text, _) = ask(&usdc.url, "Tell me a story about a fox.", CUT_AFTER).await;
    usdc.process.kill().await;
    say(&format!("{text}… connection lost"));
    say("· the host waits for it to come back, then settles with the newest voucher");
    settled(world.chain(usdc.chain_id), &usdc.session).await;

    say("\n[BNB on 5611] Tell me a story about an owl. (the host is killed with -9)");
    let (text, _) = ask(&bnb.url, "Tell me a story about an owl.", CUT_AFTER).await;
    host.kill().await;
    say(&format!("{text}… host killed"));
    let (mut host, _) = process::host(&world, &host_account, &listen).await;
    say("· host restarted; the link comes back by itself");
    say("[BNB on 5611] What is the capital of France?");
    say(&ask_again(&bnb.url, "What is the capital of France?").await);

    eth.process.terminate_for("settled").await;
    bnb.process.terminate_for("settled").await;
    say("\n· all sessions ended; reading the settlements from the chains");

    let host_text = host_account.address().to_string();
    let mut sessions = Vec::new();
    let mut conserved = true;
    for renter in [&eth, &bnb, &usdc] {
        let chain = world.chain(renter.chain_id);
        let closed = settled(chain, &renter.session).await;
        let ended_by = ended_by(&url, renter).await;
        conserved &= closed.host_paid + closed.fee + closed.refund == renter.deposit;
        conserved &= closed.host_paid > 0 && oracle::succeeded(&chain.anvil.url, &closed.tx).await;
        sessions.push((renter, closed, ended_by));
    }
    conserved &= ledger_agrees(&world, &host_text, &sessions).await;
    let drained = host.terminate().await;
    report(&args, &sessions, conserved);
    if conserved && drained { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn open(
    world: &World,
    account: &LocalSigner,
    data: &str,
    chain_id: u64,
    symbol: &'static str,
    deposit: &str,
    place: (capstan_base::Address, &str),
) -> Renter {
    let chain = world.chain(chain_id);
    let command = process::rent(world, account, data, (chain.name, symbol, deposit), place);
    let mut process = Process::start(command);
    let opened = process.event("opened").await;
    let url = process.event("listening").await["url"].as_str().expect("a URL").to_owned();
    let session = opened["session_id"].as_str().expect("an id").to_owned();
    eprintln!("· {deposit} {symbol} on chain {chain_id} opened session {session}");
    Renter {
        process,
        url,
        session,
        chain_id,
        symbol,
        token: opened["token"].as_str().expect("a token").to_owned(),
        decimals: if symbol == "USDC" { 6 } else { 18 },
        deposit: opened["deposit"].as_str().expect("a deposit").parse().expect("a number"),
    }
}

/// Streams an answer from an OpenAI endpoint; stops reading after `limit` chunks. Gives the text,
/// and whether the answer came to its end.
async fn ask(url: &str, question: &str, limit: usize) -> (String, bool) {
    let body = json!({
        "model": "capstan-tiny",
        "stream": true,
        "messages": [{ "role": "user", "content": question }],
    });
    let response = reqwest::Client::new()
        .post(format!("{url}/chat/completions"))
        .json(&body)
        .send()
        .await
        .expect("the endpoint answers");
    if !response.status().is_success() {
        eprintln!("  refused: {}", response.text().await.unwrap_or_default());
        return (String::new(), false);
    }
    let mut bytes = response.bytes_stream();
    let (mut buffer, mut text, mut chunks) = (String::new(), String::new(), 0);
    while let Some(Ok(piece)) = bytes.next().await {
        buffer.push_str(&String::from_utf8_lossy(&piece));
        while let Some((line, rest)) = buffer.split_once('\n') {
            let data = line.strip_prefix("data: ").map(str::to_owned);
            buffer = rest.to_owned();
            let Some(data) = data else { continue };
            if data == "[DONE]" {
                return (text, true);
            }
            let chunk: Value = serde_json::from_str(&data).expect("a JSON chunk");
            text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            chunks += 1;
            if chunks >= limit {
                return (text, false);
            }
        }
    }
    (text, false)
}

/// Asks until the link is back.
async fn ask_again(url: &str, question: &str) -> String {
    for _ in 0..40 {
        let (text, whole) = ask(url, question, usize::MAX).await;
        if whole {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("the link did not come back");
}

async fn settled(chain: &Devnet, session: &str) -> Closed {
    let settled = async {
        loop {
            let mut all = oracle::closings(&chain.anvil.url, &chain.marketplace(), session).await;
            assert!(all.len() < 2, "session {session} closed twice: {all:?}");
            if let Some(closed) = all.pop() {
                return closed;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(SETTLE_WITHIN, settled).await.expect("every session settles")
}

async fn ended_by(host: &str, renter: &Renter) -> String {
    let url = format!("{host}/v1/session/{}/info?chain_id={}", renter.session, renter.chain_id);
    let info: Value =
        reqwest::get(url).await.expect("the host answers").json().await.expect("JSON");
    info["ended_by"].as_str().unwrap_or("unknown").to_owned()
}

/// The host's ledger balance on each chain is the sum of what its sessions paid there.
async fn ledger_agrees(world: &World, host: &str, sessions: &[(&Renter, Closed, String)]) -> bool {
    for (renter, _, _) in sessions {
        let chain = world.chain(renter.chain_id);
        let paid: u128 = sessions
            .iter()
            .filter(|(other, _, _)| {
                other.chain_id == renter.chain_id && other.token == renter.token
            })
            .map(|(_, closed, _)| closed.host_paid)
            .sum();
        let held =
            oracle::ledger(&chain.anvil.url, &chain.marketplace(), host, &renter.token).await;
        if held != paid {
            eprintln!("the ledger holds {held} for the host, its sessions paid {paid}");
            return false;
        }
    }
    true
}

fn report(args: &Args, sessions: &[(&Renter, Closed, String)], conserved: bool) {
    let values: Vec<_> = sessions
        .iter()
        .map(|(renter, closed, ended_by)| {
            json!({
                "session_id": renter.session,
                "chain_id": renter.chain_id,
                "token": renter.symbol,
                "tokens": closed.tokens,
                "deposit": renter.deposit.to_string(),
                "host_paid": closed.host_paid.to_string(),
                "fee": closed.fee.to_string(),
                "refunded": closed.refund.to_string(),
                "close_tx": closed.tx,
                "ended_by": ended_by,
            })
        })
        .collect();
    if args.json {
        println!("{}", json!({ "sessions": values, "conserved": conserved }));
        return;
    }
    println!(
        "{:<12} {:>6} {:<5} {:>6} {:>12} {:>14} {:>14} {:>14}  {:<12} TRANSACTION",
        "SESSION",
        "CHAIN",
        "TOKEN",
        "TOKENS",
        "DEPOSIT",
        "HOST PAID",
        "FEE",
        "REFUNDED",
        "ENDED BY"
    );
    for (renter, closed, ended_by) in sessions {
        let human = |units: u128| decimal(units, renter.decimals);
        println!(
            "{:<12} {:>6} {:<5} {:>6} {:>12} {:>14} {:>14} {:>14}  {:<12} {}",
            &renter.session[..12],
            renter.chain_id,
            renter.symbol,
            closed.tokens,
            human(renter.deposit),
            human(closed.host_paid),
            human(closed.fee),
            human(closed.refund),
            ended_by,
            closed.tx
        );
    }
    println!(
        "deposit = host + fee + refund on every session, and the ledger agrees: {}",
        if conserved { "yes" } else { "NO" }
    );
}

fn decimal(units: u128, decimals: u32) -> String {
    let one = 10_u128.pow(decimals);
    let fraction = format!("{:0>width$}", units % one, width = decimals as usize);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        (units / one).to_string()
    } else {
        format!("{}.{fraction}", units / one)
    }
}
