//! Numbers as agents write them.

use alloy_primitives::U256;
use serde_json::Value;

/// A JSON integer, or a string in decimal or 0x-hex, without sign, spaces or separators.
pub(super) fn number(value: &Value) -> Result<U256, &'static str> {
    match value {
        // Through its text, as an integer above 2^64 would be read as a fraction.
        Value::Number(number) => match number.as_u64() {
            Some(number) => Ok(U256::from(number)),
            None => Err("is no whole number from 0 to 2^64 - 1; write larger ones as a string"),
        },
        Value::String(text) => from_text(text),
        _ => Err("is neither a number nor a string"),
    }
}

fn from_text(text: &str) -> Result<U256, &'static str> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // The parser would pass over underscores.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("is no number in decimal or 0x-hex");
    }
    U256::from_str_radix(digits, u64::from(radix)).map_err(|_| "is above 2^256 - 1")
}
