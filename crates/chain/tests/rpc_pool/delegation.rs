//! What the answers of nodes say of EIP-7702.

use capstan_base::Address;

use crate::client;
use crate::fake::Fake;

#[tokio::test]
async fn a_refused_probe_means_no_delegation_and_silence_is_an_error() {
    let check = async |fake: Fake, expected: Option<bool>| {
        let supported = client(&[&fake]).supports_delegation(Address::repeat_byte(1)).await;
        assert_eq!(supported.ok(), expected);
        assert_eq!(fake.asked(), 1);
    };
    let refusal = r#"{"id":ID,"error":{"code":-32602,"message":"unknown field"}}"#;
    check(Fake::answering(200, refusal).await, Some(false)).await;
    let reverted = r#"{"id":ID,"error":{"code":3,"message":"reverted","data":"0x"}}"#;
    check(Fake::answering(200, reverted).await, Some(false)).await;
    // A node that overlooks what it does not know: a transaction of 68 bytes and nothing more.
    check(Fake::answering(200, r#"{"id":ID,"result":"0x5640"}"#).await, Some(false)).await;
    check(Fake::answering(200, r#"{"id":ID,"result":"0xc350"}"#).await, Some(true)).await;
    check(Fake::answering(503, "busy").await, None).await;
    check(Fake::answering(429, "slow down").await, None).await;
}
