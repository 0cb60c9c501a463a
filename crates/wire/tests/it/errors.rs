//! The error body: OpenAI's shape, one word, one status.

use std::collections::BTreeSet;

use capstan_base::{Address, Amount, ChainId, Price};
use capstan_wire::error::{PaymentChain, PaymentNeeded, PaymentSession};
use capstan_wire::{ApiError, ErrorCode};
use serde_json::json;

#[test]
fn every_code_is_one_word_with_a_status_of_an_error() {
    let words: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        assert_eq!(json!(code), json!(code.as_str()));
        assert!((400..600).contains(&code.status()), "{code}");
        assert!(code.kind().ends_with("_error"), "{code}");
    }
}

#[test]
fn the_body_is_openais() {
    let error = ApiError::new(ErrorCode::InvalidRequest, "no").with_param("n");
    let body = json!({ "error": {
        "message": "no", "type": "invalid_request_error", "param": "n", "code": "invalid_request",
    }});
    assert_eq!(error.body(), body);
}

#[test]
fn a_402_says_what_to_sign() {
    let units = |units| Amount::new(units).unwrap();
    let payment = PaymentNeeded {
        host: Address::repeat_byte(1),
        chains: vec![PaymentChain {
            chain_id: ChainId(5611),
            marketplace: Address::repeat_byte(2),
        }],
        session: Some(PaymentSession {
            price: Price { input: units(1), output: units(2) },
            owed: units(3),
            signed: units(4),
            needed: units(5),
        }),
    };
    let error = ApiError::new(ErrorCode::PaymentRequired, "pay").with_payment(payment);
    assert_eq!(error.code.status(), 402);
    let body = error.body();
    assert_eq!(body["error"]["type"], "payment_error");
    assert_eq!(body["error"]["payment"]["chains"][0]["chain_id"], 5611);
    assert_eq!(body["error"]["payment"]["session"]["needed"], "5");
}
