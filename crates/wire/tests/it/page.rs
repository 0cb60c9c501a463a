//! `docs/protocol.md` names everything that crosses the wire, and its examples are true.

use std::collections::BTreeSet;

use alloy_primitives::address;
use capstan_base::{AttachChallenge, B256, SessionKey, Voucher};
use capstan_wire::session::{MAX_FRAME_BYTES, PROTOCOL_VERSION, encode};
use capstan_wire::{Credential, ErrorCode};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::samples::{ENDS, FINISHES, from_host, from_renter};

const PAGE: &str = include_str!("../../../../docs/protocol.md");

fn names<M: serde::Serialize + core::fmt::Debug>(
    messages: impl Strategy<Value = M>,
) -> BTreeSet<String> {
    let mut runner = TestRunner::deterministic();
    let mut names = BTreeSet::new();
    for _ in 0..500 {
        let frame = encode(messages.new_tree(&mut runner).unwrap().current());
        let frame: Value = serde_json::from_str(&frame).unwrap();
        for (field, value) in frame.as_object().unwrap() {
            match (field.as_str(), value) {
                ("v", _) => {}
                ("type", value) => drop(names.insert(value.as_str().unwrap().to_owned())),
                (field, _) => drop(names.insert(field.to_owned())),
            }
        }
    }
    names
}

fn says(word: &str) {
    assert!(PAGE.contains(&format!("`{word}`")), "the page does not name {word}");
}

#[test]
fn every_message_field_and_reason_is_named() {
    let all = names(from_renter()).into_iter().chain(names(from_host()));
    all.for_each(|name| says(&name));
    FINISHES.iter().for_each(|reason| says(serde_json::json!(reason).as_str().unwrap()));
    ENDS.iter().for_each(|reason| says(reason.as_str()));
}

#[test]
fn every_error_has_its_row() {
    for code in ErrorCode::ALL {
        let row = format!("| `{code}` | {} | `{}` |", code.status(), code.kind());
        assert!(PAGE.contains(&row), "no row begins {row}");
    }
}

#[test]
fn its_limits_are_the_codes() {
    assert!(PAGE.contains(&format!("at most {MAX_FRAME_BYTES} bytes")));
    assert!(PAGE.contains(&format!("`\"v\": {PROTOCOL_VERSION}`")));
}

#[test]
fn its_credential_is_read_and_its_digests_are_true() {
    let line = PAGE.lines().find(|line| line.starts_with("capstan_")).unwrap();
    let credential = Credential::decode(line).unwrap();
    let key = SessionKey {
        chain_id: credential.chain_id,
        marketplace: address!("5FbDB2315678afecb367f032d93F642f64180aa3"),
        session_id: credential.terms.id(),
    };
    assert_eq!(credential.voucher.verify(&key, credential.terms.voucher_key), Ok(()));
    let ceiling = credential.voucher.voucher;
    assert!(ceiling.is_ceiling());
    let challenge = AttachChallenge(B256::repeat_byte(0x77));
    let root = "0x77e895179605a5bef6356bdef20fd88f5d84923f6ee0c62d4a984fbffc3815eb";
    let exact = Voucher {
        amount: "1234567".parse().unwrap(),
        tokens: 3,
        transcript_root: root.parse().unwrap(),
        ..ceiling
    };
    says(root);
    says(&key.session_id.to_string());
    says_digest(ceiling.digest(key.chain_id, key.marketplace));
    says_digest(exact.digest(key.chain_id, key.marketplace));
    says_digest(challenge.digest(key.chain_id, key.marketplace, key.session_id));
}

fn says_digest(digest: B256) {
    says(&digest.to_string());
}
