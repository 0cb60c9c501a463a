//! Intents without a nonce: when each may have one, and with which others it shares it.

use std::collections::BTreeMap;

use capstan_base::U256;
use capstan_chain::Call;
use capstan_store::{Failure, FailureCode, Intent, IntentId};

use super::effect::Effect;
use super::event::View;
use super::lane::Lane;
use crate::batching::Group;
use crate::config::MAX_DATA;

/// Longest pause, in looks at the chain, of an intent that cannot go ahead yet.
pub(super) const LONGEST_PAUSE: u64 = 16;

/// Longest pause of one that the chain gives no answer for: two blocks.
const BRIEF_PAUSE: u64 = 4;

/// An intent without a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) intent: Intent,
    pub(super) group: Option<Group>,
    /// Where it goes in a call it shares.
    order: Vec<u8>,
    /// Most intents it may share a transaction with, itself included. Halves each time a shared
    /// call reverts, so that the one at fault ends up alone.
    pub(super) limit: usize,
    /// How often a transaction of it ran out of gas: each time it gets a larger margin.
    pub(super) starved: u32,
    /// How often every node refused a transaction of it.
    pub(super) refusals: u32,
    /// A call with it is being estimated, or its effect asked for.
    pub(super) is_asked: bool,
    /// Not considered before this look at the chain.
    pub(super) resume_at: u64,
    pauses: u32,
    /// Head of the first revert, and how many there were since.
    pub(super) reverts: Option<(u64, u32)>,
    /// When it reverted, its effect was not there.
    pub(super) denied: bool,
    /// What the newest one said.
    pub(super) reason: String,
    /// Its share of the cost was too much of its worth, in company of so many, at this view.
    pub(super) uneconomic: Option<(usize, u64)>,
    /// Its budget is less than what gas costs.
    pub(super) is_capped: bool,
    /// Head at which its deadline was seen to be past.
    expired_at: Option<u64>,
    /// Head when its effect was first seen to be there, where nobody can say whether for good.
    pub(super) seen_done_at: Option<u64>,
    /// Head when it lost its last nonce: until that is final, an old transaction of it may come back.
    pub(super) lost_at: Option<u64>,
}

impl Waiting {
    pub(super) fn new(intent: Intent, group: Option<Group>, order: Vec<u8>, limit: usize) -> Self {
        Self {
            intent,
            group,
            order,
            limit,
            starved: 0,
            refusals: 0,
            is_asked: false,
            resume_at: 0,
            pauses: 0,
            reverts: None,
            denied: false,
            reason: String::new(),
            uneconomic: None,
            is_capped: false,
            expired_at: None,
            seen_done_at: None,
            lost_at: None,
        }
    }

    /// Lets later intents pass for a while, a longer one each time.
    pub(super) fn hold(&mut self, views: u64) {
        self.hold_at_most(views, LONGEST_PAUSE);
    }

    /// The same while the chain does not answer, which may be over at any moment.
    pub(super) fn hold_briefly(&mut self, views: u64) {
        self.hold_at_most(views, BRIEF_PAUSE);
    }

    fn hold_at_most(&mut self, views: u64, most: u64) {
        let pause = 1u64.checked_shl(self.pauses).unwrap_or(most).min(most);
        self.pauses = self.pauses.saturating_add(1);
        self.resume_at = views.saturating_add(pause);
    }

    pub(super) fn is_due(&self, view: &View) -> bool {
        // The contract sees the chain's clock; this machine's alone moves on an idle test chain,
        // and a revert that comes of trusting it is not believed (`may_believe_revert`).
        let time = view.head.timestamp.max(view.now);
        self.intent.request.not_before.is_none_or(|not_before| time >= not_before)
    }

    /// Not before the chain's own clock is there, however long that stands still: a chain may make
    /// no blocks for an hour.
    pub(super) fn may_believe_revert(&self, view: &View) -> bool {
        let not_before = self.intent.request.not_before;
        not_before.is_none_or(|not_before| view.head.timestamp >= not_before)
    }

    /// True if it will be considered in this look at the chain.
    pub(super) fn is_ready(&self, view: &View, views: u64) -> bool {
        let may_go = self.expired_at.is_none() && self.resume_at <= views;
        !self.is_asked && may_go && self.is_due(view)
    }

    /// True while it waits for another price, for however long: nothing waits for it.
    pub(super) fn is_parked(&self) -> bool {
        self.uneconomic.is_some() || self.is_capped
    }

    /// True once two heads were past its deadline: the clock of one may be wrong.
    fn has_expired(&mut self, view: &View) -> bool {
        let is_past =
            self.intent.request.deadline.is_some_and(|deadline| view.head.timestamp > deadline);
        if !is_past {
            self.expired_at = None;
            return false;
        }
        let head = view.head.number;
        let first = *self.expired_at.get_or_insert(head);
        self.expired_at = Some(first.min(head));
        let is_loose = self.lost_at.is_some_and(|at| view.final_height.is_none_or(|to| to < at));
        head > first && !is_loose
    }
}

impl Lane {
    /// Gives up what expired, and has as many calls estimated as there is room for.
    pub(super) fn schedule(&mut self) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let mut effects = self.expire(&view);
        let taken = self.contending(&view).count().saturating_add(self.estimates);
        // Behind a gap nothing is mined, so that waiting for room would be waiting for ever.
        let gaps = self.gap_count(&view).saturating_sub(self.estimates);
        let room = self.window.room(taken).max(gaps);
        let mut ready = self.ready(&view);
        ready.truncate(room);
        for intents in ready {
            let Some(call) = self.fitting_call(&intents) else { continue };
            if let Some(expected) = self.known_gas(&intents, &view) {
                effects.extend(self.bind(&intents, Some(call), expected, &view));
            } else if !self.awaits_shared_gas(&intents) {
                effects.push(self.ask_estimate(intents, call));
            }
        }
        effects.extend(self.watch_gaps(&view));
        effects
    }

    /// The call of these, if nodes take one so long; else they share with fewer from now on.
    fn fitting_call(&mut self, intents: &[IntentId]) -> Option<Call> {
        let carried = intents.iter().filter_map(|id| self.queue.get(id));
        let call = self.call_of(carried.map(|waiting| &waiting.intent));
        let call = call.filter(|call| call.data.len() <= MAX_DATA);
        if call.is_none() {
            self.part(intents, intents.len().div_ceil(2));
        }
        call
    }

    fn ask_estimate(&mut self, intents: Vec<IntentId>, call: Call) -> Effect {
        for id in &intents {
            if let Some(waiting) = self.queue.get_mut(id) {
                waiting.is_asked = true;
            }
        }
        self.estimates = self.estimates.saturating_add(1);
        self.ask_gas(&intents);
        Effect::Estimate { intents, call }
    }

    /// What may have a nonce now: single intents and full or due batches, oldest first.
    fn ready(&self, view: &View) -> Vec<Vec<IntentId>> {
        let mut alone = Vec::new();
        let mut groups: BTreeMap<(Group, usize), Vec<IntentId>> = BTreeMap::new();
        for (id, waiting) in &self.queue {
            if !waiting.is_ready(view, self.views) {
                continue;
            }
            let limit = waiting.limit.min(self.config.batch.max_items);
            match waiting.group {
                Some(group) if limit > 1 => groups.entry((group, limit)).or_default().push(*id),
                _ => alone.push(vec![*id]),
            }
        }
        let batches = groups.iter().flat_map(|((_, limit), intents)| {
            let batches = intents.chunks((*limit).max(1)).map(|batch| self.worth_asking(batch));
            batches.filter(|batch| self.may_go(batch, *limit, view))
        });
        let mut ready: Vec<Vec<IntentId>> = batches.map(|batch| self.in_order(batch)).collect();
        ready.extend(alone.into_iter().map(|single| self.worth_asking(&single)));
        ready.retain(|intents| !intents.is_empty());
        ready.sort_by_key(|intents| intents.iter().min().copied());
        ready
    }

    /// True if a batch is full, old, or worth enough to go, or if nothing is under way that it could
    /// wait behind: then waiting for company would only cost time.
    fn may_go(&self, batch: &[IntentId], limit: usize, view: &View) -> bool {
        if batch.is_empty() {
            return false;
        }
        let policy = &self.config.batch;
        let is_idle = self.estimates == 0 && self.pending_count() == 0;
        if is_idle || batch.len() >= limit {
            return true;
        }
        let waiting = || batch.iter().filter_map(|id| self.queue.get(id));
        let is_old = waiting()
            .any(|waiting| view.now.since(waiting.intent.created_at) >= policy.max_age_seconds);
        let worth = waiting().fold(U256::ZERO, |sum, waiting| {
            sum.saturating_add(waiting.intent.request.worth.unwrap_or_default())
        });
        is_old || policy.flush_worth.is_some_and(|enough| worth >= enough)
    }

    /// Without those that were not worth their cost, until there are more of them or prices had time to
    /// move. Who goes without one of them has less company, and may not be worth it either.
    fn worth_asking(&self, batch: &[IntentId]) -> Vec<IntentId> {
        let mut batch = batch.to_vec();
        loop {
            let count = batch.len();
            let is_worth = |waiting: &Waiting| {
                waiting.uneconomic.is_none_or(|(company, at)| {
                    count > company || self.views.saturating_sub(at) >= LONGEST_PAUSE
                })
            };
            batch.retain(|id| self.queue.get(id).is_some_and(is_worth));
            if batch.len() == count {
                return batch;
            }
        }
    }

    fn in_order(&self, mut batch: Vec<IntentId>) -> Vec<IntentId> {
        batch.sort_by_key(|id| (self.queue.get(id).map(|waiting| waiting.order.clone()), *id));
        batch
    }

    /// Lets intents share a transaction with fewer others from now on.
    pub(super) fn part(&mut self, intents: &[IntentId], limit: usize) {
        for id in intents {
            if let Some(waiting) = self.queue.get_mut(id) {
                waiting.limit = limit.max(1);
            }
        }
    }

    fn expire(&mut self, view: &View) -> Vec<Effect> {
        let expired: Vec<IntentId> = self
            .queue
            .iter_mut()
            .filter_map(|(id, waiting)| {
                (waiting.has_expired(view) && !waiting.is_asked).then_some(*id)
            })
            .collect();
        expired
            .into_iter()
            .map(|id| {
                self.queue.remove(&id);
                let detail = format!("block time {} is past it", view.head.timestamp);
                Effect::Fail(id, Failure { code: FailureCode::DeadlinePassed, detail })
            })
            .collect()
    }
}
