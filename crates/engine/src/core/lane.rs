//! The state of one lane and its one entry point, [`Lane::step`].

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::Bytes;
use capstan_base::{B256, U256, UnixSeconds};
use capstan_chain::{Call, Fees, SendOutcome, SignedTransaction};
use capstan_store::{FlightId, Intent, IntentId, LaneKey, LaneSnapshot};

use super::effect::{Alert, Effect};
use super::event::{Event, View};
use super::flight::{Flight, Known};
use super::queue::Waiting;
use super::shared_gas::SharedGas;
use super::window::Window;
use crate::batching::{Batching, Group};
use crate::config::LaneConfig;

/// Transactions another program may have sent from the account since the last look, at most, for its
/// nonce to be believed at once.
const LONGEST_STEP: u64 = 64;

/// Looks in a row that must tell of a longer step.
const LEAP_LOOKS: u32 = 3;

/// One account on one chain: its queue, and its nonces in flight.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(super) key: LaneKey,
    pub(super) config: LaneConfig,
    pub(super) batching: Arc<dyn Batching>,
    pub(super) queue: BTreeMap<IntentId, Waiting>,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) window: Window,
    /// Calls being estimated.
    pub(super) estimates: usize,
    /// The newest estimate of a call that intents of a group share.
    pub(super) shared_gas: BTreeMap<Group, SharedGas>,
    /// Every nonce below is used up in a final block.
    pub(super) final_below: u64,
    /// Head when what final blocks had held was last sent again.
    pub(super) restored_at: Option<u64>,
    pub(super) view: Option<View>,
    /// Looks at the chain so far: the clock of what must not wait for blocks.
    pub(super) views: u64,
    /// A nonce far beyond what was known, and how many looks in a row told of it.
    pub(super) leap: Option<(u64, u32)>,
    /// The lowest nonce nobody wants that blocks the lane, and the view it was first seen in.
    pub(super) gap: Option<(u64, u64)>,
}

impl Lane {
    /// The lane as the store has it, without its queue, which comes as events. `call_of` reads the call
    /// out of signed bytes.
    pub fn restore(
        key: LaneKey,
        config: LaneConfig,
        batching: Arc<dyn Batching>,
        snapshot: LaneSnapshot,
        call_of: &dyn Fn(&Bytes) -> Option<Call>,
    ) -> Self {
        let window = Window::new(config.window, config.max_window);
        let flights = snapshot
            .flights
            .into_iter()
            .map(|flight| (flight.nonce, Flight::restored(flight, call_of)))
            .collect();
        Self {
            key,
            config,
            batching,
            queue: BTreeMap::new(),
            flights,
            window,
            estimates: 0,
            shared_gas: BTreeMap::new(),
            final_below: snapshot.final_below,
            restored_at: None,
            view: None,
            views: 0,
            leap: None,
            gap: None,
        }
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Queued(intent) => self.queued(*intent),
            Event::Viewed(view) => self.viewed(*view),
            Event::Estimated(intents, estimate) => self.estimated(intents, estimate),
            Event::Asked(intent, answer) => self.asked(intent, answer),
            Event::Recorded { nonce, flight, signed, fees, voids } => {
                self.recorded(nonce, flight, signed, fees, voids)
            }
            Event::NotSigned { nonce, reason } => self.not_signed(nonce, reason),
            Event::Sent { nonce, hash, outcome } => self.sent(nonce, hash, outcome),
            Event::Looked { nonce, attempts, anchor, look } => {
                self.looked(nonce, attempts, anchor, look)
            }
            Event::Searched { nonce, search } => self.searched(nonce, search),
        }
    }

    /// True if there is nothing to look at the chain for.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flights.is_empty()
    }

    /// Intents waiting for a nonce.
    pub fn queued_count(&self) -> usize {
        self.queue.len()
    }

    /// Nonces waiting for a block.
    pub fn pending_count(&self) -> usize {
        self.flights.values().filter(|flight| flight.is_pending()).count()
    }

    /// Nonces that wait for a block and may yet be in one: those another transaction used wait for
    /// finality alone, and take no place in a pool.
    pub(super) fn contending(&self, view: &View) -> impl Iterator<Item = &Flight> {
        let open = self.flights.range(view.account_nonce..).map(|(_, flight)| flight);
        open.filter(|flight| flight.is_pending())
    }

    /// Nonces signed for beyond those in blocks: how far the lane is ahead of its chain.
    pub fn nonce_lag(&self) -> u64 {
        let mined = self.view.as_ref().map_or(0, |view| view.account_nonce);
        let next = self.flights.keys().next_back().map_or(0, |nonce| nonce.saturating_add(1));
        next.saturating_sub(mined)
    }

    /// When the oldest intent that is not final was submitted.
    pub fn oldest(&self) -> Option<UnixSeconds> {
        let queued = self.queue.values().map(|waiting| waiting.intent.created_at);
        let flying = self
            .flights
            .values()
            .flat_map(|flight| flight.intents.iter().map(|intent| intent.created_at));
        queued.chain(flying).min()
    }

    /// The one call that does what these intents want; `None` if they cannot share one.
    pub(super) fn call_of<'a>(
        &self,
        mut intents: impl Iterator<Item = &'a Intent>,
    ) -> Option<Call> {
        let first = intents.next()?;
        let mut calls = vec![call(first)];
        calls.extend(intents.map(call));
        match <[Call; 1]>::try_from(calls) {
            Ok([single]) => Some(single),
            Err(calls) => self.batching.merge(self.key.sender, &calls),
        }
    }

    /// An empty transaction to the lane's own account.
    pub(super) fn nothing(&self) -> Call {
        Call { to: self.key.sender, value: U256::ZERO, data: Default::default() }
    }

    fn queued(&mut self, intent: Intent) -> Vec<Effect> {
        let known = self.queue.contains_key(&intent.id)
            || self
                .flights
                .values()
                .any(|flight| flight.intents.iter().any(|carried| carried.id == intent.id));
        if !known {
            self.wait(intent, usize::MAX);
        }
        Vec::new()
    }

    /// Puts an intent in the queue, to share a transaction with fewer than `limit` others.
    pub(super) fn wait(&mut self, intent: Intent, limit: usize) {
        let request = call(&intent);
        let is_plain = intent.request.own_code.is_none();
        let group = self.batching.group(self.key.sender, &request).filter(|_| is_plain);
        let order = group.map(|_| self.batching.sort_key(&request)).unwrap_or_default();
        self.queue.insert(intent.id, Waiting::new(intent, group, order, limit));
    }

    /// True if the account's nonce leapt so far that one wrong word would leave a gap nobody can
    /// fill: then it has to be said several times in a row.
    fn is_leap(&mut self, nonce: u64) -> bool {
        let bound = self.flights.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let seen = self.view.as_ref().map_or(0, |view| view.account_nonce);
        let known = seen.max(bound).max(self.final_below);
        if nonce.saturating_sub(known) <= LONGEST_STEP {
            self.leap = None;
            return false;
        }
        let looks = self.leap.filter(|leap| nonce >= leap.0).map_or(1, |leap| leap.1);
        self.leap = Some((nonce, looks.saturating_add(1)));
        looks < LEAP_LOOKS
    }

    fn viewed(&mut self, view: View) -> Vec<Effect> {
        if self.is_leap(view.account_nonce) {
            return Vec::new();
        }
        self.views = self.views.saturating_add(1);
        let pending = self.contending(&view).count();
        let all_accepted = self.contending(&view).all(Flight::is_accepted);
        self.window.viewed(view.head.number, pending, all_accepted);
        let nonces: Vec<u64> = self.flights.keys().copied().collect();
        for flight in self.flights.iter_mut() {
            let (nonce, flight) = flight;
            flight.clamp(view.head.number);
            if view.account_nonce <= *nonce {
                flight.unexplained_at = None;
                flight.foreign = None;
                flight.unused_at = Some(view.head.number);
            }
        }
        let mut effects = self.watch_finality(&view);
        for nonce in nonces {
            effects.extend(self.follow(nonce, &view));
        }
        self.view = Some(view);
        effects.extend(self.schedule());
        effects
    }

    /// What was used up in final blocks, and is not any more, goes out again, once every few blocks: a
    /// node that lags behind finality takes no harm by it.
    fn watch_finality(&mut self, view: &View) -> Vec<Effect> {
        let (nonce, was, head) = (view.account_nonce, self.final_below, view.head.number);
        if nonce >= was {
            self.restored_at = None;
            return Vec::new();
        }
        let pause = self.config.rebroadcast_after_blocks;
        let is_due =
            self.restored_at.is_none_or(|at| head < at || head.saturating_sub(at) >= pause);
        if !is_due {
            return Vec::new();
        }
        let is_new = self.restored_at.replace(head).is_none();
        let alert = Effect::Alert(Alert::FinalityBroken { nonce, was });
        let mut effects: Vec<Effect> = is_new.then_some(alert).into_iter().collect();
        effects.push(Effect::Restore(nonce..was));
        effects
    }

    fn recorded(
        &mut self,
        nonce: u64,
        id: FlightId,
        signed: SignedTransaction,
        fees: Fees,
        voids: bool,
    ) -> Vec<Effect> {
        let since = self.view.as_ref().map(|view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        flight.id = Some(id);
        flight.signing = false;
        flight.underpriced = false;
        flight.cap_told = false;
        flight.refused_since = None;
        let SignedTransaction { raw, hash } = signed;
        let accepted_at = None;
        flight.attempts.push(Known { hash, raw: raw.clone(), fees, voids, since, accepted_at });
        vec![Effect::Broadcast { nonce, hash, raw }]
    }

    fn not_signed(&mut self, nonce: u64, reason: String) -> Vec<Effect> {
        let views = self.views;
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        flight.signing = false;
        let intents: Vec<IntentId> = flight.intents.iter().map(|intent| intent.id).collect();
        if flight.attempts.is_empty()
            && let Some(flight) = self.flights.remove(&nonce)
        {
            for intent in flight.intents {
                let id = intent.id;
                self.wait(intent, usize::MAX);
                if let Some(waiting) = self.queue.get_mut(&id) {
                    waiting.hold(views);
                }
            }
        }
        intents
            .into_iter()
            .map(|intent| Effect::Note(intent, "not_signed", reason.clone()))
            .collect()
    }

    fn sent(&mut self, nonce: u64, hash: B256, outcome: SendOutcome) -> Vec<Effect> {
        let head = self.view.as_ref().map_or(0, |view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let Some(intent) = flight.intents.first().map(|intent| intent.id) else {
            return Vec::new();
        };
        let is_newest = flight.attempts.last().is_some_and(|attempt| attempt.hash == hash);
        let Some(attempt) = flight.attempts.iter_mut().find(|attempt| attempt.hash == hash) else {
            return Vec::new();
        };
        // None of this says that the transaction was or was not mined: only a receipt does.
        attempt.accepted_at = match outcome {
            // A nonce that is too low is for the next look to explain; sending again is no use.
            SendOutcome::Accepted | SendOutcome::AlreadyKnown | SendOutcome::NonceTooLow => {
                Some(head)
            }
            _ => None,
        };
        // Whoever has another reason to refuse it takes it for valid.
        if !matches!(outcome, SendOutcome::Rejected(_) | SendOutcome::Unknown(_)) {
            flight.refused_since = None;
        }
        match outcome {
            SendOutcome::Underpriced => {
                flight.underpriced |= is_newest;
                Vec::new()
            }
            SendOutcome::PoolFull => {
                let accepted = self
                    .flights
                    .values()
                    .filter(|flight| flight.is_pending() && flight.is_accepted());
                let accepted = accepted.count();
                self.window.refused(accepted, head);
                Vec::new()
            }
            SendOutcome::InsufficientFunds => {
                let needed = flight.committed();
                let available = self.view.as_ref().map(|view| view.balance).unwrap_or_default();
                vec![Effect::Alert(Alert::InsufficientFunds { intent, needed, available })]
            }
            SendOutcome::Rejected(reason) => {
                if is_newest {
                    flight.refused_since.get_or_insert(head);
                    flight.refused_at = head;
                }
                vec![
                    Effect::Note(intent, "refused", reason.clone()),
                    Effect::Alert(Alert::Refused { intent, reason }),
                ]
            }
            SendOutcome::Accepted
            | SendOutcome::AlreadyKnown
            | SendOutcome::NonceTooLow
            | SendOutcome::Unknown(_) => Vec::new(),
        }
    }
}

/// What an intent wants done.
pub(super) fn call(intent: &Intent) -> Call {
    let request = &intent.request;
    Call { to: request.to, value: request.value, data: request.data.clone() }
}
