//! Which host to rent: the cheapest, with a host's record counted into its price.
//!
//! A host whose work fails one time in four has to be tried a third more often for the same work, so
//! its price counts as a third more. One without a record counts as if every second try failed, and a
//! record moves it from there by its weight: dust of its own making does not make a stranger good. A
//! record can be bought for the fees it shows, so this sorts honest hosts and keeps nobody out; what
//! protects a renter is that it signs for what it counted, token by token.

use std::cmp::Reverse;

use capstan_base::{Address, Amount, Price, U256};
use capstan_chain::Score;

/// A host that serves what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its account.
    pub host: Address,
    /// Price of the model in the token.
    pub price: Price,
    /// Its record in that token.
    pub score: Score,
}

impl Candidate {
    /// Share of its work that did not fail, basis points; none without a record.
    pub fn quality_bps(&self) -> Option<u16> {
        let (merit, fault) = (U256::from(self.score.merit), U256::from(self.score.fault));
        let whole = merit.saturating_add(fault);
        let share = merit.saturating_mul(U256::from(WHOLE_BPS)).checked_div(whole)?;
        share.try_into().ok()
    }

    /// What to expect of its next work, basis points: its record, and beside it `PRIOR_SHARE` of a record
    /// of which half failed.
    fn expected_bps(&self) -> U256 {
        let (merit, fault) = (U256::from(self.score.merit), U256::from(self.score.fault));
        let prior =
            self.million_each_way().checked_div(PRIOR_SHARE).unwrap_or_default().max(U256::ONE);
        let good = merit.saturating_mul(TWO).saturating_add(prior);
        let whole = merit.saturating_add(fault).saturating_add(prior).saturating_mul(TWO);
        good.saturating_mul(U256::from(WHOLE_BPS)).checked_div(whole).unwrap_or_default()
    }

    /// Price of a million tokens in and a million out, base units.
    fn million_each_way(&self) -> U256 {
        let price = |amount: Amount| U256::from(amount.base_units());
        price(self.price.input).saturating_add(price(self.price.output))
    }

    /// That price times what failures add, in ten-thousandths of base units.
    fn cost(&self) -> U256 {
        let whole = U256::from(WHOLE_BPS);
        let price = self.million_each_way().saturating_mul(whole).saturating_mul(whole);
        // A host that only ever failed is dear, and not free.
        price.checked_div(self.expected_bps().max(U256::ONE)).unwrap_or(U256::MAX)
    }
}

const WHOLE_BPS: u16 = 10_000;
const TWO: U256 = U256::from_limbs([2, 0, 0, 0]);

/// A record counts for as much as being new does when it shows this part, in fees, of what a million
/// tokens each way cost at the host: with a fee of a tenth, a hundred thousand tokens each way.
const PRIOR_SHARE: U256 = U256::from_limbs([100, 0, 0, 0]);

/// Best first. Of equals the one with more merit, then the lower address, so that everybody who looks
/// sees one order.
pub fn rank(candidates: &mut [Candidate]) {
    candidates.sort_by_cached_key(|each| (each.cost(), Reverse(each.score.merit), each.host));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(host: u8, price: u128, merit: u128, fault: u128) -> Candidate {
        let amount = Amount::new(price).unwrap();
        Candidate {
            host: Address::repeat_byte(host),
            price: Price { input: amount, output: amount },
            score: Score { merit, fault },
        }
    }

    fn order(mut candidates: Vec<Candidate>) -> Vec<u8> {
        rank(&mut candidates);
        candidates.iter().map(|each| each.host.as_slice()[0]).collect()
    }

    /// A record against which being new weighs nothing.
    const MUCH: u128 = 1_000_000;

    #[test]
    fn of_equal_records_the_cheaper_is_first() {
        assert_eq!(order(vec![candidate(1, 20, 5, 0), candidate(2, 10, 5, 0)]), [2, 1]);
    }

    #[test]
    fn failures_count_as_price() {
        // Three in four: 1200 counts as 1600.
        let often_bad = candidate(1, 1200, 3 * MUCH, MUCH);
        assert_eq!(order(vec![often_bad.clone(), candidate(2, 1590, MUCH, 0)]), [2, 1]);
        assert_eq!(order(vec![often_bad, candidate(2, 1610, MUCH, 0)]), [1, 2]);
    }

    #[test]
    fn a_stranger_has_to_be_half_as_dear() {
        let known = candidate(2, 2000, MUCH, 0);
        assert_eq!(order(vec![candidate(1, 1010, 0, 0), known.clone()]), [2, 1]);
        assert_eq!(order(vec![candidate(1, 990, 0, 0), known]), [1, 2]);
    }

    #[test]
    fn a_record_counts_by_its_weight() {
        // A hundredth of what a million each way cost is 200: half way from a half to the whole.
        let half_known = candidate(1, 10_000, 200, 0);
        assert_eq!(half_known.expected_bps(), U256::from(7_500));
        assert_eq!(candidate(1, 10_000, 0, 200).expected_bps(), U256::from(2_500));
        assert_eq!(candidate(1, 10_000, 1, 0).expected_bps(), U256::from(5_024));
        // Dust moves nobody past a host that really worked.
        assert_eq!(order(vec![candidate(1, 9_000, 1, 0), candidate(2, 10_000, MUCH, 0)]), [2, 1]);
    }

    #[test]
    fn a_host_that_only_failed_is_last_even_for_nothing_much() {
        let failed = candidate(1, 1, 0, MUCH);
        assert_eq!(order(vec![failed.clone(), candidate(2, 4000, 0, 0)]), [2, 1]);
        assert_eq!(failed.quality_bps(), Some(0));
        assert_eq!(candidate(1, 1, 0, 0).quality_bps(), None);
    }

    #[test]
    fn ties_are_broken_alike_for_everybody() {
        assert_eq!(order(vec![candidate(2, 5, 1, 0), candidate(1, 5, 1, 0)]), [1, 2]);
        // Free is free, and then the record decides.
        assert_eq!(order(vec![candidate(1, 0, 1, 0), candidate(2, 0, 9, 0)]), [2, 1]);
    }

    #[test]
    fn the_largest_records_and_prices_do_not_overflow() {
        let large = candidate(1, (1 << 96) - 1, u128::MAX, u128::MAX);
        assert_eq!(large.quality_bps(), Some(5_000));
        assert_eq!(order(vec![large, candidate(2, 1, 1, 0)]), [2, 1]);
    }
}
