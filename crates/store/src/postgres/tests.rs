//! Tests of what only PostgreSQL has: locks between a check and its commit, ids seen out of order,
//! words, lost connections. A test here reaches into the transactions of another machine.

mod fence;
mod queue;
mod server;

use alloy_primitives::Bytes;
use capstan_base::{Address, B256, ChainId, U256, UnixSeconds};
use capstan_test_postgres::Server;

use super::{PgStore, PostgresUrl};
use crate::attempts::{NewAttempt, Signed};
use crate::intents::{IntentId, NewIntent};
use crate::lanes::LaneKey;

const LANE: LaneKey = LaneKey { chain_id: ChainId(5611), sender: Address::repeat_byte(0xaa) };

/// Longer than a waiting statement needs to be seen waiting, shorter than the server's patience
/// with a transaction that stands still.
const WHILE: core::time::Duration = core::time::Duration::from_millis(400);

fn url(server: &Server) -> PostgresUrl {
    server.database("capstan").parse().unwrap()
}

async fn machine(url: &PostgresUrl, name: &str) -> PgStore {
    PgStore::connect(url, name).await.unwrap()
}

fn intent(key: &str) -> NewIntent {
    NewIntent {
        idempotency_key: key.to_owned(),
        chain_id: LANE.chain_id,
        sender: LANE.sender,
        to: Address::repeat_byte(0xbb),
        value: U256::ZERO,
        data: Bytes::new(),
        gas_limit: None,
        max_cost: None,
        worth: None,
        own_code: None,
        repeat_safe: false,
        not_before: None,
        deadline: None,
        label: "test".to_owned(),
    }
}

fn attempt(id: IntentId, nonce: u64, salt: u8) -> NewAttempt {
    NewAttempt {
        intents: vec![id],
        nonce,
        signed: Signed {
            tx_hash: B256::repeat_byte(salt),
            raw: vec![salt].into(),
            voids: false,
            gas_limit: 21_000,
            max_fee: 1,
            priority_fee: None,
            rollup_fee: U256::ZERO,
            signed_at: UnixSeconds::new(1).unwrap(),
        },
    }
}
