//! Price: rounded up once, and never falling.

use alloy_primitives::U256;
use capstan_base::{Amount, AmountError, Price};
use proptest::prelude::*;

use crate::amount::{amounts, wide};

pub fn prices() -> impl Strategy<Value = Price> {
    (amounts(), amounts()).prop_map(|(input, output)| Price { input, output })
}

/// The same in integers that cannot overflow.
fn exact(price: Price, input: u64, output: u64) -> U256 {
    let scaled = wide(price.input) * U256::from(input) + wide(price.output) * U256::from(output);
    let million = U256::from(1_000_000);
    (scaled + million - U256::from(1)) / million
}

proptest! {
    #[test]
    fn cost_is_the_exact_cost_rounded_up_once(price in prices(), input: u64, output: u64) {
        match price.cost_rounded_up(input, output) {
            Ok(cost) => prop_assert_eq!(wide(cost), exact(price, input, output)),
            // The intermediate product may exceed 128 bits before the result exceeds 96.
            Err(error) => {
                prop_assert_eq!(error, AmountError::TooLarge);
                let scaled = exact(price, input, output) * U256::from(1_000_000);
                prop_assert!(
                    scaled > U256::from(u128::MAX) - U256::from(1_000_000)
                        || exact(price, input, output) > wide(Amount::MAX)
                );
            }
        }
    }

    #[test]
    fn more_tokens_never_cost_less(
        price in prices(),
        input in 0_u64..1 << 20,
        output in 0_u64..1 << 20,
        more in 0_u64..1 << 10,
    ) {
        let Ok(cost) = price.cost_rounded_up(input, output) else { return Ok(()) };
        for (input, output) in [(input + more, output), (input, output + more)] {
            if let Ok(after) = price.cost_rounded_up(input, output) {
                prop_assert!(after >= cost);
            }
        }
    }

    #[test]
    fn one_rounding_costs_at_most_one_unit(
        input in 0_u64..1 << 40,
        output in 0_u64..1 << 40,
        per_million in 0_u128..1 << 40,
    ) {
        let price = Amount::new(per_million).unwrap();
        let cost = Price { input: price, output: price }.cost_rounded_up(input, output).unwrap();
        let scaled = cost.base_units() * 1_000_000;
        let tokens = u128::from(input) + u128::from(output);
        prop_assert!(scaled >= per_million * tokens);
        prop_assert!(scaled - per_million * tokens < 1_000_000);
    }
}
