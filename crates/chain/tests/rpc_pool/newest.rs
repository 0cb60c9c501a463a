//! The newest block: what two endpoints have reached, and when it was made.

use capstan_base::B256;
use capstan_chain::{BlockRef, BlockTag, ChainError};
use serde_json::json;

use crate::client;
use crate::fake::{Fake, Say};

/// Claims this head, made then.
async fn claiming(number: u64, time: u64) -> Fake {
    Fake::start(move |method, _| {
        let hash = B256::from(alloy_primitives::U256::from(number));
        let (number, time) = (format!("{number:#x}"), format!("{time:#x}"));
        let block = json!({ "number": number, "hash": hash, "timestamp": time });
        (method == "eth_getBlockByNumber").then_some(Say::Result(block))
    })
    .await
}

async fn head(endpoints: &[&Fake]) -> Result<BlockRef, ChainError> {
    client(endpoints).head(BlockTag::Latest).await
}

#[tokio::test]
async fn a_height_or_a_time_that_one_endpoint_claims_is_not_believed() {
    let (good, also) = (claiming(100, 1_000).await, claiming(100, 1_000).await);
    let told = |head: Result<BlockRef, ChainError>| {
        head.map(|head| (head.number, head.timestamp.get())).ok()
    };
    for liar in [claiming(1_000_000_000, 1 << 40).await, claiming(105, 1 << 40).await] {
        for endpoints in [[&liar, &good], [&good, &liar]] {
            assert_eq!(told(head(&endpoints).await), Some((100, 1_000)));
        }
    }
    for liar in [claiming(100, 1 << 40).await, claiming(99, 1 << 40).await] {
        for endpoints in [[&liar, &good], [&good, &liar]] {
            assert!(head(&endpoints).await.unwrap_err().is_retryable());
        }
        assert_eq!(told(head(&[&liar, &good, &also]).await), Some((100, 1_000)));
        assert_eq!(told(head(&[&good, &liar, &also]).await), Some((100, 1_000)));
    }
    let fresher = claiming(102, 1_004).await;
    assert_eq!(told(head(&[&fresher, &good]).await), Some((100, 1_000)), "two have reached it");
}

#[tokio::test]
async fn one_that_answers_alone_is_believed_near_the_agreed_head() {
    let broken = Fake::answering(503, "").await;
    let (near, far) = (claiming(104, 1_000).await, claiming(1_000_000_000, 1_000).await);
    assert_eq!(head(&[&near, &broken]).await.unwrap().number, 104);
    assert!(head(&[&far, &broken]).await.unwrap_err().is_retryable());
    assert_eq!(head(&[&far]).await.unwrap().number, 1_000_000_000, "nobody else is configured");
}
