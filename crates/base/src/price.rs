//! What a host asks for one model in one payment token.

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, AmountError};

/// Tokens a price is quoted for.
const TOKENS_PER_UNIT: u128 = 1_000_000;

/// Base units per million tokens, input and output apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Per million prompt tokens.
    pub input: Amount,
    /// Per million generated tokens.
    pub output: Amount,
}

impl Price {
    /// Cost of a whole session so far, rounded up once to the next base unit, so that rounding
    /// never adds up over many small steps.
    pub fn cost_rounded_up(&self, input: u64, output: u64) -> Result<Amount, AmountError> {
        let input = self.input.base_units().checked_mul(u128::from(input));
        let output = self.output.base_units().checked_mul(u128::from(output));
        input
            .zip(output)
            .and_then(|(input, output)| input.checked_add(output))
            .map(|scaled| scaled.div_ceil(TOKENS_PER_UNIT))
            .ok_or(AmountError::TooLarge)
            .and_then(Amount::new)
    }

    /// A price of nothing on both sides marks a model that is not offered.
    pub fn is_offered(&self) -> bool {
        !(self.input.is_zero() && self.output.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_rounds_up_once() {
        let price = Price { input: Amount::new(1).unwrap(), output: Amount::new(2).unwrap() };
        assert_eq!(price.cost_rounded_up(0, 0), Ok(Amount::ZERO));
        assert_eq!(price.cost_rounded_up(1, 0), Amount::new(1));
        assert_eq!(price.cost_rounded_up(500_000, 250_000), Amount::new(1));
        assert_eq!(price.cost_rounded_up(500_001, 250_000), Amount::new(2));
    }

    #[test]
    fn cost_beyond_the_field_is_an_error() {
        let price = Price { input: Amount::MAX, output: Amount::ZERO };
        assert_eq!(price.cost_rounded_up(u64::MAX, 0), Err(AmountError::TooLarge));
    }
}
