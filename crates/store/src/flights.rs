//! Flights: one nonce each, the intents its transaction carries, and how far it has come.

use core::fmt;

use capstan_base::B256;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::attempts::{Attempt, attempts_of_flight};
use crate::columns::{Sql, get, get_option, text_enum};
use crate::error::{Result, StoreError};
use crate::intents::{Failure, Inclusion, Intent, IntentId, read_intent};
use crate::lanes::LaneKey;

/// Names a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId(pub u64);

impl fmt::Display for FlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_enum! {
    /// Where a flight stands.
    pub enum FlightState {
        /// Waiting for a block.
        InFlight = "in_flight",
        /// An attempt is in a block that may still be reorganised away.
        Included = "included",
        /// An attempt is in a final block.
        Final = "final",
        /// Another transaction used its nonce.
        Lost = "lost",
    }
}

/// A flight that is not over, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFlight {
    /// Its id.
    pub id: FlightId,
    /// Its nonce.
    pub nonce: u64,
    /// What it carries, in the order of its call.
    pub intents: Vec<Intent>,
    /// Its transactions, oldest first; at least one.
    pub attempts: Vec<Attempt>,
    /// Where one of them was mined, as far as is known.
    pub inclusion: Option<Inclusion>,
}

/// What became of one intent of a flight that is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemEnd {
    /// It is over: its call went through, or, alone in its transaction, reverted.
    Final {
        /// Which of both.
        success: bool,
    },
    /// It had no effect and goes back to the queue; why, for its history.
    Queued(String),
    /// It had no effect and is given up.
    Failed(Failure),
}

/// State of a flight and the lane it is of.
pub(crate) fn flight_state(
    sql: &Connection,
    id: FlightId,
) -> Result<Option<(LaneKey, FlightState)>> {
    sql.prepare_cached("SELECT chain_id, sender, state FROM flights WHERE id = ?1")
        .and_then(|mut rows| {
            rows.query_row([Sql(id.0)], |row| {
                let lane = LaneKey { chain_id: get(row, "chain_id")?, sender: get(row, "sender")? };
                Ok((lane, row.get("state")?))
            })
            .optional()
        })
        .map_err(StoreError::statement("read a flight"))
}

/// The flight that has a nonce, lost ones left out.
pub(crate) fn flight_at(sql: &Connection, lane: LaneKey, nonce: u64) -> Result<Option<FlightId>> {
    sql.prepare_cached(
        "SELECT id FROM flights
         WHERE chain_id = ?1 AND sender = ?2 AND nonce = ?3 AND state <> 'lost'",
    )
    .and_then(|mut rows| {
        rows.query_row((Sql(lane.chain_id), Sql(lane.sender), Sql(nonce)), |row| get(row, "id"))
            .optional()
    })
    .map(|id| id.map(FlightId))
    .map_err(StoreError::statement("read a flight"))
}

/// Intents a flight carries, in order.
pub(crate) fn items_of(sql: &Connection, flight: FlightId) -> Result<Vec<Intent>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT intents_seen.* FROM flight_items
             JOIN intents_seen ON intents_seen.id = flight_items.intent_id
             WHERE flight_items.flight_id = ?1 ORDER BY position",
        )?;
        rows.query_map([Sql(flight.0)], read_intent)?.collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("read what a flight carries"))
}

/// Creates a flight at a nonce and binds the intents to it, all queued until now.
pub(crate) fn create_flight(
    sql: &Connection,
    lane: LaneKey,
    nonce: u64,
    intents: &[IntentId],
) -> Result<FlightId> {
    const OPERATION: &str = "bind intents to a nonce";
    let create = || {
        let items = u32::try_from(intents.len()).unwrap_or(u32::MAX);
        let id: u64 = sql
            .prepare_cached(
                "INSERT INTO flights (chain_id, sender, nonce, items)
                 VALUES (?1, ?2, ?3, ?4) RETURNING id",
            )?
            .query_row((Sql(lane.chain_id), Sql(lane.sender), Sql(nonce), Sql(items)), |row| {
                get(row, "id")
            })?;
        let mut item = sql.prepare_cached(
            "INSERT INTO flight_items (flight_id, position, intent_id) VALUES (?1, ?2, ?3)",
        )?;
        let mut bind = sql.prepare_cached(
            "UPDATE intents SET state = 'in_flight', flight_id = ?2, updated_at = unixepoch()
             WHERE id = ?1 AND state = 'queued'",
        )?;
        for (position, intent) in (0u32..).zip(intents) {
            item.execute((Sql(id), Sql(position), Sql(intent.0)))?;
            bind.execute((Sql(intent.0), Sql(id)))?;
        }
        Ok::<_, rusqlite::Error>(FlightId(id))
    };
    create().map_err(StoreError::statement(OPERATION))
}

/// Sets where a flight stands, and where it was mined if it was.
pub(crate) fn set_flight(
    sql: &Connection,
    id: FlightId,
    state: FlightState,
    inclusion: Option<&Inclusion>,
) -> Result<()> {
    sql.prepare_cached(
        "UPDATE flights
         SET state = :state, tx_hash = :tx_hash, block_number = :block_number,
             block_hash = :block_hash, gas_used = :gas_used,
             effective_gas_price = :effective_gas_price, rollup_fee = :rollup_fee,
             success = :success, updated_at = unixepoch()
         WHERE id = :id",
    )
    .and_then(|mut update| {
        update.execute(named_params! {
            ":state": state,
            ":tx_hash": inclusion.map(|mined| Sql(mined.tx_hash)),
            ":block_number": inclusion.map(|mined| Sql(mined.block_number)),
            ":block_hash": inclusion.map(|mined| Sql(mined.block_hash)),
            ":gas_used": inclusion.map(|mined| Sql(mined.gas_used)),
            ":effective_gas_price": inclusion.map(|mined| Sql(mined.effective_gas_price)),
            ":rollup_fee": inclusion.map(|mined| Sql(mined.rollup_fee)),
            ":success": inclusion.map(|mined| mined.success),
            ":id": Sql(id.0),
        })
    })
    .map(|_| ())
    .map_err(StoreError::statement("record where a flight stands"))
}

/// Flights of a lane that are not over.
pub(crate) fn open_flights(sql: &Connection, lane: LaneKey) -> Result<Vec<OpenFlight>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT id, nonce, tx_hash, block_number, block_hash, gas_used, effective_gas_price,
                    rollup_fee, success
             FROM flights
             WHERE chain_id = ?1 AND sender = ?2 AND state IN ('in_flight', 'included')
             ORDER BY nonce",
        )?;
        rows.query_map((Sql(lane.chain_id), Sql(lane.sender)), |row| {
            let id = FlightId(get(row, "id")?);
            Ok((id, get(row, "nonce")?, read_inclusion(row, "success")?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    };
    rows()
        .map_err(StoreError::statement("read a lane"))?
        .into_iter()
        .map(|(id, nonce, inclusion)| {
            let (intents, attempts) = (items_of(sql, id)?, attempts_of_flight(sql, id)?);
            Ok(OpenFlight { id, nonce, intents, attempts, inclusion })
        })
        .collect()
}

/// Every nonce below is used up in a final block.
pub(crate) fn final_below(sql: &Connection, lane: LaneKey) -> Result<u64> {
    sql.prepare_cached(
        "SELECT nonce FROM flights
         WHERE chain_id = ?1 AND sender = ?2 AND state = 'final' AND state <> 'lost'
         ORDER BY nonce DESC LIMIT 1",
    )
    .and_then(|mut rows| {
        rows.query_row((Sql(lane.chain_id), Sql(lane.sender)), |row| get(row, "nonce")).optional()
    })
    .map(|nonce: Option<u64>| nonce.map_or(0, |nonce| nonce.saturating_add(1)))
    .map_err(StoreError::statement("read a lane"))
}

/// Where something was mined; `None` while it is not.
pub(crate) fn read_inclusion(row: &Row<'_>, success: &str) -> rusqlite::Result<Option<Inclusion>> {
    let Some(block_hash) = get_option::<B256>(row, "block_hash")? else { return Ok(None) };
    Ok(Some(Inclusion {
        tx_hash: get(row, "tx_hash")?,
        block_number: get(row, "block_number")?,
        block_hash,
        gas_used: get(row, "gas_used")?,
        effective_gas_price: get(row, "effective_gas_price")?,
        rollup_fee: get(row, "rollup_fee")?,
        success: row.get(success)?,
    }))
}
