//! Attempts: signed transactions, stored before they are broadcast.

use core::ops::Range;

use alloy_primitives::Bytes;
use capstan_base::{B256, U256, UnixSeconds};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::columns::{Sql, get, get_option, text_enum};
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState, create_flight, flight_at, flight_state, items_of};
use crate::intents::{IntentId, IntentState, find_intent};
use crate::lanes::{Fence, LaneKey, check_fence, use_nonce};
use crate::store::Store;

text_enum! {
    /// What is known of an attempt's broadcast. Only `signed` says anything certain to the engine,
    /// and even that not that it was not sent: a crash may lie between sending and noting it.
    pub enum Broadcast {
        /// Stored; sending it has not been noted.
        Signed = "signed",
        /// A node took it, or had it.
        Accepted = "accepted",
        /// The last node asked refused it.
        Refused = "refused",
        /// Sending it ended in a timeout or a transport error.
        Unknown = "unknown",
    }
}

/// A transaction just signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttempt {
    /// Intents it is for, in the order of its call; the same for every attempt of a nonce.
    pub intents: Vec<IntentId>,
    /// Nonce it uses.
    pub nonce: u64,
    /// What was signed.
    pub signed: Signed,
}

/// The signed transaction of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its hash.
    pub tx_hash: B256,
    /// EIP-2718 bytes, ready to send.
    pub raw: Bytes,
    /// True for an empty transaction that only uses the nonce up.
    pub voids: bool,
    /// Gas limit.
    pub gas_limit: u64,
    /// Most wei per gas; the gas price of a legacy transaction.
    pub max_fee: u128,
    /// Most wei per gas to the block's producer; `None` for a legacy transaction.
    pub priority_fee: Option<u128>,
    /// Most wei a rollup may charge besides, as estimated.
    pub rollup_fee: U256,
    /// When it was signed.
    pub signed_at: UnixSeconds,
}

/// Where an attempt was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its flight.
    pub flight: FlightId,
    /// Which attempt of it, from zero.
    pub number: u32,
}

/// An attempt as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its flight.
    pub flight: FlightId,
    /// The flight's nonce.
    pub nonce: u64,
    /// Which attempt of the flight, from zero.
    pub number: u32,
    /// What was signed.
    pub signed: Signed,
    /// What is known of its broadcast.
    pub broadcast: Broadcast,
    /// The node's words about it, if any.
    pub broadcast_detail: Option<String>,
}

/// How one broadcast went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastNote {
    /// Of which attempt.
    pub tx_hash: B256,
    /// How it went.
    pub broadcast: Broadcast,
    /// The node's words, if any.
    pub detail: Option<String>,
}

impl Store {
    /// Attempts of an intent, oldest first, those at nonces it lost included.
    pub async fn attempts(&self, intent: IntentId) -> Result<Vec<Attempt>> {
        self.read("list attempts", move |sql| {
            list(
                sql,
                "SELECT attempts.*, flights.nonce FROM flight_items
                 JOIN flights ON flights.id = flight_items.flight_id
                 JOIN attempts ON attempts.flight_id = flights.id
                 WHERE flight_items.intent_id = ?1 ORDER BY attempts.id",
                intent.0,
            )
        })
        .await
    }
}

/// Stores an attempt. The first one of a nonce creates its flight, binds the intents to it and
/// moves the lane past it.
///
/// Refused if an intent is bound to another nonce or the nonce to other intents. An attempt with a
/// known hash is the same attempt, and where it was stored is returned.
pub(crate) fn record_attempt(sql: &Connection, fence: Fence, new: &NewAttempt) -> Result<Recorded> {
    const OPERATION: &str = "record an attempt";
    check_fence(sql, fence)?;
    let lane = fence.lane;
    let first = *new.intents.first().ok_or(StoreError::NoIntents)?;
    let flight = match flight_at(sql, lane, new.nonce)? {
        Some(flight) => {
            let carried: Vec<IntentId> =
                items_of(sql, flight)?.into_iter().map(|intent| intent.id).collect();
            if carried != new.intents {
                return Err(StoreError::NonceTaken { id: first, nonce: new.nonce });
            }
            match flight_state(sql, flight)? {
                Some((_, FlightState::InFlight)) => flight,
                _ => return Err(wrong_state(sql, first, OPERATION)?),
            }
        }
        None => {
            for id in &new.intents {
                let intent = find_intent(sql, *id)?.ok_or(StoreError::UnknownIntent(*id))?;
                let is_of_lane = intent.request.chain_id == lane.chain_id
                    && intent.request.sender == lane.sender;
                if intent.state != IntentState::Queued || !is_of_lane {
                    return Err(wrong_state(sql, *id, OPERATION)?);
                }
            }
            create_flight(sql, lane, new.nonce, &new.intents)?
        }
    };
    let insert = || {
        use_nonce(sql, lane, new.nonce)?;
        let known = sql
            .prepare_cached("SELECT number FROM attempts WHERE tx_hash = ?1 AND flight_id = ?2")?
            .query_row((Sql(new.signed.tx_hash), Sql(flight.0)), |row| get(row, "number"))
            .optional()?;
        match known {
            // The same bytes signed twice are one attempt.
            Some(number) => Ok(number),
            None => insert_attempt(sql, flight, &new.signed),
        }
    };
    let number = insert().map_err(StoreError::statement(OPERATION))?;
    Ok(Recorded { flight, number })
}

fn insert_attempt(sql: &Connection, flight: FlightId, signed: &Signed) -> rusqlite::Result<u32> {
    sql.prepare_cached(
        "INSERT INTO attempts (flight_id, number, tx_hash, raw, voids, gas_limit, max_fee,
                               priority_fee, rollup_fee, signed_at)
         SELECT :flight, coalesce(max(number) + 1, 0), :tx_hash, :raw, :voids, :gas_limit, :max_fee,
                :priority_fee, :rollup_fee, :signed_at
         FROM attempts WHERE flight_id = :flight
         RETURNING number",
    )?
    .query_row(
        named_params! {
            ":flight": Sql(flight.0),
            ":tx_hash": Sql(signed.tx_hash),
            ":raw": Sql(signed.raw.clone()),
            ":voids": signed.voids,
            ":gas_limit": Sql(signed.gas_limit),
            ":max_fee": Sql(signed.max_fee),
            ":priority_fee": signed.priority_fee.map(Sql),
            ":rollup_fee": Sql(signed.rollup_fee),
            ":signed_at": Sql(signed.signed_at),
        },
        |row| get(row, "number"),
    )
}

fn wrong_state(sql: &Connection, id: IntentId, operation: &'static str) -> Result<StoreError> {
    let found = find_intent(sql, id)?.ok_or(StoreError::UnknownIntent(id))?.state.as_str();
    Ok(StoreError::WrongIntentState { id, found, operation })
}

/// Notes how a broadcast went. Says nothing about the transaction's fate.
pub(crate) fn note_broadcast(sql: &Connection, note: &BroadcastNote) -> Result<()> {
    sql.prepare_cached(
        "UPDATE attempts SET broadcast = ?2, broadcast_detail = ?3 WHERE tx_hash = ?1",
    )
    .and_then(|mut update| update.execute((Sql(note.tx_hash), note.broadcast, &note.detail)))
    .map(|_| ())
    .map_err(StoreError::statement("note a broadcast"))
}

/// Attempts of a flight, oldest first.
pub(crate) fn attempts_of_flight(sql: &Connection, flight: FlightId) -> Result<Vec<Attempt>> {
    list(
        sql,
        "SELECT attempts.*, flights.nonce FROM attempts
         JOIN flights ON flights.id = attempts.flight_id
         WHERE attempts.flight_id = ?1 ORDER BY number",
        flight.0,
    )
}

/// The mined attempts of a lane's final flights at these nonces, by nonce, at most 256.
pub(crate) fn mined_attempts(
    sql: &Connection,
    lane: LaneKey,
    nonces: &Range<u64>,
) -> Result<Vec<Attempt>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT attempts.*, flights.nonce FROM flights
             JOIN attempts ON attempts.flight_id = flights.id AND attempts.tx_hash = flights.tx_hash
             WHERE chain_id = ?1 AND sender = ?2 AND nonce >= ?3 AND nonce < ?4
                   AND state = 'final' AND state <> 'lost'
             ORDER BY nonce LIMIT 256",
        )?;
        let (first, end) = (Sql(nonces.start), Sql(nonces.end));
        rows.query_map((Sql(lane.chain_id), Sql(lane.sender), first, end), read_attempt)?
            .collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("read mined attempts"))
}

fn list(sql: &Connection, statement: &str, id: u64) -> Result<Vec<Attempt>> {
    let rows = || {
        let mut rows = sql.prepare_cached(statement)?;
        rows.query_map([Sql(id)], read_attempt)?.collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("list attempts"))
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        flight: FlightId(get(row, "flight_id")?),
        nonce: get(row, "nonce")?,
        number: get(row, "number")?,
        signed: Signed {
            tx_hash: get(row, "tx_hash")?,
            raw: get(row, "raw")?,
            voids: row.get("voids")?,
            gas_limit: get(row, "gas_limit")?,
            max_fee: get(row, "max_fee")?,
            priority_fee: get_option(row, "priority_fee")?,
            rollup_fee: get(row, "rollup_fee")?,
            signed_at: get(row, "signed_at")?,
        },
        broadcast: row.get("broadcast")?,
        broadcast_detail: row.get("broadcast_detail")?,
    })
}
