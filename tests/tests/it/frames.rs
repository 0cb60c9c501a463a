//! Bad frames: each gets its error code, the host stays up, the session goes on unharmed.

use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::socket::{Wire, init};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Frames that are wrong whatever the state of the connection.
fn bad_frames() -> Vec<(&'static str, Message, &'static str)> {
    let text = |text: &str| Message::text(text.to_owned());
    vec![
        ("no JSON", text("{"), "malformed_message"),
        ("empty", text(""), "malformed_message"),
        ("no object", text("[1,2]"), "malformed_message"),
        ("no version", text(r#"{"type":"ping"}"#), "malformed_message"),
        ("newer version", text(r#"{"v":2,"type":"ping"}"#), "unsupported_version"),
        ("version of another kind", text(r#"{"v":"1","type":"ping"}"#), "malformed_message"),
        ("huge version", text(r#"{"v":99999999999,"type":"ping"}"#), "malformed_message"),
        ("unknown type", text(r#"{"v":1,"type":"refund"}"#), "malformed_message"),
        ("no type", text(r#"{"v":1}"#), "malformed_message"),
        ("missing field", text(r#"{"v":1,"type":"cancel"}"#), "malformed_message"),
        (
            "number out of range",
            text(r#"{"v":1,"type":"cancel","request_id":1e300}"#),
            "malformed_message",
        ),
        (
            "negative number",
            text(r#"{"v":1,"type":"cancel","request_id":-1}"#),
            "malformed_message",
        ),
        ("deep nesting", text(&"[".repeat(100_000)), "malformed_message"),
        ("binary", Message::binary(vec![0xff, 0, 1]), "malformed_message"),
    ]
}

#[tokio::test]
async fn bad_frames_get_their_code_and_leave_the_session_alone() {
    let scene = Scene::start("").await;
    let paper = scene.open(DEPOSIT).await;

    // Before the session is attached.
    let mut wire = Wire::connect(&scene.url).await;
    for (what, frame, code) in bad_frames() {
        wire.raw(frame).await;
        assert_eq!(wire.error_code().await, code, "{what}, before session_init");
    }
    wire.send(json!({ "type": "ping" })).await;
    wire.expect("pong").await;
    let unattached = [
        json!({ "type": "prompt", "request_id": 1, "prompt": { "text": "hello" } }),
        json!({ "type": "cancel", "request_id": 1 }),
        json!({ "type": "end" }),
        {
            let mut voucher = paper.voucher(1, 1, paper.salt);
            voucher["type"] = json!("voucher");
            voucher
        },
    ];
    for frame in unattached {
        wire.send(frame.clone()).await;
        assert_eq!(wire.error_code().await, "unknown_session", "{frame} before session_init");
    }
    wire.init(&paper, 0).await;
    wire.expect("session_ready").await;

    // While an answer is under way.
    let mut renter = Renter::attach(&scene.url, &paper).await;
    assert_eq!(wire.error_code().await, "session_taken");
    assert_eq!(wire.next().await, None, "the older connection is let go");
    renter.ask("Tell me a story about a fox.", 60).await;
    for (what, frame, code) in bad_frames() {
        renter.wire.raw(frame).await;
        let found = loop {
            let frame = renter.wire.next().await.unwrap();
            if frame["type"] == "error" {
                break frame;
            }
            if renter.count_frame(&frame).is_some() {
                renter.pay().await;
            }
        };
        assert_eq!(found["error"]["code"], code, "{what}, mid-answer");
        assert_eq!(found["fatal"], false, "{what}");
    }
    let proof = paper.proof(renter.wire.challenge());
    renter.wire.send(init(&paper, &proof, 0)).await;
    loop {
        let frame = renter.wire.next().await.unwrap();
        if frame["type"] == "error" {
            assert_eq!(frame["error"]["code"], "invalid_request", "a second session_init");
            break;
        }
        if renter.count_frame(&frame).is_some() {
            renter.pay().await;
        }
    }
    // Whatever of the answer is still to come.
    renter.settle_up().await;
    check_requests(&mut renter).await;

    // A frame above the stated limit ends the connection, not the session.
    let limit = usize::try_from(renter.wire.hello["max_frame_bytes"].as_u64().unwrap()).unwrap();
    renter.wire.raw(Message::text("x".repeat(limit + 1))).await;
    while renter.wire.next().await.is_some() {}
    renter.come_back(&scene.url).await;
    renter.ask("What is a voucher?", 20).await;
    renter.to_end().await;
    assert_eq!(renter.end().await, "end");
    scene.settles_for(&paper, renter.owed()).await;
}

/// Requests whose form is right and whose content is not.
async fn check_requests(renter: &mut Renter) {
    let requests = [
        ("an empty prompt", json!({ "ids": [] }), "invalid_request"),
        ("an unknown token", json!({ "ids": [4_000_000_000_u32] }), "invalid_request"),
        (
            "a prompt beyond the context",
            json!({ "ids": vec![1; 100_000] }),
            "context_length_exceeded",
        ),
        ("no messages", json!({ "messages": [] }), "invalid_request"),
    ];
    for (what, prompt, code) in requests {
        let request = json!({ "type": "prompt", "request_id": 90, "prompt": prompt });
        renter.wire.send(request).await;
        assert_eq!(renter.wire.error_code().await, code, "{what}");
    }
    for (field, value) in [
        ("temperature", json!(-1)),
        ("temperature", json!(1e300)),
        ("top_p", json!(0)),
        ("top_p", json!(7)),
        ("max_tokens", json!(0)),
    ] {
        let mut request = json!({ "type": "prompt", "request_id": 91, "prompt": { "ids": [5] } });
        request[field] = value.clone();
        renter.wire.send(request).await;
        assert_eq!(renter.wire.error_code().await, "invalid_request", "{field} {value}");
    }
}
