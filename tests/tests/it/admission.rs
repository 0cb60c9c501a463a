//! What `session_init` refuses: each claim is checked against the chain before any token.

use alloy_primitives::{Address, B256};
use capstan_base::Amount;
use capstan_chain::{LocalSigner, calls};
use capstan_tests::paper::Paper;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene, terms};
use capstan_tests::socket::{Wire, init};
use serde_json::{Value, json};

/// Sends a `session_init` with a good proof, changed, and gives the error's code.
async fn refused(wire: &mut Wire, paper: &Paper, change: impl FnOnce(&mut Value)) -> String {
    let mut message = init(paper, &paper.proof(wire.challenge()), 0);
    change(&mut message);
    wire.send(message).await;
    wire.error_code().await
}

#[tokio::test]
async fn a_session_that_may_not_be_served_is_refused_before_any_token() {
    let scene = Scene::start("min_lifetime_seconds = 60").await;
    let good = scene.open(DEPOSIT).await;
    let mut wire = Wire::connect(&scene.url).await;

    let unknown_chain = |message: &mut Value| message["chain_id"] = json!(1);
    assert_eq!(refused(&mut wire, &good, unknown_chain).await, "unknown_chain");
    let huge_chain = |message: &mut Value| message["chain_id"] = json!(u64::MAX);
    assert_eq!(refused(&mut wire, &good, huge_chain).await, "unknown_chain");

    let other_host = Paper { host: Address::repeat_byte(7), ..good.clone() };
    assert_eq!(refused(&mut wire, &other_host, |_| {}).await, "wrong_host");
    let other_model = Paper { model: B256::repeat_byte(7), ..good.clone() };
    assert_eq!(refused(&mut wire, &other_model, |_| {}).await, "model_not_found");

    // Terms that nobody paid in under: one field off is another session.
    for paper in [
        Paper { salt: B256::ZERO, ..good.clone() },
        Paper { deposit: DEPOSIT * 1000, ..good.clone() },
        Paper { expiry: good.expiry + 1, ..good.clone() },
    ] {
        assert_eq!(refused(&mut wire, &paper, |_| {}).await, "unknown_session");
    }

    let stranger = Paper { renter: LocalSigner::random(), ..good.clone() };
    let challenge = wire.challenge();
    // Another key's answer, another connection's, another session's, none.
    for proof in [
        stranger.proof(challenge),
        good.proof(B256::repeat_byte(9)),
        Paper { salt: B256::ZERO, ..good.clone() }.proof(challenge),
        Paper { chain_id: 5611, ..good.clone() }.proof(challenge),
        Paper { marketplace: Address::repeat_byte(7), ..good.clone() }.proof(challenge),
        "0x".to_owned(),
        format!("0x{}", "00".repeat(65)),
    ] {
        wire.send(init(&good, &proof, 0)).await;
        assert_eq!(wire.error_code().await, "not_your_session", "{proof}");
    }

    let cheap = |message: &mut Value| message["price"]["output"] = json!("1");
    assert_eq!(refused(&mut wire, &good, cheap).await, "price_mismatch");
    let no_number = |message: &mut Value| message["terms"]["deposit"] = json!("a lot");
    assert_eq!(refused(&mut wire, &good, no_number).await, "malformed_message");
    let too_wide = |message: &mut Value| message["terms"]["deposit"] = json!("9".repeat(40));
    assert_eq!(refused(&mut wire, &good, too_wide).await, "malformed_message");
    let late = |message: &mut Value| message["terms"]["expiry"] = json!(u64::MAX);
    assert_eq!(refused(&mut wire, &good, late).await, "malformed_message");

    let renter = scene.world.account(0, 0).await;
    let short = scene.paper(&renter, DEPOSIT, 30);
    scene.fund(&short).await;
    assert_eq!(refused(&mut wire, &short, |_| {}).await, "session_expired");

    let closing = scene.open(DEPOSIT).await;
    let close = calls::request_session_close(closing.marketplace, &terms(&closing), Amount::ZERO);
    scene.chain().send(&closing.renter, &close).await;
    assert_eq!(refused(&mut wire, &closing, |_| {}).await, "session_closed");

    // A newest voucher that was never signed, and one above the deposit.
    let empty = json!({ "input": 0, "output": 0, "frontier": { "size": 0, "peaks": [] } });
    let forged = Paper { renter: stranger.renter.clone(), ..good.clone() };
    let mut voucher = forged.voucher(5, 1, B256::ZERO);
    voucher["session_id"] = json!(good.id());
    let newest = json!({ "voucher": voucher, "tally": empty });
    let code = refused(&mut wire, &good, |message| message["newest"] = newest).await;
    assert_eq!(code, "bad_signature");
    let over = good.voucher(DEPOSIT + 1, 1, B256::repeat_byte(1));
    let newest = json!({ "voucher": over, "tally": empty });
    let code = refused(&mut wire, &good, |message| message["newest"] = newest).await;
    assert_ne!(code, "internal");

    // After all that the good session is served on the same connection.
    wire.init(&good, 0).await;
    wire.expect("session_ready").await;
    let mut renter = Renter::attach(&scene.url, &good).await;
    renter.ask("What is a voucher?", 10).await;
    renter.to_end().await;
    renter.end().await;
    scene.settles_for(&good, renter.owed()).await;

    // What is over does not begin again.
    let mut wire = Wire::connect(&scene.url).await;
    assert_eq!(refused(&mut wire, &good, |_| {}).await, "session_closed");
}

#[tokio::test]
async fn a_top_up_is_served_from_once_the_deposit_is_used_up() {
    let scene = Scene::start("").await;
    // Enough for the prompt and a few tokens.
    let paper = scene.open(600_000_000_000).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("What is a voucher?", 2).await;
    renter.to_end().await;
    let before = renter.owed();
    let more = 10_000_000_000_000_u128;
    let top_up = calls::top_up(paper.marketplace, &terms(&paper), Amount::new(more).unwrap());
    scene.chain().send(&paper.renter, &top_up).await;
    renter.ask("Tell me a story about a fox.", 40).await;
    renter.to_end().await;
    assert!(renter.owed() > before && renter.owed() > paper.deposit, "{}", renter.owed());
    renter.end().await;
    let topped = Paper { deposit: paper.deposit + more, ..paper.clone() };
    // The id is that of the opening; only the sum to split grew.
    let closed = loop {
        if let Some(closed) = scene.closings(&paper).await.pop() {
            break closed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(closed.host_paid + closed.fee, renter.owed());
    assert_eq!(closed.host_paid + closed.fee + closed.refund, topped.deposit);
}
