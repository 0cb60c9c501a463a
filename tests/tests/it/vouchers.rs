//! Bad vouchers: each is refused by its code, and the session settles with the best good one.

use alloy_primitives::{Address, B256};
use capstan_chain::LocalSigner;
use capstan_tests::paper::{Paper, high_s};
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use serde_json::{Value, json};

/// Sends a voucher and gives the code it was refused with.
async fn refused(renter: &mut Renter, voucher: Value) -> String {
    renter.send_voucher(voucher).await;
    loop {
        let frame = renter.wire.next().await.expect("an answer");
        match frame["type"].as_str().unwrap() {
            "error" => return frame["error"]["code"].as_str().unwrap().to_owned(),
            "voucher_accepted" => panic!("accepted: {frame}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_bad_voucher_is_refused_and_the_best_good_one_settles() {
    let scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 80).await;
    renter.to_silence().await;
    let first = renter.statement();
    renter.pay().await;
    renter.wire.expect("voucher_accepted").await;
    renter.to_silence().await;

    let (owed, tokens, root) = (renter.owed(), renter.count.tokens(), renter.count.root());
    assert!(tokens > renter.signed.1, "something is open");
    let good = || paper.voucher(owed, tokens, root);
    let with = |field: &str, value: Value| {
        let mut voucher = good();
        voucher[field] = value;
        voucher
    };
    let signed_by = |other: Paper| {
        // Another statement's signature under this statement's words.
        with("signature", other.voucher(owed, tokens, root)["signature"].clone())
    };
    let elsewhere = Paper { salt: B256::ZERO, ..paper.clone() };
    let signature = good()["signature"].as_str().unwrap().to_owned();
    let mid = usize::try_from(tokens).unwrap() - 3;
    let cases = [
        ("for another session", elsewhere.voucher(owed, tokens, root), "voucher_mismatch"),
        (
            "under another contract",
            signed_by(Paper { marketplace: Address::repeat_byte(7), ..paper.clone() }),
            "bad_signature",
        ),
        (
            "under another chain",
            signed_by(Paper { chain_id: 5611, ..paper.clone() }),
            "bad_signature",
        ),
        (
            "by another key",
            signed_by(Paper { renter: LocalSigner::random(), ..paper.clone() }),
            "bad_signature",
        ),
        ("high s", with("signature", json!(high_s(&signature))), "bad_signature"),
        ("no signature", with("signature", json!("0x")), "bad_signature"),
        ("zero signature", with("signature", json!(format!("0x{:0>130}", ""))), "bad_signature"),
        ("short signature", with("signature", json!(signature[..130])), "bad_signature"),
        ("replayed", first.clone(), "voucher_not_higher"),
        ("nothing", paper.voucher(0, 0, B256::ZERO), "voucher_not_higher"),
        ("lower", paper.voucher(1, 1, renter.count.root_at(1)), "voucher_not_higher"),
        ("above the deposit", paper.voucher(DEPOSIT + 1, tokens, root), "voucher_over_deposit"),
        ("beyond what was served", paper.voucher(owed + 1, tokens, root), "voucher_mismatch"),
        ("over too many tokens", paper.voucher(owed, tokens + 1, root), "voucher_mismatch"),
        (
            "under another root",
            paper.voucher(owed, tokens, B256::repeat_byte(3)),
            "voucher_mismatch",
        ),
        ("too cheap for its tokens", paper.voucher(owed - 1, tokens, root), "voucher_mismatch"),
        (
            "an older root for the newest sum",
            paper.voucher(owed, tokens, renter.count.root_at(mid)),
            "voucher_mismatch",
        ),
    ];
    for (what, voucher, code) in cases {
        assert_eq!(refused(&mut renter, voucher).await, code, "a voucher {what}");
        renter.wire.send(json!({ "type": "ping" })).await;
        renter.wire.expect("pong").await;
    }
    for (field, value) in [
        ("amount", json!(-1)),
        ("amount", json!("1e30")),
        ("amount", json!("9".repeat(60))),
        ("tokens", json!(1.5)),
        ("session_id", json!("0x12")),
        ("signature", json!("0xzz")),
        ("signature", json!(null)),
    ] {
        assert_eq!(refused(&mut renter, with(field, value)).await, "malformed_message", "{field}");
    }

    // None of it opened the window; the good voucher does, and the newest one settles.
    renter.to_silence().await;
    assert_eq!(renter.count.tokens(), tokens, "a refused voucher buys nothing");
    renter.pay().await;
    renter.wire.expect("voucher_accepted").await;
    renter.to_silence().await;
    assert!(renter.count.tokens() > tokens, "the good voucher buys more");
    // What was served since is not signed for: the host may not claim it.
    assert_eq!(renter.end().await, "end");
    let closed = scene.settles_for(&paper, owed).await;
    assert_eq!((closed.tokens, closed.root), (tokens, root.to_string()));
}
