//! The state of one lane and its one entry point, [`Lane::step`].

use std::collections::BTreeMap;

use capstan_base::{B256, ChainId, UnixSeconds};
use capstan_chain::{Fees, SendOutcome, SignedTransaction};
use capstan_store::{Intent, IntentId, LaneKey, LaneSnapshot};

use super::effect::{Alert, Effect};
use super::event::{Event, View};
use super::flight::{Flight, Known};
use super::follow::follow;
use super::queue::Waiting;
use crate::config::LaneConfig;

/// One account on one chain: its queue, and its nonces in flight.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(super) key: LaneKey,
    pub(super) config: LaneConfig,
    pub(super) queue: BTreeMap<IntentId, Waiting>,
    pub(super) flights: BTreeMap<u64, Flight>,
    /// Every nonce below is used up in a final block.
    pub(super) final_below: u64,
    pub(super) view: Option<View>,
    /// Looks at the chain so far: the clock of what must not wait for blocks.
    pub(super) views: u64,
    /// A nonce nobody wants that blocks the lane, and the view it was first seen in.
    pub(super) gap: Option<(u64, u64)>,
}

impl Lane {
    /// The lane as the store has it.
    pub fn restore(key: LaneKey, config: LaneConfig, snapshot: LaneSnapshot) -> Self {
        let mut lane = Self {
            key,
            config,
            queue: BTreeMap::new(),
            flights: BTreeMap::new(),
            final_below: snapshot.final_below,
            view: None,
            views: 0,
            gap: None,
        };
        for intent in snapshot.intents {
            match intent.nonce {
                None => {
                    lane.queue.insert(intent.id, Waiting::new(intent));
                }
                Some(nonce) => {
                    let attempts = snapshot
                        .attempts
                        .iter()
                        .filter(|attempt| attempt.signed.nonce == nonce)
                        .collect();
                    lane.flights.insert(nonce, Flight::restored(intent, attempts));
                }
            }
        }
        lane
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Queued(intent) => self.queued(*intent),
            Event::Viewed(view) => self.viewed(*view),
            Event::Estimated(intent, estimate) => self.estimated(intent, estimate),
            Event::Recorded { nonce, signed, fees } => self.recorded(nonce, signed, fees),
            Event::NotSigned { nonce, reason } => self.not_signed(nonce, reason),
            Event::Sent { nonce, hash, outcome } => self.sent(nonce, hash, outcome),
            Event::Looked { nonce, attempts, anchor, look } => {
                self.looked(nonce, attempts, anchor, look)
            }
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

    /// When the oldest intent that is not final was submitted.
    pub fn oldest(&self) -> Option<UnixSeconds> {
        let queued = self.queue.values().map(|waiting| waiting.intent.created_at);
        let flying = self.flights.values().map(|flight| flight.intent.created_at);
        queued.chain(flying).min()
    }

    pub(super) fn chain_id(&self) -> ChainId {
        self.key.chain_id
    }

    fn queued(&mut self, intent: Intent) -> Vec<Effect> {
        let known = self.queue.contains_key(&intent.id)
            || self.flights.values().any(|flight| flight.intent.id == intent.id);
        if !known {
            self.queue.insert(intent.id, Waiting::new(intent));
        }
        Vec::new()
    }

    fn viewed(&mut self, view: View) -> Vec<Effect> {
        self.views = self.views.saturating_add(1);
        let nonces: Vec<u64> = self.flights.keys().copied().collect();
        let mut effects = Vec::new();
        for nonce in nonces {
            if let Some(flight) = self.flights.get_mut(&nonce) {
                for attempt in &mut flight.attempts {
                    attempt.since.get_or_insert(view.head.number);
                }
                if view.account_nonce <= nonce {
                    flight.suspicion = None;
                }
                effects.extend(follow(self.key.chain_id, &self.config, nonce, flight, &view));
            }
        }
        self.view = Some(view);
        effects.extend(self.schedule());
        effects
    }

    fn recorded(&mut self, nonce: u64, signed: SignedTransaction, fees: Fees) -> Vec<Effect> {
        let since = self.view.as_ref().map(|view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        flight.signing = false;
        flight.underpriced = false;
        flight.cap_told = false;
        let SignedTransaction { raw, hash } = signed;
        flight.attempts.push(Known { hash, raw: raw.clone(), fees, since, accepted_at: None });
        vec![Effect::Broadcast { nonce, hash, raw }]
    }

    fn not_signed(&mut self, nonce: u64, reason: String) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        flight.signing = false;
        let intent = flight.intent.id;
        if flight.attempts.is_empty()
            && let Some(flight) = self.flights.remove(&nonce)
        {
            let mut waiting = Waiting::new(flight.intent);
            waiting.hold(self.views);
            self.queue.insert(intent, waiting);
        }
        vec![Effect::Note(intent, "not_signed", reason)]
    }

    fn sent(&mut self, nonce: u64, hash: B256, outcome: SendOutcome) -> Vec<Effect> {
        let head = self.view.as_ref().map_or(0, |view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let intent = flight.intent.id;
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
        match outcome {
            SendOutcome::Underpriced => {
                flight.underpriced |= is_newest;
                Vec::new()
            }
            SendOutcome::InsufficientFunds => {
                let needed = flight.committed();
                let available = self.view.as_ref().map(|view| view.balance).unwrap_or_default();
                vec![Effect::Alert(Alert::InsufficientFunds { intent, needed, available })]
            }
            SendOutcome::Rejected(reason) => {
                vec![
                    Effect::Note(intent, "refused", reason.clone()),
                    Effect::Alert(Alert::Refused { intent, reason }),
                ]
            }
            SendOutcome::Accepted
            | SendOutcome::AlreadyKnown
            | SendOutcome::NonceTooLow
            | SendOutcome::PoolFull
            | SendOutcome::Unknown(_) => Vec::new(),
        }
    }
}
