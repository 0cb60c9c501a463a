//! Balances: what is refused is told, whatever else cannot be read, and told once.

use core::time::Duration;
use std::sync::Arc;

use capstan_base::{Address, U256, UnixSeconds};
use capstan_chain::Token;
use capstan_host::funds::{Alarm, Funds, Standing, Watch};
use capstan_kit::clock::ManualClock;
use capstan_store::{PgStore, SessionState, SessionStore, Store, StoreError};

use crate::node::{Chain, Node, chains};

const TOKEN: Address = Address::repeat_byte(0x70);

async fn watch(node: &Node, store: impl SessionStore) -> Watch {
    let mut config = node.config(Address::repeat_byte(0x0a));
    let token = Token { symbol: "T".into(), address: TOKEN, decimals: 6, coin_price: None };
    config.tokens.insert("T".into(), token);
    Watch {
        host: Address::repeat_byte(0xaa),
        chains: chains(config),
        store: Arc::new(store),
        funds: Funds::default(),
        clock: Arc::new(ManualClock::new(UnixSeconds::new(1000).unwrap())),
        least: 50,
        every: Duration::from_secs(1),
        webhook: None,
    }
}

fn told(alarm: &Alarm, runway: u64) -> Option<Standing> {
    alarm.clone().hear(runway, UnixSeconds::new(1001).unwrap())
}

#[tokio::test]
async fn a_host_that_refuses_sessions_tells_so_though_a_token_cannot_be_read() {
    let node = Node::start(Chain { head: 9, broken: vec![TOKEN], ..Chain::default() }).await;
    let watch = watch(&node, Store::open_in_memory().unwrap()).await;
    let (mut alarms, id) = (watch.alarms(), *watch.chains.keys().next().unwrap());
    watch.look_at_all(&mut alarms).await;
    assert!(!watch.funds.can_settle(id));
    assert_eq!(told(&alarms[&id], 0), None, "it was told");
    node.chain().balance = U256::MAX;
    watch.look_at_all(&mut alarms).await;
    assert!(watch.funds.can_settle(id));
    assert_eq!(told(&alarms[&id], u64::MAX), None, "and called off");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_repeats_no_alert() {
    let node = Node::start(Chain { head: 9, ..Chain::default() }).await;
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = server.database("capstan").parse().unwrap();
    let watch = watch(&node, PgStore::connect(&url, "here").await.unwrap()).await;
    server.sql("capstan", "DROP TABLE sessions");
    let error = watch.store.sessions_in(SessionState::Open).await.unwrap_err();
    assert!(matches!(error, StoreError::Statement { .. }));
    let (mut alarms, id) = (watch.alarms(), *watch.chains.keys().next().unwrap());
    watch.look_at_all(&mut alarms).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let ended = tokio::time::timeout(Duration::from_millis(300), watch.run(&stop)).await;
    assert!(ended.is_err(), "it goes on, and remembers what it told");
    assert_eq!(told(&alarms[&id], 0), None);
}
