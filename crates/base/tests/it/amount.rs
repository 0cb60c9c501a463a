//! Amount: every text and integer form round-trips, arithmetic never wraps.

use alloy_primitives::{U256, Uint};
use capstan_base::{Amount, AmountError};
use proptest::prelude::*;

pub fn amounts() -> impl Strategy<Value = Amount> {
    (any::<u128>(), 0_u32..96).prop_map(|(bits, shift)| {
        let most = Amount::MAX.base_units();
        Amount::new((bits & most) >> shift).unwrap()
    })
}

/// The amount as the widest Solidity integer.
pub fn wide(amount: Amount) -> U256 {
    amount.into()
}

proptest! {
    #[test]
    fn text_and_json_round_trip(amount in amounts()) {
        prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(&json, &format!("\"{}\"", amount.base_units()));
        prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
    }

    #[test]
    fn decimal_text_round_trips_at_any_precision(amount in amounts(), decimals in 0_u8..=30) {
        let text = amount.to_decimal(decimals);
        prop_assert_eq!(Amount::parse_decimal(&text, decimals), Ok(amount));
        let zeros = text.contains('.') && text.ends_with('0');
        prop_assert!(!zeros && !text.ends_with('.'), "{}", text);
    }

    #[test]
    fn integers_round_trip_and_wider_ones_are_refused(amount in amounts(), over in any::<u128>()) {
        let narrow: Uint<96, 2> = amount.into();
        prop_assert_eq!(U256::from(narrow), wide(amount));
        prop_assert_eq!(Amount::try_from(wide(amount)), Ok(amount));
        prop_assert_eq!(Amount::try_from(narrow), Ok(amount));
        let above = wide(Amount::MAX) + U256::from(1) + U256::from(over);
        prop_assert_eq!(Amount::try_from(above), Err(AmountError::TooLarge));
    }

    #[test]
    fn arithmetic_is_exact_or_refused(a in amounts(), b in amounts()) {
        let sum = a.base_units() + b.base_units();
        prop_assert_eq!(a.checked_add(b), Amount::new(sum).ok());
        prop_assert_eq!(a.checked_sub(b).is_some(), a >= b);
        if let Some(rest) = a.checked_sub(b) {
            prop_assert_eq!(rest.checked_add(b), Some(a));
        }
    }

    #[test]
    fn no_text_panics_and_only_digits_are_read(text in "\\PC{0,40}", decimals in any::<u8>()) {
        if text.parse::<Amount>().is_ok() {
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit()));
        }
        if Amount::parse_decimal(&text, decimals).is_ok() {
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        }
    }
}

#[test]
fn json_numbers_are_refused() {
    for json in ["1", "1.0", "null", "\"\"", "\"1e3\"", "\"79228162514264337593543950336\""] {
        assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
    }
}
