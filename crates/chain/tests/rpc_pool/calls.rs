//! What a call would do, or has done: where something is given up for it, two endpoints say so.

use alloy_primitives::U256;
use capstan_base::{Address, B256};
use capstan_chain::{BlockTag, Call, ChainError, Effect, GasEstimate, RpcError, calls};
use serde_json::{Value, json};

use crate::client;
use crate::fake::{Fake, Say};

const REVERT: &str = r#"{"id":ID,"error":{"code":3,"message":"execution reverted","data":"0x12"}}"#;

fn call() -> Call {
    calls::native_transfer(Address::repeat_byte(7), U256::from(1))
}

async fn estimate(endpoints: &[&Fake]) -> Result<GasEstimate, ChainError> {
    client(endpoints).estimate_gas(Address::ZERO, &call()).await
}

fn is_in_doubt<T>(result: &Result<T, ChainError>) -> bool {
    use RpcError::{Disagreement, Unconfirmed};
    let source = match result {
        Err(ChainError::Rpc { source, .. }) => source,
        _ => return false,
    };
    matches!(source, Disagreement { .. } | Unconfirmed { .. })
}

#[tokio::test]
async fn a_call_reverts_if_two_say_so() {
    let (no, never) = (Fake::answering(200, REVERT).await, Fake::answering(200, REVERT).await);
    let (yes, sure) = (Fake::knowing(json!("0x5208")).await, Fake::knowing(json!("0x5208")).await);
    let broken = Fake::answering(503, "").await;
    let is_revert = |result| matches!(result, Ok(GasEstimate::Revert(data)) if data.len() == 1);
    assert!(is_revert(estimate(&[&no]).await));
    assert!(is_revert(estimate(&[&no, &never]).await));
    assert!(is_revert(estimate(&[&no, &yes, &never]).await));
    assert!(is_in_doubt(&estimate(&[&no, &yes]).await));
    assert!(is_in_doubt(&estimate(&[&no, &broken]).await));
    let late = Fake::answering(200, REVERT).await.at(50);
    assert!(is_in_doubt(&estimate(&[&no, &yes, &late]).await), "it tells of an older state");
    assert_eq!(late.asked(), 0);
    let gas = |result| matches!(result, Ok(GasEstimate::Gas(21_000)));
    assert!(gas(estimate(&[&no, &yes, &sure]).await));
    let before = sure.asked();
    assert!(gas(estimate(&[&yes, &sure]).await));
    assert_eq!(sure.asked(), before, "gas is one's word");
}

/// Answers every call with whether a model is approved.
async fn approving(approved: bool) -> Fake {
    Fake::start(move |method, _| {
        let answer = B256::from(U256::from(u8::from(approved)));
        (method == "eth_call").then_some(Say::Result(json!(answer)))
    })
    .await
}

#[tokio::test]
async fn an_effect_is_there_or_not_as_two_say() {
    let effect = async |endpoints: &[&Fake]| {
        let token = Address::repeat_byte(9);
        let call = calls::erc20_approve(token, Address::repeat_byte(8), U256::from(1));
        client(endpoints).effect(Address::ZERO, &call, BlockTag::Latest).await
    };
    let (done, also) = (approving(true).await, approving(true).await);
    let (open, still) = (approving(false).await, approving(false).await);
    let broken = Fake::answering(503, "").await;
    assert_eq!(effect(&[&done]).await.unwrap(), Effect::Done);
    assert_eq!(effect(&[&done, &also]).await.unwrap(), Effect::Done);
    assert_eq!(effect(&[&open, &still]).await.unwrap(), Effect::NotDone);
    assert_eq!(effect(&[&open, &done, &also]).await.unwrap(), Effect::Done);
    assert!(is_in_doubt(&effect(&[&done, &open]).await));
    assert!(is_in_doubt(&effect(&[&done, &broken]).await));
    assert!(is_in_doubt(&effect(&[&open, &broken]).await));
    let (reverting, too) = (Fake::answering(200, REVERT).await, Fake::answering(200, REVERT).await);
    assert_eq!(effect(&[&reverting, &too]).await.unwrap(), Effect::Unknown, "no ERC-20");
    assert!(is_in_doubt(&effect(&[&reverting, &done]).await));
}

#[tokio::test]
async fn of_many_calls_only_those_that_revert_are_asked_for_again() {
    let behave = |lie: bool| {
        move |method: &str, params: &Value| {
            let value = params[0]["value"].as_str().unwrap_or_default().to_owned();
            (method == "eth_estimateGas").then(|| match value.as_str() {
                "0x3" => Say::Raw(200, REVERT.to_owned()),
                "0x5" if lie => Say::Raw(200, REVERT.to_owned()),
                _ => Say::Result(json!("0x5208")),
            })
        }
    };
    let (liar, good) = (Fake::start(behave(true)).await, Fake::start(behave(false)).await);
    let many: Vec<_> = (1_u64..=20)
        .map(|value| calls::native_transfer(Address::ZERO, U256::from(value)))
        .collect();
    let found = client(&[&liar, &good]).estimate_many(Address::ZERO, &many).await;
    for (value, found) in (1..=20).zip(&found) {
        match value {
            3 => assert!(matches!(found, Ok(GasEstimate::Revert(_)))),
            5 => assert!(is_in_doubt(found)),
            _ => assert!(matches!(found, Ok(GasEstimate::Gas(_)))),
        }
    }
    assert_eq!(good.asked(), 2);
}
