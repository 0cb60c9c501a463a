//! Frames: every message round-trips, and nothing a peer sends panics the reader.

use capstan_wire::ErrorCode;
use capstan_wire::session::{FromHost, FromRenter, MAX_FRAME_BYTES, decode, encode};
use proptest::prelude::*;

use crate::samples::{ENDS, from_host, from_renter};

/// Puts `with` in the place of some bytes, cut to whole characters.
fn mutate(frame: &str, at: prop::sample::Index, len: usize, with: &str) -> String {
    let bytes = frame.as_bytes();
    let at = at.index(bytes.len());
    let end = bytes.len().min(at + len);
    let changed = [&bytes[..at], with.as_bytes(), &bytes[end..]].concat();
    String::from_utf8_lossy(&changed).into_owned()
}

proptest! {
    #[test]
    fn every_renter_message_round_trips(message in from_renter()) {
        prop_assert_eq!(decode::<FromRenter>(&encode(&message)), Ok(message));
    }

    #[test]
    fn every_host_message_round_trips(message in from_host()) {
        prop_assert_eq!(decode::<FromHost>(&encode(&message)), Ok(message));
    }

    #[test]
    fn arbitrary_text_is_malformed_and_never_panics(text in "\\PC{0,200}") {
        for code in [decode::<FromRenter>(&text).err(), decode::<FromHost>(&text).err()] {
            prop_assert_eq!(code.map(|error| error.code), Some(ErrorCode::MalformedMessage));
        }
    }

    #[test]
    fn a_damaged_frame_never_panics(
        renter in from_renter(),
        host in from_host(),
        at: prop::sample::Index,
        len in 0_usize..20,
        with in "[\\[\\]{}\",:0-9a-z\\-\\.]{0,12}",
    ) {
        let _ = decode::<FromRenter>(&mutate(&encode(&renter), at, len, &with));
        let _ = decode::<FromHost>(&mutate(&encode(&host), at, len, &with));
    }

    #[test]
    fn another_version_is_told_so_whatever_it_says(version in 0_u16..100, text in "[a-z]{0,9}") {
        prop_assume!(version != 1);
        let frame = format!(r#"{{"type":"{text}","new":[{{}}],"v":{version}}}"#);
        let error = decode::<FromRenter>(&frame).unwrap_err();
        prop_assert_eq!(error.code, ErrorCode::UnsupportedVersion);
    }
}

#[test]
fn an_unknown_field_is_ignored_and_an_unknown_type_is_not() {
    let frame = r#"{"v":1,"type":"cancel","request_id":7,"later":{"x":[1]}}"#;
    assert_eq!(decode(frame), Ok(FromRenter::Cancel { request_id: 7 }));
    for frame in [
        r#"{"v":1,"type":"refund"}"#,
        r#"{"v":1}"#,
        r#"{"type":"ping"}"#,
        r#"{"v":-1,"type":"ping"}"#,
        r#"{"v":70000,"type":"ping"}"#,
        r#"{"v":1,"type":"cancel","request_id":-1}"#,
        r#"{"v":1,"type":"cancel","request_id":18446744073709551616}"#,
        "[1]",
        "null",
        "",
    ] {
        let error = decode::<FromRenter>(frame).unwrap_err();
        assert_eq!(error.code, ErrorCode::MalformedMessage, "{frame}");
    }
}

/// Peers of before receipts go on: they send none, and get none that they would have to know.
#[test]
fn a_message_without_a_receipt_is_what_it_was_before() {
    let accepted = r#"{"v":1,"type":"voucher_accepted","amount":"7","tokens":3}"#;
    let ended = r#"{"v":1,"type":"ended","reason":"end"}"#;
    for frame in [accepted, ended] {
        let message: FromHost = decode(frame).unwrap();
        assert!(matches!(
            message,
            FromHost::VoucherAccepted { receipt: None, .. } | FromHost::Ended { receipt: None, .. }
        ));
        assert_eq!(encode(&message), frame);
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_unread() {
    let frame = format!(r#"{{"v":1,"type":"ping","pad":"{}"}}"#, "x".repeat(MAX_FRAME_BYTES));
    let error = decode::<FromRenter>(&frame).unwrap_err();
    assert_eq!(error.code, ErrorCode::MessageTooLarge);
}

#[test]
fn deep_nesting_is_an_error_and_not_an_overflow() {
    let deep = "[".repeat(200_000);
    for frame in [deep.clone(), format!(r#"{{"v":1,"type":"ping","x":{deep}"#)] {
        assert!(decode::<FromRenter>(&frame).is_err());
    }
}

#[test]
fn a_reason_is_the_same_word_on_the_wire_and_in_reports() {
    for reason in ENDS {
        assert_eq!(serde_json::json!(reason), serde_json::json!(reason.as_str()));
    }
}
