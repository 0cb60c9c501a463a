//! Gas of shared calls: one estimate serves all batches of its kind in one look at the chain.
//!
//! Estimating a call runs it several times over, and a full batch is the dearest call there is: asked
//! for each, a node would be busy with little else. Batches of one kind differ by what their items
//! write for the first time, so those that were not asked for get twice the gas. What is not used is
//! not paid; what is too little after all reverts as a whole, is halved, and is then asked for.

use capstan_base::U256;
use capstan_store::IntentId;

use super::event::View;
use super::lane::Lane;
use crate::batching::Group;
use crate::chain::Estimate;

/// What is known of a group's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SharedGas {
    /// The look at the chain it was asked in.
    views: u64,
    /// Intents of the batch that was asked for.
    items: usize,
    /// Gas and what a rollup may charge besides; `None` until there is an answer.
    answer: Option<(u64, U256)>,
}

/// What a transaction is expected to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// Gas it will use.
    pub(super) gas: u64,
    /// Gas it may use, where that does not follow from the estimate.
    pub(super) most: Option<u64>,
    /// Wei a rollup may charge besides.
    pub(super) rollup_fee: U256,
}

impl Lane {
    /// A batch is asked about: others of its kind wait for the answer.
    pub(super) fn ask_gas(&mut self, ids: &[IntentId]) {
        if let Some(group) = self.shared_group(ids) {
            let asked = SharedGas { views: self.views, items: ids.len(), answer: None };
            self.shared_gas.insert(group, asked);
        }
    }

    /// Keeps what a batch was said to need.
    pub(super) fn learn_gas(&mut self, ids: &[IntentId], estimate: Option<&Estimate>) {
        let Some(group) = self.shared_group(ids) else { return };
        match estimate {
            Some(Estimate::Gas { gas, rollup_fee }) => {
                let answer = Some((*gas, *rollup_fee));
                let known = SharedGas { views: self.views, items: ids.len(), answer };
                self.shared_gas.insert(group, known);
            }
            // Says nothing about another batch.
            _ => {
                self.shared_gas.remove(&group);
            }
        }
    }

    /// What a batch needs by the estimate of another one of at least its size, if nodes take twice as much
    /// in one transaction, and the account can pay for it.
    pub(super) fn known_gas(&self, ids: &[IntentId], view: &View) -> Option<Expected> {
        let known = self.shared_gas.get(&self.shared_group(ids)?)?;
        let (gas, rollup_fee) = known.answer?;
        if known.views != self.views || known.items < ids.len() {
            return None;
        }
        let mut value = U256::ZERO;
        for id in ids {
            let waiting = self.queue.get(id)?;
            value = value.saturating_add(waiting.intent.request.value);
        }
        let most = gas.saturating_mul(2);
        let price = U256::from(view.gas_price.offer().max_fee());
        let cost = price.saturating_mul(U256::from(most)).saturating_add(rollup_fee);
        if most > self.config.max_gas {
            return None;
        }
        let is_affordable = cost.saturating_add(value) <= self.available(view);
        is_affordable.then_some(Expected { gas, most: Some(most), rollup_fee })
    }

    /// True if a batch of the same kind is being asked about, whose answer will do for this one.
    pub(super) fn awaits_shared_gas(&self, ids: &[IntentId]) -> bool {
        let known = self.shared_group(ids).and_then(|group| self.shared_gas.get(&group));
        known.is_some_and(|known| {
            known.views == self.views && known.answer.is_none() && known.items >= ids.len()
        })
    }

    /// The group of a batch that another one's estimate will do for: none of its items was in a batch
    /// that failed, or has a budget, which is to be reckoned with exactly.
    fn shared_group(&self, ids: &[IntentId]) -> Option<Group> {
        let [first, _, ..] = ids else { return None };
        let waiting = || ids.iter().filter_map(|id| self.queue.get(id));
        let is_plain = waiting().all(|waiting| {
            waiting.starved == 0
                && waiting.limit >= self.config.batch.max_items
                && waiting.intent.request.max_cost.is_none()
        });
        self.queue.get(first).and_then(|waiting| waiting.group).filter(|_| is_plain)
    }
}
