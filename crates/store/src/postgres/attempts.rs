//! Attempts: signed transactions, stored before they are broadcast.

use core::ops::Range;
use std::collections::HashMap;

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::columns::{get, get_option};
use super::flights::{create_flight, flight_at, ids, items_of};
use super::lanes::check_fence;
use crate::attempts::{Attempt, BroadcastNote, NewAttempt, Recorded, Signed};
use crate::columns::Sql;
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState};
use crate::intents::{IntentId, IntentState};
use crate::lanes::{Fence, LaneKey};

const OPERATION: &str = "record an attempt";

/// Stores an attempt; see `crate::attempts::record_attempt`.
pub(super) async fn record_attempt(
    sql: &mut PgConnection,
    (fence, new): &(Fence, NewAttempt),
) -> Result<Recorded> {
    check_fence(sql, *fence).await?;
    let lane = fence.lane;
    let first = *new.intents.first().ok_or(StoreError::NoIntents)?;
    let flight = match flight_at(sql, lane, new.nonce).await? {
        Some(found) => carries(sql, found, first, new).await?,
        None => first_of_nonce(sql, lane, first, new).await?,
    };
    let known = sqlx::query("SELECT number FROM attempts WHERE tx_hash = $1 AND flight_id = $2")
        .bind(Sql(new.signed.tx_hash))
        .bind(Sql(flight.0))
        .fetch_optional(&mut *sql)
        .await
        .map_err(StoreError::statement(OPERATION))?;
    let number = match known {
        // The same bytes signed twice are one attempt.
        Some(row) => get(&row, "number"),
        None => insert_attempt(sql, flight, &new.signed).await,
    };
    Ok(Recorded { flight, number: number.map_err(StoreError::statement(OPERATION))? })
}

/// Creates the flight, unless another write of this fence has just done so.
async fn first_of_nonce(
    sql: &mut PgConnection,
    lane: LaneKey,
    first: IntentId,
    new: &NewAttempt,
) -> Result<FlightId> {
    let intents = lock_intents(sql, &new.intents).await?;
    // Whoever bound them has committed: its flight shows now.
    if let Some(found) = flight_at(sql, lane, new.nonce).await? {
        return carries(sql, found, first, new).await;
    }
    for (id, of, state) in intents {
        if state != IntentState::Queued || of != lane {
            let (found, operation) = (state.as_str(), OPERATION);
            return Err(StoreError::WrongIntentState { id, found, operation });
        }
    }
    let created = create_flight(sql, lane, new.nonce, &new.intents).await?;
    created.ok_or(StoreError::NonceTaken { id: first, nonce: new.nonce })
}

/// The flight, if it is waiting for a block and carries exactly the attempt's intents.
async fn carries(
    sql: &mut PgConnection,
    (flight, state): (FlightId, FlightState),
    first: IntentId,
    new: &NewAttempt,
) -> Result<FlightId> {
    if items_of(sql, flight).await? != new.intents {
        return Err(StoreError::NonceTaken { id: first, nonce: new.nonce });
    }
    if state != FlightState::InFlight {
        let (found, operation) = (state.as_str(), OPERATION);
        return Err(StoreError::WrongIntentState { id: first, found, operation });
    }
    Ok(flight)
}

/// The intents' lanes and states, in the order asked for; nobody else changes them until the
/// transaction ends.
async fn lock_intents(
    sql: &mut PgConnection,
    intents: &[IntentId],
) -> Result<Vec<(IntentId, LaneKey, IntentState)>> {
    let lock = async {
        let rows = sqlx::query(
            "SELECT id, chain_id, sender, state FROM intents WHERE id = ANY($1)
             ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(ids(intents)?)
        .fetch_all(sql)
        .await?;
        let read = |row: PgRow| {
            let lane = LaneKey { chain_id: get(&row, "chain_id")?, sender: get(&row, "sender")? };
            Ok((IntentId(get(&row, "id")?), (lane, row.try_get("state")?)))
        };
        rows.into_iter().map(read).collect::<sqlx::Result<HashMap<_, _>>>()
    };
    let found = lock.await.map_err(StoreError::statement(OPERATION))?;
    let of = |id: &IntentId| {
        let (lane, state) = found.get(id).ok_or(StoreError::UnknownIntent(*id))?;
        Ok((*id, *lane, *state))
    };
    intents.iter().map(of).collect()
}

async fn insert_attempt(
    sql: &mut PgConnection,
    flight: FlightId,
    signed: &Signed,
) -> sqlx::Result<u32> {
    sqlx::query(
        "INSERT INTO attempts (flight_id, number, tx_hash, raw, voids, gas_limit, max_fee,
                               priority_fee, rollup_fee, signed_at)
         SELECT $1, coalesce(max(number) + 1, 0), $2, $3, $4, $5, $6, $7, $8, $9
         FROM attempts WHERE flight_id = $1
         RETURNING number",
    )
    .bind(Sql(flight.0))
    .bind(Sql(signed.tx_hash))
    .bind(Sql(signed.raw.clone()))
    .bind(signed.voids)
    .bind(Sql(signed.gas_limit))
    .bind(Sql(signed.max_fee))
    .bind(signed.priority_fee.map(Sql))
    .bind(Sql(signed.rollup_fee))
    .bind(Sql(signed.signed_at))
    .fetch_one(sql)
    .await
    .and_then(|row| get(&row, "number"))
}

/// Notes how broadcasts went. Says nothing about the transactions' fate.
pub(super) async fn note_broadcasts(sql: &mut PgConnection, notes: &[BroadcastNote]) -> Result<()> {
    // In one order in every transaction: two that note the same attempts do not wait crosswise.
    let mut notes: Vec<_> = notes.iter().collect();
    notes.sort_by_key(|note| note.tx_hash);
    for note in notes {
        sqlx::query("UPDATE attempts SET broadcast = $2, broadcast_detail = $3 WHERE tx_hash = $1")
            .bind(Sql(note.tx_hash))
            .bind(note.broadcast)
            .bind(&note.detail)
            .execute(&mut *sql)
            .await
            .map_err(StoreError::statement("note a broadcast"))?;
    }
    Ok(())
}

/// Attempts of an intent, oldest first, those at nonces it lost included.
pub(super) async fn attempts_of(sql: &mut PgConnection, intent: IntentId) -> Result<Vec<Attempt>> {
    let rows = sqlx::query(
        "SELECT attempts.*, flights.nonce FROM flight_items
         JOIN flights ON flights.id = flight_items.flight_id
         JOIN attempts ON attempts.flight_id = flights.id
         WHERE flight_items.intent_id = $1 ORDER BY attempts.id",
    )
    .bind(Sql(intent.0))
    .fetch_all(sql)
    .await;
    rows.and_then(|rows| rows.iter().map(read_attempt).collect())
        .map_err(StoreError::statement("list attempts"))
}

/// The mined attempts of a lane's final flights at these nonces, by nonce, at most 256.
pub(super) async fn mined_attempts(
    sql: &mut PgConnection,
    lane: LaneKey,
    nonces: &Range<u64>,
) -> Result<Vec<Attempt>> {
    let rows = sqlx::query(
        "SELECT attempts.*, flights.nonce FROM flights
         JOIN attempts ON attempts.flight_id = flights.id AND attempts.tx_hash = flights.tx_hash
         WHERE chain_id = $1 AND sender = $2 AND nonce >= $3 AND nonce < $4 AND state = 'final'
         ORDER BY nonce LIMIT 256",
    )
    .bind(Sql(lane.chain_id))
    .bind(Sql(lane.sender))
    .bind(Sql(nonces.start))
    .bind(Sql(nonces.end))
    .fetch_all(sql)
    .await;
    rows.and_then(|rows| rows.iter().map(read_attempt).collect())
        .map_err(StoreError::statement("read mined attempts"))
}

pub(super) fn read_attempt(row: &PgRow) -> sqlx::Result<Attempt> {
    Ok(Attempt {
        flight: FlightId(get(row, "flight_id")?),
        nonce: get(row, "nonce")?,
        number: get(row, "number")?,
        signed: Signed {
            tx_hash: get(row, "tx_hash")?,
            raw: get(row, "raw")?,
            voids: row.try_get("voids")?,
            gas_limit: get(row, "gas_limit")?,
            max_fee: get(row, "max_fee")?,
            priority_fee: get_option(row, "priority_fee")?,
            rollup_fee: get(row, "rollup_fee")?,
            signed_at: get(row, "signed_at")?,
        },
        broadcast: row.try_get("broadcast")?,
        broadcast_detail: row.try_get("broadcast_detail")?,
    })
}
