//! What gas costs, and what a transaction offers for it.

use core::fmt;
use core::str::FromStr;

/// What a chain asks for gas now, wei per gas, its gas multiplier applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GasPrice {
    /// EIP-1559.
    Eip1559 {
        /// Base fee of the newest block.
        base: u128,
        /// Suggested priority fee.
        priority: u128,
    },
    /// A chain without a base fee.
    Legacy {
        /// Suggested price.
        gas_price: u128,
    },
}

impl GasPrice {
    /// What to offer at this price: twice the base fee outlasts six full blocks of its steepest rise
    /// (an eighth each on Ethereum).
    pub const fn offer(self) -> Fees {
        match self {
            Self::Eip1559 { base, priority } => Fees::Eip1559 {
                max_fee: base.saturating_mul(2).saturating_add(priority),
                priority_fee: priority,
            },
            Self::Legacy { gas_price } => Fees::Legacy { gas_price },
        }
    }
}

/// What one transaction offers for gas, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// EIP-1559, transaction type 2.
    Eip1559 {
        /// The most that is paid per gas, base fee included.
        max_fee: u128,
        /// Of which at most this goes to the block's producer.
        priority_fee: u128,
    },
    /// EIP-155, for chains without a base fee.
    Legacy {
        /// Paid per gas.
        gas_price: u128,
    },
}

impl Fees {
    /// The most that is paid per gas.
    pub const fn max_fee(self) -> u128 {
        match self {
            Self::Eip1559 { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// The most that goes to the block's producer, if that is said apart.
    pub const fn priority_fee(self) -> Option<u128> {
        match self {
            Self::Eip1559 { priority_fee, .. } => Some(priority_fee),
            Self::Legacy { .. } => None,
        }
    }

    /// From the pair of [`Fees::max_fee`] and [`Fees::priority_fee`].
    pub const fn from_parts(max_fee: u128, priority_fee: Option<u128>) -> Self {
        match priority_fee {
            Some(priority_fee) => Self::Eip1559 { max_fee, priority_fee },
            None => Self::Legacy { gas_price: max_fee },
        }
    }
}

/// Factor on the suggested gas price, from 1 to 5, kept in thousandths so that nothing is rounded
/// on the way from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GasMultiplier(u32);

/// Not a multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 1.0 to 5.0 with at most three decimals")]
pub struct GasMultiplierError;

impl GasMultiplier {
    /// The suggestion as it is.
    pub const ONE: Self = Self(1000);

    /// Rounded up, so that a price of 1 wei grows too.
    pub fn apply(self, wei: u128) -> u128 {
        wei.saturating_mul(u128::from(self.0)).div_ceil(1000)
    }
}

impl FromStr for GasMultiplier {
    type Err = GasMultiplierError;

    fn from_str(text: &str) -> Result<Self, GasMultiplierError> {
        let thousandths = capstan_base::Amount::parse_decimal(text.trim(), 3)
            .ok()
            .and_then(|value| u32::try_from(value.base_units()).ok());
        thousandths
            .filter(|value| (1000..=5000).contains(value))
            .map(Self)
            .ok_or(GasMultiplierError)
    }
}

impl fmt::Display for GasMultiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplier_is_exact_and_bounded() {
        let factor: GasMultiplier = "1.1".parse().unwrap();
        assert_eq!(factor.apply(1_000_000_000), 1_100_000_000);
        assert_eq!(factor.apply(1), 2);
        for text in ["0.9", "5.001", "1.2345", "", "x", "-1", "1e1", "NaN"] {
            assert_eq!(text.parse::<GasMultiplier>(), Err(GasMultiplierError), "{text}");
        }
    }

    #[test]
    fn twice_the_base_fee_and_the_tip_are_offered() {
        assert_eq!(
            GasPrice::Eip1559 { base: 200, priority: 14 }.offer(),
            Fees::Eip1559 { max_fee: 414, priority_fee: 14 }
        );
    }
}
