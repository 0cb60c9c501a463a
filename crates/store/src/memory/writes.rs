//! Everything that changes the tables. Each method checks first and changes then, so that a refused
//! write leaves nothing behind, as a transaction that is rolled back.

use core::time::Duration;
use std::sync::Arc;

use capstan_base::U256;

use super::seconds;
use super::tables::{FlightRow, IntentRow, Tables};
use crate::attempts::{Attempt, Broadcast, BroadcastNote, NewAttempt, Recorded};
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState, ItemEnd};
use crate::intents::{
    Failure, HistoryRow, Inclusion, IntentId, IntentOutcome, IntentState, NewIntent,
};
use crate::lanes::{Fence, LaneKey};

impl Tables {
    pub(super) fn submit(&mut self, request: NewIntent) -> Result<IntentOutcome> {
        if let Some(existing) = self.keys.get(&request.idempotency_key).copied() {
            return match self.intents.get(&existing) {
                Some(row) if row.request == request => Ok(IntentOutcome::Existing(existing)),
                _ => Err(StoreError::KeyConflict { key: request.idempotency_key, existing }),
            };
        }
        let last = self.intents.last_key_value().map_or(0, |(id, _)| id.0);
        let id = IntentId(last.saturating_add(1));
        let lane = LaneKey { chain_id: request.chain_id, sender: request.sender };
        self.lanes.entry(lane).or_default().queued.insert(id);
        self.keys.insert(request.idempotency_key.clone(), id);
        self.intents.insert(
            id,
            IntentRow {
                request,
                state: IntentState::Queued,
                flight: None,
                success: None,
                failure: None,
                spent: U256::ZERO,
                created_at: self.now,
                updated_at: self.now,
                flights: Vec::new(),
                history: Vec::new(),
            },
        );
        Ok(IntentOutcome::Created(id))
    }

    pub(super) fn acquire(&mut self, lane: LaneKey, owner: &str, lease: Duration) -> Option<Fence> {
        let now = self.now;
        let row = self.lanes.entry(lane).or_default();
        let is_free = row.lease_until.is_none_or(|until| until <= now);
        if !is_free && row.owner.as_deref() != Some(owner) {
            return None;
        }
        row.owner = Some(owner.to_owned());
        row.epoch = row.epoch.saturating_add(1);
        row.lease_until = Some(now.saturating_add(millis(lease)));
        Some(Fence { lane, epoch: row.epoch })
    }

    pub(super) fn renew(&mut self, fence: Fence, lease: Duration) -> bool {
        let until = self.now.saturating_add(millis(lease));
        let is_held = self.check_fence(fence).is_ok();
        if let Some(row) = self.lanes.get_mut(&fence.lane).filter(|_| is_held) {
            row.lease_until = Some(until);
        }
        is_held
    }

    pub(super) fn release(&mut self, fence: Fence) {
        if let Some(row) = self.lanes.get_mut(&fence.lane).filter(|row| row.epoch == fence.epoch) {
            row.lease_until = None;
            row.owner = None;
        }
    }

    fn check_fence(&self, fence: Fence) -> Result<()> {
        self.lanes
            .get(&fence.lane)
            .filter(|row| row.epoch == fence.epoch && row.lease_until.is_some())
            .map(drop)
            .ok_or(StoreError::Fenced { lane: fence.lane })
    }

    pub(super) fn record_attempt(&mut self, fence: Fence, new: NewAttempt) -> Result<Recorded> {
        self.check_fence(fence)?;
        let first = *new.intents.first().ok_or(StoreError::NoIntents)?;
        let hash = new.signed.tx_hash;
        let lane = fence.lane;
        let at_nonce = self.lanes.get(&lane).and_then(|row| row.by_nonce.get(&new.nonce)).copied();
        if let Some(flight) = at_nonce.and_then(|id| self.flights.get(&id)) {
            if flight.items != new.intents {
                return Err(StoreError::NonceTaken { id: first, nonce: new.nonce });
            }
            if flight.state != FlightState::InFlight {
                return Err(self.wrong_state(first, "record an attempt"));
            }
        } else {
            for id in &new.intents {
                let row = self.intents.get(id).ok_or(StoreError::UnknownIntent(*id))?;
                let is_of_lane =
                    LaneKey { chain_id: row.request.chain_id, sender: row.request.sender } == lane;
                if row.state != IntentState::Queued || !is_of_lane {
                    return Err(self.wrong_state(*id, "record an attempt"));
                }
            }
        }
        let known = self.hashes.get(&hash).into_iter().flatten();
        if let Some((flight, number)) = known.copied().find(|(id, _)| Some(*id) == at_nonce) {
            // The same bytes signed twice are one attempt.
            return Ok(Recorded { flight, number });
        }
        let flight = at_nonce.unwrap_or_else(|| self.create_flight(lane, new.nonce, &new.intents));
        let order = self.attempt_count;
        self.attempt_count = order.saturating_add(1);
        if let Some(row) = self.lanes.get_mut(&lane) {
            row.next_nonce = row.next_nonce.max(new.nonce.saturating_add(1));
        }
        let row = self.flights.get_mut(&flight).ok_or(StoreError::UnknownFlight(flight))?;
        let number = u32::try_from(row.attempts.len()).unwrap_or(u32::MAX);
        let attempt = Attempt {
            flight,
            nonce: new.nonce,
            number,
            signed: new.signed,
            broadcast: Broadcast::Signed,
            broadcast_detail: None,
        };
        row.attempts.push((order, attempt));
        self.hashes.entry(hash).or_default().push((flight, number));
        Ok(Recorded { flight, number })
    }

    fn create_flight(&mut self, lane: LaneKey, nonce: u64, items: &[IntentId]) -> FlightId {
        let last = self.flights.last_key_value().map_or(0, |(id, _)| id.0);
        let id = FlightId(last.saturating_add(1));
        let now = self.now;
        for item in items {
            if let Some(row) = self.intents.get_mut(item) {
                row.state = IntentState::InFlight;
                row.flight = Some(id);
                row.flights.push(id);
                row.updated_at = now;
            }
        }
        let row = self.lanes.entry(lane).or_default();
        row.queued.retain(|queued| !items.contains(queued));
        row.by_nonce.insert(nonce, id);
        row.open.insert(nonce, id);
        self.flights.insert(
            id,
            FlightRow {
                lane,
                nonce,
                state: FlightState::InFlight,
                items: items.to_vec(),
                inclusion: None,
                attempts: Vec::new(),
            },
        );
        id
    }

    pub(super) fn note_broadcasts(&mut self, notes: Vec<BroadcastNote>) {
        for note in notes {
            for (flight, number) in self.hashes.get(&note.tx_hash).into_iter().flatten() {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                let row = self.flights.get_mut(flight);
                if let Some((_, attempt)) = row.and_then(|row| row.attempts.get_mut(number)) {
                    attempt.broadcast = note.broadcast;
                    attempt.broadcast_detail.clone_from(&note.detail);
                }
            }
        }
    }

    pub(super) fn record_inclusion(
        &mut self,
        fence: Fence,
        id: FlightId,
        inclusion: Inclusion,
    ) -> Result<()> {
        let allowed = &[FlightState::InFlight, FlightState::Included];
        self.from(fence, id, "record an inclusion", allowed)?;
        self.set_flight(id, FlightState::Included, Some(inclusion));
        Ok(())
    }

    pub(super) fn record_reorg(&mut self, fence: Fence, id: FlightId, detail: &str) -> Result<()> {
        let allowed = &[FlightState::InFlight, FlightState::Included];
        self.from(fence, id, "record a reorganisation", allowed)?;
        self.set_flight(id, FlightState::InFlight, None);
        self.items(id).into_iter().try_for_each(|item| self.note(item, "reorged", detail))
    }

    pub(super) fn record_final(
        &mut self,
        fence: Fence,
        id: FlightId,
        inclusion: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<()> {
        let allowed = &[FlightState::InFlight, FlightState::Included, FlightState::Final];
        if self.from(fence, id, "record finality", allowed)? == FlightState::Final {
            return Ok(());
        }
        if !self.items(id).iter().eq(ends.iter().map(|(id, _)| id)) {
            return Err(StoreError::OtherItems { flight: id });
        }
        self.set_flight(id, FlightState::Final, Some(inclusion));
        let share = inclusion.share(ends.len());
        for (item, end) in ends {
            match end {
                ItemEnd::Final { success } => {
                    let now = self.now;
                    if let Some(row) = self.intents.get_mut(&item) {
                        row.state = IntentState::Final;
                        row.success = Some(success);
                        row.updated_at = now;
                    }
                }
                ItemEnd::Queued(detail) => {
                    if let Some(row) = self.intents.get_mut(&item) {
                        row.spent = row.spent.saturating_add(share);
                    }
                    self.requeue(item);
                    self.note(item, "isolated", &detail)?;
                }
                ItemEnd::Failed(failure) => {
                    self.requeue(item);
                    self.fail(item, failure);
                }
            }
        }
        Ok(())
    }

    pub(super) fn record_lost(&mut self, fence: Fence, id: FlightId, detail: &str) -> Result<()> {
        let allowed = &[FlightState::InFlight, FlightState::Lost];
        if self.from(fence, id, "give a nonce up", allowed)? == FlightState::Lost {
            return Ok(());
        }
        let items = self.items(id);
        self.set_flight(id, FlightState::Lost, None);
        for item in items {
            self.requeue(item);
            self.note(item, "requeued", detail)?;
        }
        Ok(())
    }

    pub(super) fn record_failure(
        &mut self,
        fence: Fence,
        id: IntentId,
        failure: Failure,
    ) -> Result<()> {
        self.check_fence(fence)?;
        let row = self.intents.get(&id).ok_or(StoreError::UnknownIntent(id))?;
        match row.state {
            IntentState::Queued => self.fail(id, failure),
            IntentState::Failed => {}
            _ => return Err(self.wrong_state(id, "record a failure")),
        }
        Ok(())
    }

    pub(super) fn note(&mut self, id: IntentId, what: &str, detail: &str) -> Result<()> {
        let at = seconds(self.now);
        let row = self.intents.get_mut(&id).ok_or_else(|| constraint("note an event"))?;
        let is_repeated =
            row.history.last().is_some_and(|last| last.what == what && last.detail == detail);
        if !is_repeated {
            let (what, detail) = (what.to_owned(), detail.to_owned());
            row.history.push(HistoryRow { at, what, detail });
        }
        Ok(())
    }

    /// The flight's state, if the fence holds and it is one of `allowed`.
    fn from(
        &self,
        fence: Fence,
        id: FlightId,
        operation: &'static str,
        allowed: &[FlightState],
    ) -> Result<FlightState> {
        self.check_fence(fence)?;
        let row = self.flights.get(&id).ok_or(StoreError::UnknownFlight(id))?;
        if row.lane == fence.lane && allowed.contains(&row.state) {
            return Ok(row.state);
        }
        Err(StoreError::WrongFlightState { id, found: row.state.as_str(), operation })
    }

    fn items(&self, id: FlightId) -> Vec<IntentId> {
        self.flights.get(&id).map(|row| row.items.clone()).unwrap_or_default()
    }

    fn set_flight(&mut self, id: FlightId, state: FlightState, inclusion: Option<Inclusion>) {
        let Some(row) = self.flights.get_mut(&id) else { return };
        row.state = state;
        row.inclusion = inclusion;
        let nonce = row.nonce;
        let Some(lane) = self.lanes.get_mut(&row.lane) else { return };
        match state {
            FlightState::InFlight | FlightState::Included => {}
            FlightState::Final => {
                lane.open.remove(&nonce);
                lane.final_below = lane.final_below.max(nonce.saturating_add(1));
            }
            FlightState::Lost => {
                lane.open.remove(&nonce);
                lane.by_nonce.remove(&nonce);
            }
        }
    }

    fn requeue(&mut self, id: IntentId) {
        let now = self.now;
        let Some(row) = self.intents.get_mut(&id) else { return };
        row.state = IntentState::Queued;
        row.flight = None;
        row.updated_at = now;
        let lane = LaneKey { chain_id: row.request.chain_id, sender: row.request.sender };
        self.lanes.entry(lane).or_default().queued.insert(id);
    }

    /// Of a queued intent.
    fn fail(&mut self, id: IntentId, failure: Failure) {
        let now = self.now;
        let Some(row) = self.intents.get_mut(&id) else { return };
        row.state = IntentState::Failed;
        row.failure = Some(failure);
        row.updated_at = now;
        let lane = LaneKey { chain_id: row.request.chain_id, sender: row.request.sender };
        self.lanes.entry(lane).or_default().queued.remove(&id);
    }

    fn wrong_state(&self, id: IntentId, operation: &'static str) -> StoreError {
        match self.intents.get(&id) {
            Some(row) => {
                let found = self.stands(row).as_str();
                StoreError::WrongIntentState { id, found, operation }
            }
            None => StoreError::UnknownIntent(id),
        }
    }
}

/// What the database says where one of its constraints is broken.
fn constraint(operation: &'static str) -> StoreError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT);
    StoreError::Statement {
        operation,
        source: Arc::new(rusqlite::Error::SqliteFailure(code, None).into()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
