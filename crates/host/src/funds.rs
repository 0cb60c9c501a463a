//! Can the host pay for settling? Per chain: balance, what one settlement costs, and for how many
//! it lasts. Read by admission and health, written by the watch and by what settles.

mod alert;
mod estimate;
mod watch;
mod webhook;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_base::{ChainId, U256, UnixSeconds};

pub use alert::{Alarm, Standing};
pub use estimate::{Estimate, estimate};
pub use watch::Watch;
pub use webhook::Webhook;

/// Settlements whose mean is what the next one is expected to cost.
const REMEMBERED: usize = 16;

/// What the watch last saw on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Native coin, wei.
    pub balance: U256,
    /// Expected cost of one settlement, wei.
    pub cost: U256,
    /// Settlements the balance pays for; zero if nodes would refuse the next one.
    pub runway: u64,
    /// When.
    pub at: UnixSeconds,
}

/// Shared by whoever reads or writes it.
#[derive(Clone, Debug, Default)]
pub struct Funds {
    chains: Arc<Mutex<BTreeMap<ChainId, ChainFunds>>>,
}

#[derive(Debug, Default)]
struct ChainFunds {
    costs: VecDeque<U256>,
    reading: Option<Reading>,
}

impl Funds {
    /// The newest reading; `None` before the first.
    pub fn reading(&self, chain: ChainId) -> Option<Reading> {
        self.chains().get(&chain).and_then(|funds| funds.reading)
    }

    /// False only if the newest reading says that no settlement can be paid for. Not knowing is no
    /// reason to refuse anybody.
    pub fn can_settle(&self, chain: ChainId) -> bool {
        self.reading(chain).is_none_or(|reading| reading.runway > 0)
    }

    /// Notes what a settlement cost, in wei.
    pub fn settled(&self, chain: ChainId, cost: U256) {
        let mut chains = self.chains();
        let costs = &mut chains.entry(chain).or_default().costs;
        costs.push_back(cost);
        if costs.len() > REMEMBERED {
            costs.pop_front();
        }
    }

    /// Takes a balance in: the runway follows from what settlements cost of late, or from the
    /// estimate while there was none. After there was too little for the next one, a fifth more than
    /// that is enough again: gas prices move, and at the edge sessions would be refused and taken by
    /// turns.
    pub fn read(
        &self,
        chain: ChainId,
        balance: U256,
        estimate: &Estimate,
        at: UnixSeconds,
    ) -> Reading {
        let mut chains = self.chains();
        let funds = chains.entry(chain).or_default();
        let sum = funds.costs.iter().fold(U256::ZERO, |sum, cost| sum.saturating_add(*cost));
        let mean = sum.checked_div(U256::from(funds.costs.len()));
        let cost = mean.unwrap_or(estimate.cost).max(U256::ONE);
        let lasts = balance.checked_div(cost).unwrap_or_default();
        let next = estimate.reserve.max(cost);
        let was_empty = funds.reading.is_some_and(|reading| reading.runway == 0);
        let more = if was_empty { next.div_ceil(U256::from(5)) } else { U256::ZERO };
        let runway = if balance < next.saturating_add(more) { 0 } else { lasts.saturating_to() };
        let reading = Reading { balance, cost, runway, at };
        funds.reading = Some(reading);
        reading
    }

    fn chains(&self) -> MutexGuard<'_, BTreeMap<ChainId, ChainFunds>> {
        // Each change is whole; a panic elsewhere leaves it sound.
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: ChainId = ChainId(7);

    fn wei(units: u64) -> U256 {
        U256::from(units)
    }

    #[test]
    fn the_runway_follows_what_settlements_cost_of_late() {
        let funds = Funds::default();
        let now = UnixSeconds::default();
        assert!(funds.can_settle(CHAIN), "unknown is no reason to refuse");
        let estimate = Estimate { cost: wei(10), reserve: wei(40) };
        assert_eq!(funds.read(CHAIN, wei(1000), &estimate, now).runway, 100);
        funds.settled(CHAIN, wei(20));
        assert_eq!(funds.read(CHAIN, wei(1000), &estimate, now).runway, 50);
        for _ in 0..REMEMBERED {
            funds.settled(CHAIN, wei(5));
        }
        assert_eq!(
            funds.read(CHAIN, wei(1000), &estimate, now).runway,
            200,
            "the first is forgotten"
        );
        // Enough for seven by the mean, and too little for a node to take the next.
        assert_eq!(funds.read(CHAIN, wei(39), &estimate, now).runway, 0);
        assert!(!funds.can_settle(CHAIN));
        for edge in [40, 47] {
            assert_eq!(funds.read(CHAIN, wei(edge), &estimate, now).runway, 0, "not at the edge");
        }
        assert_eq!(funds.read(CHAIN, wei(48), &estimate, now).runway, 9);
        assert_eq!(funds.read(CHAIN, wei(40), &estimate, now).runway, 8, "enough while it lasts");
        assert!(funds.can_settle(CHAIN));
        assert!(funds.can_settle(ChainId(8)));
    }
}
