//! Log queries under the caps of endpoints.

use std::sync::Arc;
use std::sync::Mutex;

use alloy_primitives::U64;
use capstan_base::{Address, B256, ChainId, SessionId, SessionKey};
use serde_json::{Value, json};

use crate::client;
use crate::fake::{CHAIN, Fake, Say};

type Ranges = Arc<Mutex<Vec<(u64, u64)>>>;

fn key() -> SessionKey {
    let (chain_id, session_id) = (ChainId(CHAIN), SessionId(B256::ZERO));
    SessionKey { chain_id, marketplace: Address::repeat_byte(0x11), session_id }
}

/// Has 12,000 blocks and no logs, and gives at most `cap` blocks of them at once.
async fn capped(cap: u64, code: i64, words: &'static str) -> (Fake, Ranges) {
    let given: Ranges = Arc::default();
    let ranges = Arc::clone(&given);
    let number = |value: &Value| serde_json::from_value::<U64>(value.clone()).unwrap().to::<u64>();
    let fake = Fake::start(move |method, params| match method {
        "eth_getBlockByNumber" => Some(Say::Result(
            json!({ "number": U64::from(12_000), "hash": B256::ZERO, "timestamp": "0x1" }),
        )),
        "eth_getLogs" => {
            let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
            if to - from + 1 > cap {
                return Some(Say::Error(code, words));
            }
            ranges.lock().unwrap().push((from, to));
            Some(Say::Result(json!([])))
        }
        _ => None,
    })
    .await;
    (fake, given)
}

#[tokio::test]
async fn a_range_that_is_too_wide_is_halved_and_every_block_is_searched_once() {
    for (cap, code, words) in [
        (1_000, -32005, "query returned more than 10000 results"),
        (700, -32005, "limit exceeded"),
        (2_500, -32602, "query exceeds max block range 2500"),
        (100, -32000, "words nobody knows"),
    ] {
        let (fake, given) = capped(cap, code, words).await;
        let found = client(&[&fake]).closing_of(&key(), 1).await.unwrap();
        assert_eq!(found, None);
        let given = given.lock().unwrap().clone();
        assert_eq!((given[0].0, given.last().unwrap().1), (1, 12_000), "{words}");
        assert!(given.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "{given:?}");
        // The head, the pages, and a dozen refusals at most.
        assert!(fake.asked() <= 1 + given.len() + 13, "{}", fake.asked());
    }
}

#[tokio::test]
async fn an_endpoint_that_gives_no_range_at_all_is_an_error_after_a_dozen_requests() {
    for words in ["query returned more than 10000 results", "words nobody knows"] {
        let (fake, _) = capped(0, -32000, words).await;
        let error = client(&[&fake]).closing_of(&key(), 1).await.unwrap_err();
        assert!(error.to_string().contains("reading logs"), "{error}");
        assert!(fake.asked() <= 15, "{}", fake.asked());
    }
    let dead = Fake::answering(503, "").await;
    assert!(client(&[&dead]).closing_of(&key(), 1).await.is_err());
    assert!(dead.asked() <= 2, "a dead endpoint is no wide range");
}
