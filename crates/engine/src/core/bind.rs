//! From an estimate to a nonce, or to the end of an intent that would revert.

use capstan_base::{Address, U256};
use capstan_chain::{Call, TxFields};
use capstan_store::{Failure, FailureCode, Intent, IntentId};

use super::effect::{Alert, Effect};
use super::event::{Answer, View, revert_text};
use super::fees;
use super::flight::Flight;
use super::lane::{Lane, call};
use super::queue::Waiting;
use super::shared_gas::Expected;
use crate::chain::Estimate;

/// Looks at the chain that must agree on a revert when no new block comes, as on a chain that mines
/// on demand. Where blocks come, two looks at distinct heads do.
const REVERTS_ON_ONE_HEAD: u32 = 3;

/// Blocks by which what is read may be newer than the head it is read with.
const READ_SKEW_BLOCKS: u64 = 2;

/// Doublings of the margin of what runs out of gas again and again.
const MOST_DOUBLINGS: u32 = 5;

/// Where nobody has the state of final blocks any more, an effect that was there before a block that is
/// final now, and is there still, is there for good. Any answer but silence begins anew.
fn settle_unread(answer: Answer, seen_at: &mut Option<u64>, view: Option<&View>) -> Answer {
    let (Answer::Unread, Some(view)) = (answer, view) else {
        *seen_at = seen_at.filter(|_| answer == Answer::Unavailable);
        return answer;
    };
    // Newer blocks than the head may have been asked.
    let seen_at = *seen_at.get_or_insert(view.head.number.saturating_add(READ_SKEW_BLOCKS));
    let is_final = view.final_height.is_some_and(|height| height >= seen_at);
    if is_final { Answer::Done } else { Answer::Unread }
}

/// What a transaction of these makes of the account's code; only one that goes alone can.
pub(super) fn own_code(intents: &[Intent]) -> Option<Address> {
    let [intent] = intents else { return None };
    intent.request.own_code
}

impl Lane {
    pub(super) fn estimated(
        &mut self,
        mut ids: Vec<IntentId>,
        estimate: Option<Estimate>,
    ) -> Vec<Effect> {
        self.estimates = self.estimates.saturating_sub(1);
        let Some(view) = self.view.clone() else { return Vec::new() };
        // What was not answered may not be answered for the next one either.
        let is_shared = ids.len() > 1 && estimate.is_some();
        let views = self.views;
        ids.retain(|id| self.queue.contains_key(id));
        for id in &ids {
            if let Some(waiting) = self.queue.get_mut(id) {
                waiting.is_asked = false;
                waiting.is_capped = false;
                if !matches!(estimate, Some(Estimate::Revert(_))) {
                    waiting.reverts = None;
                    waiting.denied = false;
                }
                if estimate.is_none() {
                    waiting.hold_briefly(views);
                }
            }
        }
        self.learn_gas(&ids, estimate.as_ref());
        let mut effects = match (estimate, &ids[..]) {
            (None, _) | (_, []) => Vec::new(),
            (Some(Estimate::Revert(data)), [id]) => self.reverted(*id, &view, &revert_text(&data)),
            // The one at fault is in one half.
            (Some(Estimate::Revert(_)), _) => {
                self.part(&ids, ids.len().div_ceil(2));
                Vec::new()
            }
            (Some(Estimate::Gas { gas, rollup_fee }), _) => {
                self.bind(&ids, None, Expected { gas, most: None, rollup_fee }, &view)
            }
        };
        if is_shared {
            // Others of its kind have waited for the answer.
            effects.extend(self.schedule());
        }
        effects
    }

    /// A revert counts if nothing of this lane that comes first could change it, and if a second
    /// look agrees: one node may lag behind what another has just mined. Then the chain is asked
    /// whether the effect is there already.
    fn reverted(&mut self, id: IntentId, view: &View, detail: &str) -> Vec<Effect> {
        let flying = self.flights.values().any(|flight| {
            flight.is_pending() && flight.intents.iter().any(|carried| carried.id < id)
        });
        let mut before = self.queue.range(..id).map(|(_, waiting)| waiting);
        let earlier = before.any(|waiting| waiting.is_due(view) && !waiting.is_parked());
        let views = self.views;
        let Some(waiting) = self.queue.get_mut(&id) else { return Vec::new() };
        if flying || earlier || !waiting.may_believe_revert(view) {
            waiting.reverts = None;
            // Longer each time: many such would take up all room at every look.
            waiting.hold(views);
            return Vec::new();
        }
        waiting.resume_at = views.saturating_add(1);
        let head = view.head.number;
        let (first, count) = waiting.reverts.unwrap_or((head, 0));
        let count = count.saturating_add(1);
        waiting.reverts = Some((first, count));
        waiting.reason = detail.to_owned();
        if (count >= 2 && head > first) || count >= REVERTS_ON_ONE_HEAD {
            waiting.is_asked = true;
            let (call, final_height) = (call(&waiting.intent), view.final_height);
            return vec![Effect::Ask { intent: id, call, final_height }];
        }
        Vec::new()
    }

    /// The call would revert, or has; now it is known whether that is because its effect is there.
    pub(super) fn asked(&mut self, id: IntentId, answer: Answer) -> Vec<Effect> {
        let views = self.views;
        let view = self.view.clone();
        let Some(waiting) = self.queue.get_mut(&id) else {
            self.asked_of_flight(id, answer);
            return Vec::new();
        };
        let answer = settle_unread(answer, &mut waiting.seen_done_at, view.as_ref());
        waiting.is_asked = false;
        let failure = match answer {
            Answer::Unavailable => {
                waiting.hold_briefly(views);
                return Vec::new();
            }
            Answer::NotFinal | Answer::Unread => {
                waiting.hold(views);
                return Vec::new();
            }
            Answer::Done => Failure {
                code: FailureCode::AlreadyDone,
                detail: format!("it would revert with {}", waiting.reason),
            },
            // It may have been there for the call, and gone with its block before the question.
            Answer::NotDone if !waiting.denied => {
                waiting.denied = true;
                return Vec::new();
            }
            Answer::NotDone => {
                Failure { code: FailureCode::Reverted, detail: waiting.reason.clone() }
            }
        };
        self.queue.remove(&id);
        vec![Effect::Fail(id, failure)]
    }

    /// A transaction that reverted for good: the next look at it ends its intent.
    fn asked_of_flight(&mut self, id: IntentId, answer: Answer) {
        let is_of = |flight: &&mut Flight| flight.intents.iter().any(|intent| intent.id == id);
        let view = self.view.clone();
        let Some(flight) = self.flights.values_mut().find(is_of) else { return };
        let answer = settle_unread(answer, &mut flight.seen_done_at, view.as_ref());
        flight.is_asked = false;
        flight.is_done = match answer {
            Answer::Done => Some(true),
            Answer::NotDone => Some(false),
            Answer::NotFinal | Answer::Unread | Answer::Unavailable => None,
        };
    }

    /// Gives intents the lowest free nonce, if it is worth it and the account and their budgets can
    /// pay.
    pub(super) fn bind(
        &mut self,
        ids: &[IntentId],
        call: Option<Call>,
        expected: Expected,
        view: &View,
    ) -> Vec<Effect> {
        let Expected { gas, most, rollup_fee } = expected;
        let effects = self.refuse_uneconomic(ids, gas, rollup_fee, view);
        if let Some(effects) = effects {
            return effects;
        }
        let taken = self.contending(view).count();
        if self.window.room(taken) == 0 && self.gap_count(view) == 0 {
            return Vec::new();
        }
        let Some(first) = ids.first().copied() else { return Vec::new() };
        let intents: Vec<Intent> =
            ids.iter().filter_map(|id| self.queue.get(id)).map(|one| one.intent.clone()).collect();
        let call = call.or_else(|| self.call_of(intents.iter()));
        let Some(call) = call else { return Vec::new() };
        let waiting = || ids.iter().filter_map(|id| self.queue.get(id));
        let starved = waiting().map(|one| one.starved).max().unwrap_or(0);
        let refusals = waiting().map(|one| one.refusals).max().unwrap_or(0);
        let estimated = most.unwrap_or(gas.saturating_add(self.margin(gas, starved)));
        let gas_limit = match &intents[..] {
            [single] if starved == 0 => single.request.gas_limit.unwrap_or(estimated),
            _ => estimated,
        };
        if gas_limit > self.config.max_gas {
            return self.refuse_size(ids, gas_limit);
        }
        let budget = fees::shared_budget(intents.iter());
        let cap = fees::fee_cap(budget, rollup_fee, gas_limit).min(self.config.max_fee);
        let Some(fees) = fees::first(view.gas_price, cap) else {
            // Whoever has the smallest budget must not hold up the others.
            let poor = self.too_poor(&intents, gas_limit, rollup_fee, view);
            if poor.len() < ids.len() {
                self.part(&poor, 1);
                return Vec::new();
            }
            let detail = format!("gas costs more than {cap} wei per gas now");
            self.hold(ids);
            self.each(ids, |waiting| waiting.is_capped = true);
            let note = |id: &IntentId| Effect::Note(*id, "cap_reached", detail.clone());
            return ids.iter().map(note).collect();
        };
        let nonce = self.free_nonce(view);
        let (own, most) = (Some(call.clone()), fees.max_fee());
        let own_code = own_code(&intents);
        let mut flight = Flight::signing(intents, own, gas_limit, rollup_fee, most);
        (flight.starved, flight.refusals) = (starved, refusals);
        flight.unused_at = (nonce >= view.account_nonce).then_some(view.head.number);
        let (needed, available) = (flight.committed(), self.available(view));
        if needed > available {
            self.hold(ids);
            let detail = format!("needs {needed} wei");
            let note = |id: &IntentId| Effect::Note(*id, "insufficient_funds", detail.clone());
            let mut effects: Vec<Effect> = ids.iter().map(note).collect();
            let alert = Alert::InsufficientFunds { intent: first, needed, available };
            effects.push(Effect::Alert(alert));
            return effects;
        }
        for id in ids {
            self.queue.remove(id);
        }
        self.flights.insert(nonce, flight);
        let tx = TxFields::of_call(self.key.chain_id, nonce, &call, gas_limit, fees);
        let (tx, intents) = (Box::new(TxFields { own_code, ..tx }), ids.to_vec());
        vec![Effect::Sign { intents, tx, rollup_fee, voids: false }]
    }

    /// If some are not worth their share of the cost, those wait for company or a lower price, and
    /// the others are asked for again without them.
    fn refuse_uneconomic(
        &mut self,
        ids: &[IntentId],
        gas: u64,
        rollup_fee: U256,
        view: &View,
    ) -> Option<Vec<Effect>> {
        let share = fees::share(view.gas_price, gas, rollup_fee, ids.len());
        let least = share
            .saturating_mul(U256::from(self.config.worth_percent))
            .checked_div(U256::from(100))
            .unwrap_or(share);
        let views = self.views;
        let mut effects = Vec::new();
        for id in ids {
            let Some(waiting) = self.queue.get_mut(id) else { continue };
            match waiting.intent.request.worth {
                Some(worth) if worth < least => {
                    waiting.uneconomic = Some((ids.len(), views));
                    // Without what it costs now: the same words again are not stored again.
                    let detail = format!("worth {worth} wei, less than its share of the cost");
                    effects.push(Effect::Note(*id, "uneconomic", detail));
                }
                _ => waiting.uneconomic = None,
            }
        }
        (!effects.is_empty()).then_some(effects)
    }

    /// Gas to add to an estimate: the chain's state may be another when the transaction is mined.
    fn margin(&self, gas: u64, starved: u32) -> u64 {
        let share = gas.saturating_mul(self.config.gas_margin_percent).checked_div(100);
        let least = share.unwrap_or(0).max(self.config.gas_margin_least);
        least.saturating_mul(1 << starved.min(MOST_DOUBLINGS))
    }

    /// Those of a batch whose own budget does not pay for its share of what gas costs now.
    fn too_poor(
        &self,
        intents: &[Intent],
        gas_limit: u64,
        rollup_fee: U256,
        view: &View,
    ) -> Vec<IntentId> {
        let items = U256::from(intents.len());
        let cannot_pay = |intent: &&Intent| {
            let own = fees::shared_budget(core::iter::once(*intent));
            let budget = own.map(|own| own.saturating_mul(items));
            let cap = fees::fee_cap(budget, rollup_fee, gas_limit).min(self.config.max_fee);
            fees::first(view.gas_price, cap).is_none()
        };
        intents.iter().filter(cannot_pay).map(|intent| intent.id).collect()
    }

    /// No node takes so much gas in one transaction: several go in smaller ones, and a single one waits
    /// for another estimate.
    fn refuse_size(&mut self, ids: &[IntentId], gas_limit: u64) -> Vec<Effect> {
        let [id] = ids else {
            self.part(ids, ids.len().div_ceil(2));
            return Vec::new();
        };
        self.hold(ids);
        self.each(ids, |waiting| waiting.is_capped = true);
        let detail = format!("needs {gas_limit} gas, and {} is the most", self.config.max_gas);
        vec![Effect::Note(*id, "too_much_gas", detail)]
    }

    fn hold(&mut self, ids: &[IntentId]) {
        let views = self.views;
        self.each(ids, |waiting| waiting.hold(views));
    }

    fn each(&mut self, ids: &[IntentId], change: impl Fn(&mut Waiting)) {
        for id in ids {
            self.queue.get_mut(id).into_iter().for_each(&change);
        }
    }

    /// Wei beyond what is already in flight.
    pub(super) fn available(&self, view: &View) -> U256 {
        self.contending(view)
            .fold(view.balance, |left, flight| left.saturating_sub(flight.committed()))
    }
}
