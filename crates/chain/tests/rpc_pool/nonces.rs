//! The use of a nonce on nodes that forget.

use alloy_eips::eip7702::Authorization;
use alloy_primitives::{U64, U256};
use capstan_base::{Address, B256, ChainId};
use capstan_chain::{ChainError, LocalSigner};
use serde_json::{Value, json};

use crate::client;
use crate::fake::{CHAIN, Fake, Say};

const ACCOUNT: Address = Address::repeat_byte(0xac);
const HEAD: u64 = 1_000;

fn number(value: &Value) -> Option<u64> {
    serde_json::from_value::<U64>(value.clone()).ok().map(|number| number.to())
}

fn hash(nonce: u64) -> B256 {
    B256::from(U256::from(nonce + 1))
}

/// Nonce n is used in block `used[n]`; the state of blocks before `kept` is forgotten.
async fn node(used: &'static [u64], kept: u64) -> Fake {
    Fake::start(move |method, params| match method {
        "eth_getTransactionCount" => match number(&params[1]) {
            Some(block) if block < kept => Some(Say::Error(-32000, "missing trie node")),
            block => {
                let at = block.unwrap_or(HEAD);
                let count = used.iter().filter(|used| **used <= at).count();
                Some(Say::Result(json!(format!("{count:#x}"))))
            }
        },
        "eth_getBlockByNumber" => {
            let block = number(&params[0]).unwrap_or(HEAD);
            let own = (0_u64..).zip(used).filter(|(_, used)| **used == block);
            let tx = |(nonce, _)| json!({ "hash": hash(nonce), "from": ACCOUNT, "nonce": U64::from(nonce) });
            let transactions: Vec<_> = own.map(tx).collect();
            Some(Say::Result(json!({
                "number": U64::from(block), "hash": hash(block), "timestamp": "0x1",
                "transactions": transactions,
            })))
        }
        _ => None,
    })
    .await
    .at(HEAD)
}

#[tokio::test]
async fn the_use_is_found_wherever_it_is_and_however_much_is_forgotten() {
    const USED: &[u64] = &[0, 3, 3, 499, 800, 900, 999, 1_000];
    for kept in [0, 400, 850, 990, 1_000] {
        let fake = node(USED, kept).await;
        let client = client(&[&fake]);
        for (nonce, block) in (0_u64..).zip(USED) {
            // What is neither kept nor close enough to be read block by block.
            let is_out_of_reach = *block < kept.saturating_sub(255);
            match client.nonce_use(ACCOUNT, nonce, 0, HEAD).await {
                Ok(Some(found)) => {
                    assert_eq!((found.tx_hash, found.block.number), (hash(nonce), *block));
                }
                Ok(None) => panic!("{nonce} with {kept}"),
                Err(ChainError::HistoryUnavailable { oldest, .. }) => {
                    assert!(is_out_of_reach && *block < oldest, "{nonce} with {kept}");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        let found = client.nonce_use(ACCOUNT, 8, 0, HEAD).await.unwrap();
        assert_eq!(found, None, "not used yet");
    }
}

#[tokio::test]
async fn a_node_with_the_state_is_asked_a_few_times_only() {
    let fake = node(&[0, 3, 3, 499], 0).await;
    client(&[&fake]).nonce_use(ACCOUNT, 3, 0, HEAD).await.unwrap().unwrap();
    // Head, ten steps back, ten halvings, the block, and one for rounding.
    assert!(fake.asked() <= 23, "{}", fake.asked());
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_an_error_and_never_none() {
    let dead = Fake::start(|method, _| match method {
        "eth_getBlockByNumber" => {
            Some(Say::Result(json!({ "number": "0x3e8", "hash": B256::ZERO, "timestamp": "0x1" })))
        }
        "eth_getTransactionCount" => Some(Say::Raw(503, String::new())),
        _ => None,
    })
    .await;
    let error = client(&[&dead]).nonce_use(ACCOUNT, 3, 0, HEAD).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn what_used_a_nonce_is_what_two_say() {
    let (late, good, also) =
        (node(&[0, 3], 0).await, node(&[0, 3, 3], 0).await, node(&[0, 3, 3], 0).await);
    // The same count, by a transaction that only this one has.
    let liar = Fake::start(|method, params| match method {
        "eth_getTransactionCount" => {
            let count = if number(&params[1]) < Some(3) { "0x1" } else { "0x3" };
            Some(Say::Result(json!(count)))
        }
        "eth_getBlockByNumber" => {
            let block = number(&params[0]).unwrap_or(HEAD);
            Some(Say::Result(json!({
                "number": U64::from(block), "hash": hash(block), "timestamp": "0x1",
                "transactions": [{ "hash": hash(66), "from": ACCOUNT, "nonce": "0x2" }],
            })))
        }
        _ => None,
    })
    .await
    .at(HEAD);
    for other in [&late, &liar] {
        for endpoints in [[other, &good], [&good, other]] {
            let error = client(&endpoints).nonce_use(ACCOUNT, 2, 0, HEAD).await.unwrap_err();
            assert!(error.is_retryable(), "{error:?}");
        }
    }
    for endpoints in [[&good, &late, &also], [&good, &liar, &also], [&good, &also, &liar]] {
        let found = client(&endpoints).nonce_use(ACCOUNT, 2, 0, HEAD).await.unwrap();
        assert_eq!(found.unwrap().tx_hash, hash(2));
    }
    let broken = Fake::start(|method, _| {
        (method == "eth_getBlockByNumber").then(|| Say::Raw(503, String::new()))
    })
    .await
    .at(HEAD);
    let error = client(&[&good, &broken]).nonce_use(ACCOUNT, 2, 0, HEAD).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn an_authorization_uses_a_nonce_too() {
    let signer = LocalSigner::random();
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: ACCOUNT, nonce: 4 };
    let signature = signer.sign_digest(authorization.signature_hash()).unwrap();
    let signed = authorization.into_signed(signature);
    let fake = Fake::start(move |method, params| match method {
        "eth_getTransactionCount" => {
            let count = if number(&params[1]) < Some(7) { "0x4" } else { "0x5" };
            Some(Say::Result(json!(count)))
        }
        "eth_getBlockByNumber" => Some(Say::Result(json!({
            "number": U64::from(number(&params[0]).unwrap_or(HEAD)), "hash": B256::ZERO,
            "timestamp": "0x1",
            "transactions": [
                { "hash": hash(1), "from": ACCOUNT, "nonce": "0x4" },
                { "hash": hash(2), "from": ACCOUNT, "nonce": "0x5",
                  "authorizationList": ["nonsense", signed] },
            ],
        }))),
        _ => None,
    })
    .await;
    let client = client(&[&fake]);
    assert_eq!(client.chain_id(), ChainId(CHAIN));
    let found = client.nonce_use(signer.address(), 4, 0, HEAD).await.unwrap().unwrap();
    assert_eq!((found.tx_hash, found.block.number), (hash(2), 7));
}
