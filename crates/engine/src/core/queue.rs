//! Intents without a nonce: when each may have one, and which.

use capstan_base::U256;
use capstan_chain::{Call, TxFields};
use capstan_store::{Failure, FailureCode, Intent, IntentId, NewIntent};

use super::effect::{Alert, Effect};
use super::event::{View, revert_text};
use super::fees;
use super::flight::Flight;
use super::lane::Lane;
use crate::chain::Estimate;

/// Longest pause, in looks at the chain, of an intent that cannot go ahead yet.
const LONGEST_PAUSE: u64 = 16;

/// Looks at the chain that must agree on a revert when no new block comes, as on a chain that mines
/// on demand. Where blocks come, two looks at distinct heads do.
const REVERTS_ON_ONE_HEAD: u32 = 3;

/// Seconds past `not_before` on this machine's clock after which a revert counts although the chain's
/// clock has not got there: that of a chain that mines on demand stands still.
const CLOCK_GRACE: u64 = 60;

/// Looks at the chain a gap must last before the lane fills it itself.
const GAP_VIEWS: u64 = 2;

/// An intent without a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) intent: Intent,
    estimating: bool,
    /// Not considered before this look at the chain.
    resume_at: u64,
    pauses: u32,
    /// Head of the first revert, and how many there were since.
    reverts: Option<(u64, u32)>,
}

impl Waiting {
    pub(super) fn new(intent: Intent) -> Self {
        Self { intent, estimating: false, resume_at: 0, pauses: 0, reverts: None }
    }

    /// Lets later intents pass for a while, a longer one each time.
    pub(super) fn hold(&mut self, views: u64) {
        let pause = 1u64.checked_shl(self.pauses).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.resume_at = views.saturating_add(pause);
    }

    fn is_due(&self, view: &View) -> bool {
        // The contract sees the chain's clock; this machine's alone moves on an idle test chain,
        // and a revert that comes of trusting it is not believed (`may_believe_revert`).
        let time = view.head.timestamp.max(view.now);
        self.intent.request.not_before.is_none_or(|not_before| time >= not_before)
    }

    fn may_believe_revert(&self, view: &View) -> bool {
        self.intent.request.not_before.is_none_or(|not_before| {
            view.head.timestamp >= not_before || view.now >= not_before.plus(CLOCK_GRACE)
        })
    }

    fn has_expired(&self, view: &View) -> bool {
        self.intent.request.deadline.is_some_and(|deadline| view.head.timestamp > deadline)
    }
}

/// What an intent wants done.
pub(super) fn call(request: &NewIntent) -> Call {
    Call { to: request.to, value: request.value, data: request.data.clone() }
}

impl Lane {
    /// Gives up what expired, and has as many intents estimated as there is room for.
    pub(super) fn schedule(&mut self) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let mut effects = self.expire(&view);
        let mut room = self.config.window.saturating_sub(self.pending_count());
        for waiting in self.queue.values_mut() {
            if room == 0 {
                break;
            }
            if waiting.resume_at > self.views || !waiting.is_due(&view) {
                continue;
            }
            room = room.saturating_sub(1);
            if !waiting.estimating {
                waiting.estimating = true;
                effects.push(Effect::Estimate {
                    intent: waiting.intent.id,
                    call: call(&waiting.intent.request),
                });
            }
        }
        effects.extend(self.watch_gap(&view));
        effects
    }

    fn expire(&mut self, view: &View) -> Vec<Effect> {
        let expired: Vec<IntentId> = self
            .queue
            .iter()
            .filter(|(_, waiting)| waiting.has_expired(view) && !waiting.estimating)
            .map(|(id, _)| *id)
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

    pub(super) fn estimated(&mut self, id: IntentId, estimate: Option<Estimate>) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let views = self.views;
        let Some(waiting) = self.queue.get_mut(&id) else { return Vec::new() };
        waiting.estimating = false;
        match estimate {
            None => {
                waiting.hold(views);
                Vec::new()
            }
            Some(Estimate::Revert(data)) => self.reverted(id, &view, &revert_text(&data)),
            Some(Estimate::Gas { gas, l1_fee }) => {
                waiting.reverts = None;
                self.bind(id, gas, l1_fee, &view)
            }
        }
    }

    /// A revert counts if nothing of this lane that comes first could change it, and if a second
    /// look agrees: one node may lag behind what another has just mined.
    fn reverted(&mut self, id: IntentId, view: &View, detail: &str) -> Vec<Effect> {
        let flying =
            self.flights.values().any(|flight| flight.is_pending() && flight.intent.id < id);
        let earlier = self.queue.range(..id).any(|(_, waiting)| waiting.is_due(view));
        let views = self.views;
        let Some(waiting) = self.queue.get_mut(&id) else { return Vec::new() };
        if flying || earlier || !waiting.may_believe_revert(view) {
            waiting.reverts = None;
            waiting.resume_at = views.saturating_add(1);
            return Vec::new();
        }
        let head = view.head.number;
        let (first, count) = waiting.reverts.unwrap_or((head, 0));
        let count = count.saturating_add(1);
        waiting.reverts = Some((first, count));
        if (count >= 2 && head > first) || count >= REVERTS_ON_ONE_HEAD {
            self.queue.remove(&id);
            let detail = detail.to_owned();
            return vec![Effect::Fail(id, Failure { code: FailureCode::Reverted, detail })];
        }
        Vec::new()
    }

    /// Gives an intent the lowest free nonce, if the account and the intent's budget can pay.
    fn bind(&mut self, id: IntentId, gas: u64, l1_fee: U256, view: &View) -> Vec<Effect> {
        if self.pending_count() >= self.config.window {
            return Vec::new();
        }
        let available = self.available(view);
        let (nonce, chain_id, views) = (self.free_nonce(view), self.chain_id(), self.views);
        let margin = gas
            .checked_mul(self.config.gas_margin_percent)
            .and_then(|gas| gas.checked_div(100))
            .unwrap_or(0);
        let Some(waiting) = self.queue.get_mut(&id) else { return Vec::new() };
        let request = waiting.intent.request.clone();
        let gas_limit = request.gas_limit.unwrap_or(gas.saturating_add(margin));
        let budget = fees::fee_cap(request.max_cost, l1_fee, gas_limit);
        let cap = budget.min(self.config.max_fee);
        let Some(fees) = fees::first(view.gas_price, cap) else {
            waiting.hold(views);
            let detail = format!("gas costs more than {cap} wei per gas now");
            return vec![Effect::Note(id, "cap_reached", detail)];
        };
        let gas_cost = U256::from(fees.max_fee()).saturating_mul(U256::from(gas_limit));
        let needed = request.value.saturating_add(gas_cost).saturating_add(l1_fee);
        if needed > available {
            waiting.hold(views);
            return vec![
                Effect::Note(id, "insufficient_funds", format!("needs {needed} wei")),
                Effect::Alert(Alert::InsufficientFunds { intent: id, needed, available }),
            ];
        }
        let Some(waiting) = self.queue.remove(&id) else { return Vec::new() };
        let mut intent = waiting.intent;
        intent.nonce = Some(nonce);
        self.flights.insert(nonce, Flight::signing(intent, gas_limit, l1_fee, fees.max_fee()));
        let tx = TxFields::of_call(chain_id, nonce, &call(&request), gas_limit, fees);
        vec![Effect::Sign { intent: id, tx: Box::new(tx) }]
    }

    /// Wei beyond what is already in flight.
    fn available(&self, view: &View) -> U256 {
        self.flights
            .values()
            .filter(|flight| flight.is_pending())
            .fold(view.balance, |left, flight| left.saturating_sub(flight.committed()))
    }

    /// The lowest nonce that is neither used nor bound: a gap is filled by the next real intent.
    fn free_nonce(&self, view: &View) -> u64 {
        let mut nonce = view.account_nonce.max(self.final_below);
        while self.flights.contains_key(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    /// A nonce nobody wants, with others waiting behind it, is filled by an empty transaction of
    /// the lane's own once no real intent has come for it.
    fn watch_gap(&mut self, view: &View) -> Option<Effect> {
        let nonce = self.free_nonce(view);
        let blocked = self
            .flights
            .range(nonce..)
            .find(|(_, flight)| flight.is_pending())
            .map(|(_, flight)| flight.intent.id)
            .filter(|_| nonce == view.account_nonce);
        let Some(blocked) = blocked else {
            self.gap = None;
            return None;
        };
        let since = self.gap.filter(|gap| gap.0 == nonce).map_or(self.views, |gap| gap.1);
        self.gap = Some((nonce, since));
        let views = self.views;
        let will_fill =
            self.queue.values().any(|waiting| waiting.is_due(view) && waiting.resume_at <= views);
        let has_lasted = views.saturating_sub(since) >= GAP_VIEWS;
        (has_lasted && !will_fill).then_some(Effect::FillGap { nonce, blocked })
    }
}
