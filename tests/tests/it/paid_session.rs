//! The paid session over a raw WebSocket: what is served, signed and settled, to the base unit.

use capstan_tests::oracle;
use capstan_tests::renter::{MODEL, Renter};
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::world::FEE_BPS;
use serde_json::json;

/// Most tokens beyond the newest voucher, by default.
const WINDOW: u64 = 32;

#[tokio::test]
async fn a_paid_session_settles_for_exactly_what_was_counted() {
    let scene = Scene::start("").await;
    let paper = scene.open_dollars(5_000_000).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    assert_eq!(renter.wire.hello["host"], json!(scene.account.address()));
    assert_eq!(renter.wire.hello["window"], WINDOW);
    renter.ask("What is a voucher?", 200).await;
    let first = renter.to_end().await;
    assert!(!first.text.is_empty() && first.output > 1, "{first:?}");
    renter.ask("Tell me a story about a fox.", 45).await;
    renter.to_end().await;
    assert_eq!(renter.end().await, "end");

    let count = renter.count.clone();
    let owed = paper.cost(count.input, count.output);
    let closed = scene.settles_for(&paper, owed).await;
    assert_eq!(closed.reason, 0, "completed");
    assert_eq!(closed.tokens, count.input + count.output);
    assert_eq!(closed.root, count.root().to_string(), "the settled transcript");
    assert_eq!(closed.fee, owed * u128::from(FEE_BPS) / 10_000);
    // Neither price divides a million: the sum was rounded up, once.
    let scaled = paper.price.0 * u128::from(count.input) + paper.price.1 * u128::from(count.output);
    assert!(scaled % 1_000_000 != 0, "choose another question: this one rounds nothing");

    let chain = scene.chain();
    let (url, market) = (&chain.anvil.url, chain.marketplace());
    let usdc = chain.usdc.to_string();
    let host = scene.account.address().to_string();
    assert_eq!(oracle::ledger(url, &market, &host, &usdc).await, closed.host_paid);
    let renter_holds = oracle::held(url, &paper.renter.address().to_string(), &usdc).await;
    assert_eq!(renter_holds, 100_000_000 - owed, "the rest came back");
    assert_eq!(oracle::held(url, &market, &usdc).await, owed, "the contract holds what is owed");
}

#[tokio::test]
async fn never_more_than_the_window_is_served_beyond_the_newest_voucher() {
    let scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about an owl.", 120).await;
    renter.to_silence().await;
    assert_eq!(renter.count.tokens(), WINDOW, "unpaid, it stops at the window");
    renter.pay().await;
    renter.to_silence().await;
    assert_eq!(renter.count.tokens(), 2 * WINDOW, "a voucher opens one window more");
    renter.pay().await;
    renter.to_end().await;
    assert!(renter.furthest <= WINDOW, "{} beyond a voucher", renter.furthest);

    // A prompt longer than the window is counted, and answered only once it is paid for.
    let before = renter.count.clone();
    let ids = MODEL.encode_text(&"the owl and the fox ".repeat(20)).unwrap();
    assert!(ids.len() > 40, "{} tokens", ids.len());
    renter.ask_ids(ids, 10).await;
    renter.to_silence().await;
    assert_eq!(renter.count.output, before.output, "not one token of answer");
    assert!(renter.count.input > before.input + WINDOW);
    renter.pay().await;
    let answer = renter.to_end().await;
    assert!(answer.output >= 1);
    assert_eq!(renter.end().await, "end");
    scene.settles_for(&paper, renter.owed()).await;
    assert_eq!(scene.ended_by(&paper).await, "end");
}
