//! Several hosts with one key: each session is served by one of them, and its settlement is anyone's.

use capstan_store::{
    Closing, EngineStore, Failure, FailureCode, Lead, PgStore, PostgresUrl, SessionState,
    SessionStore, SettleOutcome, StoreError, Transition, VoucherOutcome,
};
use capstan_test_postgres::Server;

use crate::samples::{amount, at, fence, intent, key, session, tally, voucher};

/// Two hosts; the first has admitted a session. With the server, which ends when dropped.
async fn two_hosts() -> Option<(Server, PostgresUrl, PgStore, PgStore)> {
    let server = capstan_test_postgres::start()?;
    let url: PostgresUrl = server.database("capstan").parse().unwrap();
    let first = PgStore::connect(&url, "first").await.unwrap();
    let second = PgStore::connect(&url, "second").await.unwrap();
    first.insert_session(session(1)).await.unwrap();
    Some((server, url, first, second))
}

async fn record(store: &PgStore, units: u128, tokens: u64) -> VoucherOutcome {
    let signed = voucher(key(1).session_id, units, tokens);
    store.record_voucher(key(1), &signed, &tally(tokens)).await.unwrap()
}

#[tokio::test]
async fn a_session_is_served_where_it_was_taken_up_last() {
    let Some((_server, _, first, second)) = two_hosts().await else { return };
    assert_eq!(record(&second, 1, 1).await, VoucherOutcome::Elsewhere);
    assert_eq!(record(&first, 1, 1).await, VoucherOutcome::Stored);
    assert_eq!(second.detach_session(key(1), at(9)).await.unwrap(), Transition::Elsewhere);
    assert_eq!(second.attach_session(key(1)).await.unwrap(), Transition::Elsewhere);
    let taken = second.serve_session(key(1)).await.unwrap().unwrap();
    assert_eq!(taken.tally, tally(1), "with what the first had stored");
    assert_eq!(second.attach_session(key(1)).await.unwrap(), Transition::Done);

    // The first host still runs it: what it stores or ends would come from an old meter.
    assert_eq!(record(&first, 2, 2).await, VoucherOutcome::Elsewhere);
    assert_eq!(first.attach_session(key(1)).await.unwrap(), Transition::Elsewhere);
    assert_eq!(first.detach_session(key(1), at(9)).await.unwrap(), Transition::Elsewhere);
    let ended = first.settle_session(key(1), "idle", Some(intent("old"))).await.unwrap();
    assert_eq!(ended, SettleOutcome::Elsewhere);
    assert_eq!(first.intents(Default::default()).await.unwrap(), [], "nothing in the outbox");

    assert_eq!(record(&second, 3, 3).await, VoucherOutcome::Stored);
    let ended = second.settle_session(key(1), "idle", Some(intent("new"))).await.unwrap();
    assert!(matches!(ended, SettleOutcome::Settling(_)));
    assert_eq!(record(&first, 4, 4).await, VoucherOutcome::Closed);
}

#[tokio::test]
async fn a_host_takes_up_its_own_sessions_and_those_under_its_name() {
    let Some((_server, url, first, second)) = two_hosts().await else { return };
    second.insert_session(session(2)).await.unwrap();
    let keys = async |store: &PgStore| -> Vec<_> {
        store.sessions_served().await.unwrap().into_iter().map(|session| session.key).collect()
    };
    assert_eq!(keys(&first).await, [key(1)]);
    assert_eq!(keys(&second).await, [key(2)]);
    let elsewhere = first.sessions_elsewhere().await.unwrap();
    let named: Vec<_> = elsewhere.iter().map(|(by, session)| (by.as_str(), session.key)).collect();
    assert_eq!(named, [("second", key(2))]);
    assert_eq!(first.sessions_in(SessionState::Open).await.unwrap().len(), 2);
    drop(first);
    let replacement = PgStore::connect(&url, "first").await.unwrap();
    assert_eq!(keys(&replacement).await, [key(1)]);
    assert_eq!(record(&replacement, 1, 1).await, VoucherOutcome::Stored);
}

#[tokio::test]
async fn whichever_host_follows_a_settlement_it_ends_once() {
    let Some((_server, _, first, second)) = two_hosts().await else { return };
    let ended = first.settle_session(key(1), "idle", Some(intent("1"))).await.unwrap();
    let SettleOutcome::Settling(refused) = ended else { panic!("{ended:?}") };
    let failure = Failure { code: FailureCode::Reverted, detail: String::new() };
    second.record_failure(fence(&second).await, refused, failure).await.unwrap();
    // Both see it refused, and both bring the same replacement.
    let again = async |host: &PgStore| {
        host.settle_session(key(1), "idle", Some(intent("after-1"))).await.unwrap()
    };
    let (a, b) = tokio::join!(again(&first), again(&second));
    let settling =
        [a, b].iter().filter(|outcome| matches!(outcome, SettleOutcome::Settling(_))).count();
    assert_eq!(settling, 1, "{a:?} {b:?}");
    assert_eq!(first.intents(Default::default()).await.unwrap().len(), 2);

    let closing = Closing {
        paid: amount(1),
        fee: amount(0),
        refund: amount(2),
        close_tx: capstan_base::B256::repeat_byte(3),
    };
    let other = Closing { paid: amount(9), ..closing };
    assert_eq!(second.finish_session(key(1), closing).await.unwrap(), Transition::Done);
    assert_eq!(first.finish_session(key(1), other).await.unwrap(), Transition::Already);
    assert_eq!(first.session(key(1)).await.unwrap().unwrap().closing, Some(closing));
}

#[tokio::test]
async fn a_voucher_whose_answer_was_lost_may_be_stored_again_where_it_is_served() {
    let Some((_server, _, first, second)) = two_hosts().await else { return };
    assert_eq!(record(&first, 5, 5).await, VoucherOutcome::Stored);
    assert_eq!(record(&first, 5, 5).await, VoucherOutcome::Stored);
    assert_eq!(record(&second, 5, 5).await, VoucherOutcome::Elsewhere);
}

#[tokio::test]
async fn a_look_sees_everything_and_changes_nothing() {
    let Some(server) = capstan_test_postgres::start() else { return };
    let url: PostgresUrl = server.database("capstan").parse().unwrap();
    let error = PgStore::connect_read_only(&url, "look").await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaTooOld { found: 0, .. }), "{error}");
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(server.sql("capstan", tables), "0", "a look makes nothing");

    let writer = PgStore::connect(&url, "first").await.unwrap();
    let look = PgStore::connect_read_only(&url, "look").await.unwrap();
    writer.insert_session(session(1)).await.unwrap();
    let fence = fence(&writer).await;
    assert_eq!(look.sessions_elsewhere().await.unwrap().len(), 1);
    assert!(look.server_version().await.unwrap().starts_with(char::is_numeric));
    let owner = Some("engine".to_owned());
    let lead = Lead { lane: fence.lane, owner, is_leased: true };
    assert_eq!(look.leads().await.unwrap(), [lead]);
    let error = look.submit_intent(intent("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");

    server.sql("capstan", "INSERT INTO capstan_schema (version) VALUES (999)");
    let error = PgStore::connect_read_only(&url, "look").await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaTooNew { found: 999, .. }), "{error}");
}
