//! Which host to rent: the cheapest, with a host's record counted into its price.
//!
//! A host whose work fails one time in four has to be tried a third more often for the same work, so
//! its price counts as a third more. One without a record counts as if every second try failed: it
//! gets its chance when it is cheap. A little record is cheap to make, so this sorts honest hosts and
//! keeps nobody out; what protects a renter is that it signs for what it counted, token by token.

use std::cmp::Reverse;

use capstan_base::{Address, Price, U256};
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

    /// What a million tokens in and a million out cost, times what failures add, in ten-thousandths of
    /// base units.
    fn cost(&self) -> U256 {
        let price = U256::from(self.price.input.base_units())
            .saturating_add(U256::from(self.price.output.base_units()))
            .saturating_mul(U256::from(WHOLE_BPS))
            .saturating_mul(U256::from(WHOLE_BPS));
        // A host that only ever failed is dear, and not free.
        let quality = self.quality_bps().unwrap_or(UNKNOWN_BPS).max(1);
        price.checked_div(U256::from(quality)).unwrap_or(U256::MAX)
    }
}

const WHOLE_BPS: u16 = 10_000;

/// A stranger, see above.
const UNKNOWN_BPS: u16 = 5_000;

/// Best first. Of equals the one with more merit, then the lower address, so that everybody who looks
/// sees one order.
pub fn rank(candidates: &mut [Candidate]) {
    candidates.sort_by_cached_key(|each| (each.cost(), Reverse(each.score.merit), each.host));
}

#[cfg(test)]
mod tests {
    use capstan_base::Amount;

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

    #[test]
    fn of_equal_records_the_cheaper_is_first() {
        assert_eq!(order(vec![candidate(1, 20, 5, 0), candidate(2, 10, 5, 0)]), [2, 1]);
    }

    #[test]
    fn failures_count_as_price() {
        // Three in four: 12 counts as 16.
        assert_eq!(order(vec![candidate(1, 12, 3, 1), candidate(2, 15, 9, 0)]), [2, 1]);
        assert_eq!(order(vec![candidate(1, 12, 3, 1), candidate(2, 17, 9, 0)]), [1, 2]);
    }

    #[test]
    fn a_stranger_has_to_be_half_as_dear() {
        assert_eq!(order(vec![candidate(1, 11, 0, 0), candidate(2, 20, 1, 0)]), [2, 1]);
        assert_eq!(order(vec![candidate(1, 9, 0, 0), candidate(2, 20, 1, 0)]), [1, 2]);
    }

    #[test]
    fn a_host_that_only_failed_is_last_even_for_nothing_much() {
        assert_eq!(order(vec![candidate(1, 1, 0, 5), candidate(2, 4000, 0, 0)]), [2, 1]);
        assert_eq!(candidate(1, 1, 0, 5).quality_bps(), Some(0));
        assert_eq!(candidate(1, 1, 0, 0).quality_bps(), None);
    }

    #[test]
    fn ties_are_broken_alike_for_everybody() {
        assert_eq!(order(vec![candidate(2, 5, 1, 0), candidate(1, 5, 1, 0)]), [1, 2]);
        assert_eq!(order(vec![candidate(1, 5, 1, 0), candidate(2, 5, 9, 0)]), [2, 1]);
    }

    #[test]
    fn the_largest_records_and_prices_do_not_overflow() {
        let large = candidate(1, (1 << 96) - 1, u128::MAX, u128::MAX);
        assert_eq!(large.quality_bps(), Some(5_000));
        assert_eq!(order(vec![large, candidate(2, 1, 1, 0)]), [2, 1]);
    }
}
