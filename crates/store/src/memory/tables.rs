//! The tables and their indexes, and everything that only reads them.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use capstan_base::{B256, U256};

use super::seconds;
use crate::attempts::Attempt;
use crate::flights::{FlightId, FlightState, OpenFlight};
use crate::intents::{
    Failure, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentState, NewIntent, Place,
};
use crate::lanes::{LaneKey, LaneSnapshot};

/// Listing length if the caller names none, as in the database.
const PAGE: u32 = 1000;

#[derive(Debug)]
pub(super) struct IntentRow {
    pub(super) request: NewIntent,
    /// Never `Included`: the flight tells that.
    pub(super) state: IntentState,
    pub(super) flight: Option<FlightId>,
    pub(super) success: Option<bool>,
    pub(super) failure: Option<Failure>,
    pub(super) spent: U256,
    pub(super) created_at: u64,
    pub(super) updated_at: u64,
    /// Flights it was ever carried by, lost ones included.
    pub(super) flights: Vec<FlightId>,
    pub(super) history: Vec<HistoryRow>,
}

#[derive(Debug)]
pub(super) struct FlightRow {
    pub(super) lane: LaneKey,
    pub(super) nonce: u64,
    pub(super) state: FlightState,
    pub(super) items: Vec<IntentId>,
    pub(super) inclusion: Option<Inclusion>,
    /// With the place in the order of all attempts.
    pub(super) attempts: Vec<(u64, Attempt)>,
}

/// Who may act for a lane, and the lane's indexes.
#[derive(Debug, Default)]
pub(super) struct LaneRow {
    pub(super) next_nonce: u64,
    pub(super) owner: Option<String>,
    pub(super) epoch: u64,
    pub(super) lease_until: Option<u64>,
    pub(super) queued: BTreeSet<IntentId>,
    /// Flights that are not lost.
    pub(super) by_nonce: BTreeMap<u64, FlightId>,
    /// Of those, the ones not over.
    pub(super) open: BTreeMap<u64, FlightId>,
    pub(super) final_below: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Unix milliseconds.
    pub(super) now: u64,
    pub(super) intents: BTreeMap<IntentId, IntentRow>,
    pub(super) keys: HashMap<String, IntentId>,
    pub(super) flights: BTreeMap<FlightId, FlightRow>,
    /// Attempts by hash: flight and number of each.
    pub(super) hashes: HashMap<B256, Vec<(FlightId, u32)>>,
    pub(super) lanes: BTreeMap<LaneKey, LaneRow>,
    pub(super) attempt_count: u64,
}

impl Tables {
    pub(super) fn has_attempt(&self, tx_hash: B256) -> bool {
        self.hashes.contains_key(&tx_hash)
    }

    pub(super) fn intent(&self, id: IntentId) -> Option<Intent> {
        self.intents.get(&id).map(|row| self.seen(id, row))
    }

    /// An intent as callers see it: with the nonce and the block of the flight that carries it.
    fn seen(&self, id: IntentId, row: &IntentRow) -> Intent {
        let bound = row.flight.and_then(|id| Some((id, self.flights.get(&id)?)));
        let inclusion = bound
            .and_then(|(_, flight)| flight.inclusion)
            .map(|mined| Inclusion { success: row.success.unwrap_or(mined.success), ..mined });
        let place = bound.map(|(id, flight)| Place {
            flight: id,
            nonce: flight.nonce,
            items: u32::try_from(flight.items.len()).unwrap_or(u32::MAX),
        });
        Intent {
            id,
            request: row.request.clone(),
            state: self.stands(row),
            place,
            inclusion,
            failure: row.failure.clone(),
            spent: row.spent,
            created_at: seconds(row.created_at),
            updated_at: seconds(row.updated_at),
        }
    }

    pub(super) fn stands(&self, row: &IntentRow) -> IntentState {
        let flight = row.flight.and_then(|id| self.flights.get(&id));
        match (row.state, flight.map(|flight| flight.state)) {
            (IntentState::InFlight, Some(FlightState::Included)) => IntentState::Included,
            (state, _) => state,
        }
    }

    pub(super) fn list(&self, filter: &IntentFilter) -> Vec<Intent> {
        let limit = usize::try_from(filter.limit.unwrap_or(PAGE)).unwrap_or(usize::MAX);
        let first = IntentId(filter.after.map_or(0, |id| id.0.saturating_add(1)));
        self.intents
            .range(first..)
            .filter(|(_, row)| filter.chain_id.is_none_or(|chain| row.request.chain_id == chain))
            .filter(|(_, row)| filter.sender.is_none_or(|sender| row.request.sender == sender))
            .filter(|(_, row)| filter.state.is_none_or(|state| self.stands(row) == state))
            .take(limit)
            .map(|(id, row)| self.seen(*id, row))
            .collect()
    }

    pub(super) fn attempts_of_intent(&self, id: IntentId) -> Vec<Attempt> {
        let flights = self.intents.get(&id).map(|row| row.flights.as_slice()).unwrap_or_default();
        let mut attempts: Vec<&(u64, Attempt)> = flights
            .iter()
            .filter_map(|flight| self.flights.get(flight))
            .flat_map(|flight| &flight.attempts)
            .collect();
        attempts.sort_by_key(|(order, _)| *order);
        attempts.into_iter().map(|(_, attempt)| attempt.clone()).collect()
    }

    pub(super) fn history(&self, id: IntentId) -> Vec<HistoryRow> {
        self.intents.get(&id).map(|row| row.history.clone()).unwrap_or_default()
    }

    pub(super) fn open_lanes(&self) -> Vec<LaneKey> {
        self.lanes
            .iter()
            .filter(|(_, lane)| !lane.queued.is_empty() || !lane.open.is_empty())
            .map(|(key, _)| *key)
            .collect()
    }

    pub(super) fn snapshot(&self, key: LaneKey) -> LaneSnapshot {
        let Some(lane) = self.lanes.get(&key) else { return LaneSnapshot::default() };
        let flights = lane
            .open
            .values()
            .filter_map(|id| Some((*id, self.flights.get(id)?)))
            .map(|(id, flight)| OpenFlight {
                id,
                nonce: flight.nonce,
                intents: flight.items.iter().filter_map(|id| self.intent(*id)).collect(),
                attempts: flight.attempts.iter().map(|(_, attempt)| attempt.clone()).collect(),
                inclusion: flight.inclusion,
            })
            .collect();
        LaneSnapshot { next_nonce: lane.next_nonce, final_below: lane.final_below, flights }
    }

    pub(super) fn mined_attempts(&self, key: LaneKey, nonces: Range<u64>) -> Vec<Attempt> {
        let Some(lane) = self.lanes.get(&key) else { return Vec::new() };
        let flights = lane.by_nonce.range(nonces).filter_map(|(_, id)| self.flights.get(id));
        let mined = flights.filter(|flight| flight.state == FlightState::Final);
        let mined = mined.filter_map(|flight| {
            let hash = flight.inclusion?.tx_hash;
            flight.attempts.iter().find(|(_, attempt)| attempt.signed.tx_hash == hash)
        });
        mined.take(256).map(|(_, attempt)| attempt.clone()).collect()
    }

    pub(super) fn queued(&self, key: LaneKey, after: Option<IntentId>, limit: u32) -> Vec<Intent> {
        let Some(lane) = self.lanes.get(&key) else { return Vec::new() };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let first = IntentId(after.map_or(0, |id| id.0.saturating_add(1)));
        lane.queued.range(first..).take(limit).filter_map(|id| self.intent(*id)).collect()
    }
}
