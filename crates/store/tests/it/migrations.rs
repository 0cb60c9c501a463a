//! Old files open with every row they had. The files are committed; `make_fixtures` made them.

use std::path::{Path, PathBuf};

use capstan_base::B256;
use capstan_store::{
    Broadcast, Closing, EngineStore, FailureCode, Intent, IntentFilter, IntentId, IntentState,
    RentalState, SessionState, Store,
};
use rusqlite::Connection;

use crate::samples::{CHAIN, LANE, SENDER, amount, at, key, tally, terms, voucher};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a fixture that may be changed, and its folder.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capstan.db");
    std::fs::copy(fixture(name), &path).unwrap();
    (directory, path)
}

/// Makes the files again, from the published schemas: `cargo test -p capstan-store make_fixtures --
/// --ignored`. They differ only if this file or a schema did.
#[test]
#[ignore = "the files it makes are committed"]
fn make_fixtures() {
    make("schema_2.db", |sql| {
        sql.execute_batch(include_str!("../../schema/0001_engine.sql")).unwrap();
        sql.execute_batch(include_str!("../../schema/0002_sessions.sql")).unwrap();
        sql.execute_batch(&rows_of_schema_2()).unwrap();
        sql.pragma_update(None, "user_version", 2).unwrap();
    });
    make("single_chain.db", |sql| {
        sql.execute_batch(
            "CREATE TABLE sessions (
                 id TEXT PRIMARY KEY, job_id BIGINT, renter TEXT, tokens BIGINT, status TEXT);
             CREATE INDEX idx_sessions_status ON sessions (status);
             INSERT INTO sessions VALUES
                 ('s-1', 7, '0xcc', 120, 'active'), ('s-2', NULL, NULL, 0, 'completed');",
        )
        .unwrap();
    });
}

fn make(name: &str, fill: impl FnOnce(&Connection)) {
    let path = fixture(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(&path);
    let sql = Connection::open(&path).unwrap();
    // Small pages: most tables have a row or two.
    sql.pragma_update(None, "page_size", 1024).unwrap();
    fill(&sql);
    sql.execute_batch("VACUUM").unwrap();
}

/// Intents in every state. The sixth was queued again after its first nonce was lost, and has
/// attempts at both; the seventh was, and waits.
fn rows_of_schema_2() -> String {
    let word = |byte: u8| format!("x'{}'", format!("{byte:02x}").repeat(32));
    let number = |value: u8| format!("x'{}{value:02x}'", "00".repeat(31));
    let sender = format!("x'{}'", "aa".repeat(20));
    let json = |value: serde_json::Value| format!("'{value}'");
    let mut rows = format!("INSERT INTO lanes VALUES (84532, {sender}, 9);");
    for (id, state, nonce, block, success, failure) in [
        (1, "queued", "NULL", 0, "NULL", "NULL"),
        (2, "in_flight", "3", 0, "NULL", "NULL"),
        (3, "included", "4", 30, "1", "NULL"),
        (4, "final", "1", 10, "1", "NULL"),
        (5, "final", "2", 11, "0", "NULL"),
        (6, "in_flight", "8", 0, "NULL", "NULL"),
        (7, "queued", "NULL", 0, "NULL", "NULL"),
        (8, "failed", "NULL", 0, "NULL", "'reverted'"),
    ] {
        let mined = if block == 0 {
            "NULL, NULL, NULL, NULL, NULL".to_owned()
        } else {
            let (hash, price) = (word(id * 16), number(7));
            format!("{hash}, {block}, {}, 21000, {price}", word(0x77))
        };
        rows += &format!(
            "INSERT INTO intents VALUES ({id}, 'key-{id}', 84532, {sender}, x'{to}', {value},
                 x'0102', 90000, {cap}, 5, NULL, 'label {id}', '{state}', {nonce}, {mined},
                 {success}, {failure}, iif({failure} IS NULL, NULL, '0x08'), 100, 200);",
            to = "bb".repeat(20),
            value = number(id),
            cap = number(99),
        );
    }
    for (id, nonce, attempt, broadcast) in [
        (2, 3, 0, "refused"),
        (2, 3, 1, "accepted"),
        (3, 4, 0, "accepted"),
        (4, 1, 0, "accepted"),
        (5, 2, 0, "accepted"),
        (6, 5, 0, "unknown"),
        (6, 5, 1, "unknown"),
        (6, 8, 0, "signed"),
        (7, 6, 0, "accepted"),
    ] {
        let hash = word(id * 16 + attempt + if nonce == 8 { 8 } else { 0 });
        rows += &format!(
            "INSERT INTO attempts (intent_id, chain_id, sender, nonce, attempt, tx_hash, raw,
                 gas_limit, max_fee, priority_fee, broadcast, broadcast_detail, signed_at)
             VALUES ({id}, 84532, {sender}, {nonce}, {attempt}, {hash}, x'02', 90000, {fee},
                 NULL, '{broadcast}', 'said', 150);",
            fee = number(50),
        );
    }
    for id in [6, 7] {
        rows += &format!(
            "INSERT INTO history (intent_id, at, what, detail)
             VALUES ({id}, 160, 'requeued', 'its nonce was used');"
        );
    }
    for (salt, state, intent) in [(1, "settling", "2"), (2, "settled", "4"), (3, "open", "NULL")] {
        let close = if state == "settled" {
            format!("{}, {}, {}, {}", number(1), number(2), number(3), word(4))
        } else {
            "NULL, NULL, NULL, NULL".to_owned()
        };
        let session = key(salt);
        let head = format!(
            "84532, x'{}', x'{}', {}",
            "ee".repeat(20),
            session.session_id.0.to_string().trim_start_matches("0x"),
            json(serde_json::to_value(terms(salt)).unwrap()),
        );
        let signed = json(serde_json::to_value(voucher(session.session_id, 10, 4)).unwrap());
        let counted = json(serde_json::to_value(tally(4)).unwrap());
        rows += &format!(
            "INSERT INTO sessions VALUES ({head}, {input}, {output}, '{state}', {signed},
                 {units}, {counted}, 4, 'ended', 100, 7, NULL, 200, {intent}, {close});",
            input = number(3),
            output = number(5),
            units = number(10),
        );
        let (state, opened) = match state {
            "open" => ("open", "3"),
            "settled" => ("closed", "4"),
            _ => ("closing", "6"),
        };
        rows += &format!(
            "INSERT INTO rentals VALUES ({head}, 'http://127.0.0.1:1', {input}, {output},
                 '{state}', {signed}, {units}, {counted}, 4, NULL, 100, 200, {opened}, NULL,
                 {intent}, {close});",
            input = number(3),
            output = number(5),
            units = number(10),
        );
    }
    rows
}

#[tokio::test]
async fn a_file_of_schema_2_keeps_every_intent_and_attempt() {
    let (_directory, path) = copy("schema_2.db");
    let store = Store::open(&path).unwrap();
    let intents = EngineStore::intents(&store, IntentFilter::default()).await.unwrap();
    let seen: Vec<_> = intents.iter().map(standing).collect();
    assert_eq!(
        seen,
        [
            (1, IntentState::Queued, None, None),
            (2, IntentState::InFlight, Some(3), None),
            (3, IntentState::Included, Some(4), Some((30, true))),
            (4, IntentState::Final, Some(1), Some((10, true))),
            (5, IntentState::Final, Some(2), Some((11, false))),
            (6, IntentState::InFlight, Some(8), None),
            (7, IntentState::Queued, None, None),
            (8, IntentState::Failed, None, None),
        ]
    );
    for intent in &intents {
        let request = &intent.request;
        assert_eq!(request.idempotency_key, format!("key-{}", intent.id));
        assert_eq!((request.chain_id, request.sender), (CHAIN, SENDER));
        assert_eq!((request.gas_limit, request.not_before), (Some(90_000), Some(at(5))));
        assert_eq!((request.worth, request.repeat_safe), (None, false));
        assert_eq!((intent.created_at, intent.updated_at), (at(100), at(200)));
    }
    assert!(intents[4].is_dead());
    let failure = intents[7].failure.clone().unwrap();
    assert_eq!((failure.code, failure.detail.as_str()), (FailureCode::Reverted, "0x08"));

    let attempts = async |id| EngineStore::attempts(&store, IntentId(id)).await.unwrap();
    let of_second = attempts(2).await;
    let words: Vec<_> = of_second.iter().map(|made| (made.number, made.broadcast)).collect();
    assert_eq!(words, [(0, Broadcast::Refused), (1, Broadcast::Accepted)]);
    let nonces: Vec<_> = attempts(6).await.iter().map(|made| (made.nonce, made.number)).collect();
    assert_eq!(nonces, [(5, 0), (5, 1), (8, 0)]);
    assert_eq!(attempts(7).await[0].signed.tx_hash, B256::repeat_byte(0x70));
    let history = EngineStore::history(&store, IntentId(7)).await.unwrap();
    assert_eq!((history[0].what.as_str(), history[0].at), ("requeued", at(160)));
}

fn standing(intent: &Intent) -> (u64, IntentState, Option<u64>, Option<(u64, bool)>) {
    let mined = intent.inclusion.map(|mined| (mined.block_number, mined.success));
    (intent.id.0, intent.state, intent.place.map(|place| place.nonce), mined)
}

#[tokio::test]
async fn a_file_of_schema_2_goes_on_with_its_lane() {
    let (_directory, path) = copy("schema_2.db");
    let store = Store::open(&path).unwrap();
    let snapshot = EngineStore::lane_snapshot(&store, LANE).await.unwrap();
    assert_eq!((snapshot.next_nonce, snapshot.final_below), (9, 3));
    let flights: Vec<_> = snapshot
        .flights
        .iter()
        .map(|flight| (flight.nonce, flight.intents[0].id.0, flight.attempts.len()))
        .collect();
    assert_eq!(flights, [(3, 2, 2), (4, 3, 1), (8, 6, 1)]);
    let queued = EngineStore::queued(&store, LANE, None, 10).await.unwrap();
    assert_eq!(queued.iter().map(|intent| intent.id.0).collect::<Vec<_>>(), [1, 7]);
    let fence = crate::samples::fence(&store).await;
    // The nonce that the sixth lost is free for another.
    let next = crate::samples::attempt(&[IntentId(7)], 5, 0xee);
    assert_eq!(store.record_attempt(fence, next).await.unwrap().number, 0);
}

#[tokio::test]
async fn a_file_of_schema_2_keeps_sessions_and_rentals_with_their_intents() {
    let (_directory, path) = copy("schema_2.db");
    let store = Store::open(&path).unwrap();
    let close_tx = B256::repeat_byte(4);
    let closing = Closing { paid: amount(1), fee: amount(2), refund: amount(3), close_tx };
    for (salt, state, rental_state, intent, opened, closing) in [
        (1, SessionState::Settling, RentalState::Closing, Some(2), 6, None),
        (2, SessionState::Settled, RentalState::Closed, Some(4), 4, Some(closing)),
        (3, SessionState::Open, RentalState::Open, None, 3, None),
    ] {
        let session = store.session(key(salt)).await.unwrap().unwrap();
        assert_eq!((session.state, session.terms), (state, terms(salt)));
        assert_eq!((session.settle_intent, session.closing), (intent.map(IntentId), closing));
        assert_eq!(session.voucher, Some(voucher(key(salt).session_id, 10, 4)));
        assert_eq!(session.tally, tally(4));
        let rental = store.rental(key(salt)).await.unwrap().unwrap();
        assert_eq!((rental.state, rental.open_intent), (rental_state, Some(IntentId(opened))));
        assert_eq!((rental.close_intent, rental.closing), (intent.map(IntentId), closing));
    }
}

#[tokio::test]
async fn sessions_of_a_single_chain_node_are_kept() {
    let (_directory, path) = copy("single_chain.db");
    for _ in 0..2 {
        let store = Store::open(&path).unwrap();
        assert_eq!(store.count_sessions(None, None).await.unwrap(), 0);
    }
    let sql = Connection::open(&path).unwrap();
    let rows: Vec<(String, Option<i64>, i64, i64)> = sql
        .prepare("SELECT id, job_id, tokens, chain_id FROM single_chain_sessions ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(rows, [("s-1".to_owned(), Some(7), 120, 84532), ("s-2".to_owned(), None, 0, 84532)]);
    let indexed: String = sql
        .query_row(
            "SELECT tbl_name FROM sqlite_schema WHERE name = 'idx_sessions_chain'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(indexed, "single_chain_sessions");
}
