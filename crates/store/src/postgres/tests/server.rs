//! The server dies, comes back, is filled by several machines at once.

use core::time::Duration;

use super::*;
use crate::engine_store::EngineStore;
use crate::error::StoreError;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_the_servers_death() {
    let Some(mut server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let store = machine(&url, "a").await;
    let mut answered = Vec::new();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for n in 0.. {
                    match store.submit_intent(intent(&format!("{writer}-{n}"))).await {
                        Ok(outcome) => answered.push(outcome.id()),
                        Err(error) => {
                            assert!(error.is_retryable(), "{error:?}");
                            break;
                        }
                    }
                }
                answered
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let listening = tokio::spawn({
        let store = store.clone();
        async move {
            store.submitted(LANE).await;
            store.submitted(LANE).await;
        }
    });
    tokio::task::block_in_place(|| server.kill());
    for writer in writers {
        answered.extend(writer.await.unwrap());
    }
    assert!(answered.len() > 20, "{}", answered.len());
    tokio::task::block_in_place(|| server.restart());
    // Reads and word come back by themselves.
    let mut left = answered;
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while let Some(id) = left.pop() {
        match store.intent(id).await {
            Ok(found) => assert!(found.is_some(), "{id} was answered and is lost"),
            Err(error) => {
                assert!(
                    error.is_retryable() && tokio::time::Instant::now() < patience,
                    "{error:?}"
                );
                left.push(id);
            }
        }
    }
    tokio::time::timeout(Duration::from_secs(30), listening).await.expect("word").unwrap();
}

#[tokio::test]
async fn machines_that_start_at_once_make_the_schema_once() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let machines: Vec<_> = (0..5)
        .map(|name| {
            let url = url.clone();
            tokio::spawn(async move { PgStore::connect(&url, &name.to_string()).await })
        })
        .collect();
    for machine in machines {
        machine.await.unwrap().unwrap();
    }
    assert_eq!(server.sql("capstan", "SELECT count(*) FROM capstan_schema"), "1");
    server.sql("capstan", "INSERT INTO capstan_schema (version) VALUES (999)");
    let error = PgStore::connect(&url, "a").await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaTooNew { found: 999, .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let url: PostgresUrl = "postgres://me:hunter2@127.0.0.1:1/capstan".parse().unwrap();
    let error = PgStore::connect(&url, "a").await.unwrap_err();
    assert!(error.is_retryable());
    let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
    assert!(shown.contains("127.0.0.1:1, database capstan"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn an_answered_write_is_durable_whatever_the_server_is_set_to() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    let shown = async |store: &PgStore| -> String {
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&store.pool).await.unwrap()
    };
    for (set, kept) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        server.sql("postgres", &format!("ALTER DATABASE capstan SET synchronous_commit = '{set}'"));
        assert_eq!(shown(&machine(&url, "a").await).await, kept);
    }
}

#[tokio::test]
async fn sessions_of_a_single_chain_node_are_kept() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    server.sql(
        "capstan",
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, job_id BIGINT, tokens BIGINT);
         INSERT INTO sessions VALUES ('s-1', 7, 120), ('s-2', NULL, 0);",
    );
    for _ in 0..2 {
        let store = machine(&url, "a").await;
        assert_eq!(store.submit_intent(intent("a")).await.unwrap().id(), IntentId(1));
    }
    assert_eq!(
        server.sql("capstan", "SELECT * FROM single_chain_sessions ORDER BY id"),
        "s-1|7|120|84532\ns-2||0|84532"
    );
    let indexed = "SELECT tablename FROM pg_indexes WHERE indexname = 'idx_sessions_chain'";
    assert_eq!(server.sql("capstan", indexed), "single_chain_sessions");
    assert_eq!(server.sql("capstan", "SELECT count(*) FROM sessions"), "0");
}

#[tokio::test]
async fn a_table_of_another_program_is_left_alone() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = url(&server);
    server.sql("capstan", "CREATE TABLE sessions (id TEXT, user_agent TEXT)");
    let error = PgStore::connect(&url, "a").await.unwrap_err();
    assert!(matches!(error, StoreError::ForeignTable { table: "sessions" }), "{error}");
    let tables = "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(server.sql("capstan", tables), "sessions");
}
