//! What a host tells of a settlement: log lines that say whose it is, and every documented series.

use std::time::Duration;

use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::tools;
use serde_json::{Map, Value};

/// Longest wait for a line or a series.
const SOON: Duration = Duration::from_secs(60);

/// Documented series that begin with an event that this settlement does not have.
const ONLY_AFTER_AN_EVENT: [&str; 2] = ["capstan_alerts_sent_total", "capstan_task_restarts_total"];

/// Fields of a log line, those of its spans included.
fn fields(line: &str) -> Map<String, Value> {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let mut all = Map::new();
    for span in line["spans"].as_array().into_iter().flatten() {
        all.extend(span.as_object().unwrap().clone());
    }
    all.extend(line.as_object().unwrap().clone());
    all
}

/// Lines with this message, once there are any.
async fn lines(log: &std::path::Path, message: &str) -> Vec<Map<String, Value>> {
    let found = async {
        loop {
            let text = std::fs::read_to_string(log).unwrap();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let mut lines: Vec<_> = whole.lines().map(fields).collect();
            lines.retain(|line| line["message"] == message);
            if !lines.is_empty() {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("no line says {message:?}"))
}

/// Names in the first column of the metrics table of `docs/operations.md`.
fn documented() -> Vec<String> {
    let text = std::fs::read_to_string(tools::root().join("docs/operations.md")).unwrap();
    let table = text.split("| series | labels | is |").nth(1).expect("the table of series");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let column = |row: &str| row.split('|').nth(1).unwrap_or_default().to_owned();
    let names = rows.flat_map(|row| {
        let names: Vec<_> = column(row).split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names
    });
    names.collect()
}

#[tokio::test]
async fn every_line_and_every_series_of_a_settlement_says_where_it_belongs() {
    let mut scene = Scene::start("").await;
    scene.host.kill().await;
    let log = scene.world.dir.path().join("host.log");
    scene.restart_logging_to(&log).await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    renter.end().await;
    scene.settles_for(&paper, renter.owed()).await;

    let session = paper.id().to_string();
    for message in ["session admitted", "settlement stored", "session ended", "session settled"] {
        for line in lines(&log, message).await {
            assert_eq!(line["chain_id"], 84532, "{line:?}");
            assert_eq!(line["chain"], "base-sepolia", "{line:?}");
            assert_eq!(line["token"], "ETH", "{line:?}");
            assert_eq!(line["session"], session, "{line:?}");
        }
    }
    let stored = lines(&log, "settlement stored").await;
    for message in ["signed and stored", "final", "over"] {
        for line in lines(&log, message).await {
            assert_eq!(
                (&line["chain_id"], &line["chain"]),
                (&84532.into(), &"base-sepolia".into())
            );
        }
    }
    for message in ["signed and stored", "over"] {
        for line in lines(&log, message).await {
            assert_eq!(line["intent"], stored[0]["intent"], "{line:?}");
            assert!(line["key"].as_str().unwrap().contains(&session), "{line:?}");
            assert!(line["label"].as_str().unwrap().starts_with("settle "), "{line:?}");
        }
    }

    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    let mut missing: Vec<&String> = documented.iter().collect();
    missing.retain(|name| !ONLY_AFTER_AN_EVENT.contains(&name.as_str()));
    let mut page = String::new();
    let all = async {
        while !missing.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let url = format!("{}/metrics", scene.url);
            page = reqwest::get(url).await.unwrap().text().await.unwrap();
            missing.retain(|name| !page.lines().any(|line| is_sample(line, name)));
        }
    };
    let all = tokio::time::timeout(SOON, all).await;
    assert!(all.is_ok(), "{missing:?} are not in:\n{page}");
    let sender = scene.account.address();
    for name in ["capstan_engine_attempts_total", "capstan_engine_mined_total"] {
        let series = format!("{name}{{chain_id=\"84532\",sender=\"{sender}\"}} 1");
        assert!(page.contains(&series), "{series} is not in:\n{page}");
    }
    for name in ["capstan_rpc_requests_total", "capstan_rpc_head_lag_blocks"] {
        let series = format!("{name}{{chain=\"base-sepolia\",endpoint=");
        assert!(page.contains(&series), "{series} is not in:\n{page}");
    }
}

/// True for a value of this series; a histogram has several kinds.
fn is_sample(line: &str, name: &str) -> bool {
    let rest = line.strip_prefix(name);
    rest.is_some_and(|rest| ["{", " ", "_bucket{"].iter().any(|next| rest.starts_with(next)))
}
