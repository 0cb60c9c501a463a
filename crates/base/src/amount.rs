//! An amount of one payment token, in its base units.

use core::fmt;
use core::str::FromStr;

use alloy_primitives::{U256, Uint};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base units of a payment token (wei, or 10^-6 USDC). At most 2^96 - 1, the width every contract
/// field has. Arithmetic is checked: there is no way to wrap or saturate by accident.
///
/// Text and JSON form: a decimal string, since JSON numbers lose precision above 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

/// Why a number is not an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// More than 2^96 - 1 base units.
    #[error("amount is above 2^96 - 1 base units")]
    TooLarge,
    /// Not a decimal number.
    #[error("amount is not a decimal number of base units")]
    NotDecimal,
    /// More fractional digits than the token has.
    #[error("amount has more than {decimals} decimal places")]
    TooPrecise {
        /// Decimal places of the token.
        decimals: u8,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount a contract field holds.
    pub const MAX: Self = Self((1 << 96) - 1);

    /// Checks the bound.
    pub const fn new(base_units: u128) -> Result<Self, AmountError> {
        if base_units > Self::MAX.0 { Err(AmountError::TooLarge) } else { Ok(Self(base_units)) }
    }

    /// Base units as an integer.
    pub const fn base_units(self) -> u128 {
        self.0
    }

    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`, or `None` above [`Amount::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|sum| Self::new(sum).ok())
    }

    /// `self - other`, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Parses a human amount such as `0.25` of a token with `decimals` places.
    pub fn parse_decimal(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(AmountError::NotDecimal);
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::NotDecimal);
        }
        if fraction.len() > usize::from(decimals) {
            return Err(AmountError::TooPrecise { decimals });
        }
        let digits = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
        digits.parse::<u128>().map_err(|_| AmountError::TooLarge).and_then(Self::new)
    }

    /// Human form with `decimals` places, trailing zeros removed: `0.25`.
    pub fn to_decimal(self, decimals: u8) -> String {
        let width = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = width.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(width));
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::NotDecimal);
        }
        text.parse::<u128>().map_err(|_| AmountError::TooLarge).and_then(Self::new)
    }
}

impl TryFrom<U256> for Amount {
    type Error = AmountError;

    fn try_from(value: U256) -> Result<Self, AmountError> {
        u128::try_from(value).map_err(|_| AmountError::TooLarge).and_then(Self::new)
    }
}

impl From<Amount> for U256 {
    fn from(amount: Amount) -> Self {
        U256::from(amount.0)
    }
}

impl From<Amount> for Uint<96, 2> {
    fn from(amount: Amount) -> Self {
        // The bound of `Amount` is the bound of the type: no digit is lost.
        Uint::<96, 2>::from_limbs([low(amount.0), low(amount.0 >> 64)])
    }
}

impl TryFrom<Uint<96, 2>> for Amount {
    type Error = AmountError;

    fn try_from(value: Uint<96, 2>) -> Result<Self, AmountError> {
        u128::try_from(value).map_err(|_| AmountError::TooLarge).and_then(Self::new)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low 64 bits are what is asked for")]
const fn low(value: u128) -> u64 {
    value as u64
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_round_trips() {
        for (text, decimals, units) in
            [("0.25", 6, 250_000), ("1", 6, 1_000_000), (".5", 2, 50), ("3.", 2, 300), ("7", 0, 7)]
        {
            let amount = Amount::parse_decimal(text, decimals).unwrap();
            assert_eq!(amount.base_units(), units, "{text}");
            assert_eq!(Amount::parse_decimal(&amount.to_decimal(decimals), decimals), Ok(amount));
        }
        assert_eq!(Amount::new(1).unwrap().to_decimal(18), "0.000000000000000001");
    }

    #[test]
    fn bad_text_is_refused() {
        assert_eq!(
            Amount::parse_decimal("0.1234567", 6),
            Err(AmountError::TooPrecise { decimals: 6 })
        );
        for text in ["", ".", "-1", "1e3", "0x10", "+2", " 1"] {
            assert_eq!(Amount::parse_decimal(text, 6), Err(AmountError::NotDecimal), "{text:?}");
        }
        assert_eq!(
            "99999999999999999999999999999999".parse::<Amount>(),
            Err(AmountError::TooLarge)
        );
        assert_eq!(Amount::MAX.checked_add(Amount::new(1).unwrap()), None);
    }

    #[test]
    fn ninety_six_bits_survive_the_solidity_type() {
        for units in [0, 1, u128::from(u64::MAX), 1 << 64, Amount::MAX.base_units()] {
            let amount = Amount::new(units).unwrap();
            let narrow: Uint<96, 2> = amount.into();
            let wide: U256 = amount.into();
            assert_eq!(Amount::try_from(narrow), Ok(amount));
            assert_eq!(Amount::try_from(wide), Ok(amount));
        }
    }
}
