//! The bearer credential: round trip, foreign text, and silence about its own contents.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capstan_base::ChainId;
use capstan_wire::{Credential, CredentialError};
use proptest::prelude::*;

use crate::samples::{price, terms, voucher};

fn credentials() -> impl Strategy<Value = Credential> {
    (any::<u64>(), terms(), price(), voucher()).prop_map(|(chain, terms, price, voucher)| {
        Credential { chain_id: ChainId(chain), terms, price, voucher }
    })
}

proptest! {
    #[test]
    fn the_text_form_round_trips_and_is_a_header_value(credential in credentials()) {
        let text = credential.encode();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(text.len() < 2048, "{} bytes", text.len());
        prop_assert_eq!(Credential::decode(&text), Ok(credential));
    }

    #[test]
    fn debug_hides_what_can_be_spent(credential in credentials()) {
        let shown = format!("{credential:?} {:#?}", credential);
        let secret = credential.voucher.signature.0.to_string();
        prop_assert!(!shown.contains(&secret[2..20]));
        prop_assert!(!shown.contains(&credential.terms.salt.to_string()));
    }

    #[test]
    fn arbitrary_text_is_refused_without_being_repeated(text in "\\PC{1,60}") {
        for text in [text.clone(), format!("capstan_{text}")] {
            let error = Credential::decode(&text).unwrap_err();
            let expected = if text.starts_with("capstan_") {
                CredentialError::Damaged
            } else {
                CredentialError::NotOurs
            };
            prop_assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_damaged_credential_never_panics(
        credential in credentials(), at: prop::sample::Index, with in "[A-Za-z0-9_=+/-]{0,4}",
    ) {
        let mut text = credential.encode();
        let at = at.index(text.len());
        text.replace_range(at..(at + 1), &with);
        let _ = Credential::decode(&text);
        let _ = Credential::decode(&text[..at]);
    }

    #[test]
    fn arbitrary_json_inside_never_panics(json in "\\PC{0,99}") {
        let text = format!("capstan_{}", URL_SAFE_NO_PAD.encode(json));
        prop_assert_eq!(Credential::decode(&text), Err(CredentialError::Damaged));
    }
}

#[test]
fn a_credential_of_any_length_is_refused_at_once() {
    let long = format!("capstan_{}", "A".repeat(10 << 20));
    assert_eq!(Credential::decode(&long), Err(CredentialError::Damaged));
}
