//! What to offer for gas: fresh estimates, replacements that nodes accept, and the hard cap.

use capstan_base::U256;
use capstan_chain::{Fees, GasPrice};
use capstan_store::Intent;

/// Most wei a transaction may cost that all of these share alike, so that the share of each stays
/// within what is left of its own limit; `None` if none of them has one.
pub(super) fn shared_budget<'a>(intents: impl Iterator<Item = &'a Intent>) -> Option<U256> {
    let (mut items, mut least) = (0_u64, None::<U256>);
    for intent in intents {
        items = items.saturating_add(1);
        let left = intent.request.max_cost.map(|most| most.saturating_sub(intent.spent));
        least = match (least, left) {
            (Some(least), Some(own)) => Some(least.min(own)),
            (least, own) => least.or(own),
        };
    }
    least.map(|least| least.saturating_mul(U256::from(items)))
}

/// Wei each of `items` pays if a transaction costs what gas costs right now.
pub(super) fn share(price: GasPrice, gas: u64, rollup_fee: U256, items: usize) -> U256 {
    let per_gas = match price {
        GasPrice::Eip1559 { base, priority } => base.saturating_add(priority),
        GasPrice::Legacy { gas_price } => gas_price,
    };
    let cost = U256::from(per_gas).saturating_mul(U256::from(gas)).saturating_add(rollup_fee);
    cost.checked_div(U256::from(items.max(1))).unwrap_or(cost)
}

/// Most wei per gas a budget allows for a gas limit, once a rollup took its share; `None` is no
/// limit.
pub(super) fn fee_cap(max_cost: Option<U256>, rollup_fee: U256, gas_limit: u64) -> u128 {
    let Some(max_cost) = max_cost else { return u128::MAX };
    max_cost
        .saturating_sub(rollup_fee)
        .checked_div(U256::from(gas_limit.max(1)))
        .and_then(|fee| u128::try_from(fee).ok())
        .unwrap_or(u128::MAX)
}

/// Fees of a first attempt, or `None` if the cap is below what the chain asks right now: such an
/// attempt would sit in the pool and hold up every nonce behind it.
pub(super) fn first(price: GasPrice, cap: u128) -> Option<Fees> {
    let fresh = price.offer();
    if fresh.max_fee() <= cap {
        return Some(fresh);
    }
    match price {
        // Twice the base fee is headroom; base fee and priority fee are the price.
        GasPrice::Eip1559 { base, priority } => (base.saturating_add(priority) <= cap)
            .then_some(Fees::Eip1559 { max_fee: cap, priority_fee: priority.min(cap) }),
        GasPrice::Legacy { .. } => None,
    }
}

/// Fees of a replacement: at least 12.5 % above `old` in both fields, which every node accepts, at
/// least a fresh estimate, and never above the cap. `None` if the cap leaves no such fees.
pub(super) fn replacement(old: Fees, price: GasPrice, cap: u128) -> Option<Fees> {
    let fresh = price.offer();
    match old {
        Fees::Eip1559 { max_fee, priority_fee } => {
            let (least_max, least_priority) = (bumped(max_fee), bumped(priority_fee));
            let max_fee = fresh.max_fee().max(least_max).min(cap);
            let fresh_priority = fresh.priority_fee().unwrap_or(fresh.max_fee());
            let priority_fee = fresh_priority.max(least_priority).min(max_fee);
            (max_fee >= least_max && priority_fee >= least_priority)
                .then_some(Fees::Eip1559 { max_fee, priority_fee })
        }
        Fees::Legacy { gas_price } => {
            let least = bumped(gas_price);
            let gas_price = fresh.max_fee().max(least).min(cap);
            (gas_price >= least).then_some(Fees::Legacy { gas_price })
        }
    }
}

/// True if fees are so far above what the chain asks, tip included, that they are not why a
/// transaction waits.
pub(super) fn is_far_above(fees: Fees, price: GasPrice, multiple: u128) -> bool {
    let fresh = price.offer();
    let is_far = |own: u128, fresh: u128| own >= fresh.saturating_mul(multiple);
    let tips = fees.priority_fee().zip(fresh.priority_fee());
    is_far(fees.max_fee(), fresh.max_fee()) && tips.is_none_or(|(own, fresh)| is_far(own, fresh))
}

/// An eighth more, and more in any case: nodes refuse less than a tenth, and equality.
fn bumped(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: GasPrice = GasPrice::Eip1559 { base: 100, priority: 10 };

    #[test]
    fn a_first_attempt_stays_under_its_cap_or_waits() {
        let at = |max_fee| Some(Fees::Eip1559 { max_fee, priority_fee: 10 });
        assert_eq!(first(PRICE, 1000), at(210));
        assert_eq!(first(PRICE, 150), at(150));
        assert_eq!(first(PRICE, 109), None);
        let legacy = GasPrice::Legacy { gas_price: 50 };
        assert_eq!(first(legacy, 50), Some(Fees::Legacy { gas_price: 50 }));
        assert_eq!(first(legacy, 49), None);
    }

    #[test]
    fn a_replacement_raises_both_fields_by_an_eighth() {
        let old = Fees::Eip1559 { max_fee: 800, priority_fee: 80 };
        let new = replacement(old, PRICE, u128::MAX).unwrap();
        assert_eq!(new, Fees::Eip1559 { max_fee: 900, priority_fee: 90 });
        assert_eq!(replacement(old, PRICE, 899), None);
        let low = Fees::Eip1559 { max_fee: 9, priority_fee: 0 };
        let fresh = Fees::Eip1559 { max_fee: 210, priority_fee: 10 };
        assert_eq!(replacement(low, PRICE, u128::MAX), Some(fresh));
        let clamped = Fees::Eip1559 { max_fee: 20, priority_fee: 10 };
        assert_eq!(replacement(low, PRICE, 20), Some(clamped));
        let legacy = Fees::Legacy { gas_price: 8 };
        assert_eq!(
            replacement(legacy, GasPrice::Legacy { gas_price: 1 }, 100),
            Some(Fees::Legacy { gas_price: 9 })
        );
    }

    #[test]
    fn a_fee_is_far_above_only_with_its_tip() {
        let fees = |max_fee, priority_fee| Fees::Eip1559 { max_fee, priority_fee };
        assert!(is_far_above(fees(840, 40), PRICE, 4));
        assert!(!is_far_above(fees(839, 40), PRICE, 4));
        assert!(!is_far_above(fees(840, 39), PRICE, 4), "the tip may be what is too low");
        let legacy = GasPrice::Legacy { gas_price: 10 };
        assert!(is_far_above(Fees::Legacy { gas_price: 40 }, legacy, 4));
        assert!(!is_far_above(Fees::Legacy { gas_price: 39 }, legacy, 4));
    }

    #[test]
    fn a_budget_bounds_the_fee_for_the_gas_limit() {
        assert_eq!(fee_cap(Some(U256::from(1000)), U256::ZERO, 300), 3);
        assert_eq!(fee_cap(Some(U256::from(1000)), U256::from(500), 300), 1);
        assert_eq!(fee_cap(Some(U256::from(1000)), U256::MAX, 300), 0);
        assert_eq!(fee_cap(Some(U256::MAX), U256::ZERO, 1), u128::MAX);
        assert_eq!(fee_cap(None, U256::MAX, 1), u128::MAX);
        assert_eq!(fee_cap(Some(U256::from(1)), U256::ZERO, 0), 1);
    }
}
