//! Flights: one nonce each, the intents its transaction carries, and how far it has come.

use std::collections::HashMap;

use capstan_base::{Address, B256, ChainId};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::attempts::read_attempt;
use super::columns::{get, get_option};
use super::intents::read_intent;
use crate::attempts::Attempt;
use crate::columns::Sql;
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, FlightState, OpenFlight};
use crate::intents::{Inclusion, Intent, IntentId};
use crate::lanes::LaneKey;

/// State of a flight and the lane it is of. Nobody else changes it until the transaction ends.
pub(super) async fn flight_state(
    sql: &mut PgConnection,
    id: FlightId,
) -> Result<Option<(LaneKey, FlightState)>> {
    let read = |row: PgRow| {
        let chain_id = get::<ChainId>(&row, "chain_id")?;
        let sender = get::<Address>(&row, "sender")?;
        Ok((LaneKey { chain_id, sender }, row.try_get("state")?))
    };
    sqlx::query("SELECT chain_id, sender, state FROM flights WHERE id = $1 FOR NO KEY UPDATE")
        .bind(Sql(id.0))
        .fetch_optional(sql)
        .await
        .and_then(|row| row.map(read).transpose())
        .map_err(StoreError::statement("read a flight"))
}

/// The flight that has a nonce, lost ones left out. Nobody else changes it until the transaction
/// ends.
pub(super) async fn flight_at(
    sql: &mut PgConnection,
    lane: LaneKey,
    nonce: u64,
) -> Result<Option<(FlightId, FlightState)>> {
    sqlx::query(
        "SELECT id, state FROM flights
         WHERE chain_id = $1 AND sender = $2 AND nonce = $3 AND state <> 'lost'
         FOR NO KEY UPDATE",
    )
    .bind(Sql(lane.chain_id))
    .bind(Sql(lane.sender))
    .bind(Sql(nonce))
    .fetch_optional(sql)
    .await
    .and_then(|row| {
        row.map(|row| Ok((FlightId(get(&row, "id")?), row.try_get("state")?))).transpose()
    })
    .map_err(StoreError::statement("read a flight"))
}

/// Intents a flight carries, in order.
pub(super) async fn items_of(sql: &mut PgConnection, flight: FlightId) -> Result<Vec<IntentId>> {
    let rows =
        sqlx::query("SELECT intent_id FROM flight_items WHERE flight_id = $1 ORDER BY position")
            .bind(Sql(flight.0))
            .fetch_all(sql)
            .await;
    rows.and_then(|rows| rows.iter().map(|row| get(row, "intent_id").map(IntentId)).collect())
        .map_err(StoreError::statement("read what a flight carries"))
}

/// Creates a flight at a nonce and binds the intents to it, all queued until now and locked.
/// `None` if another transaction has just created one there.
pub(super) async fn create_flight(
    sql: &mut PgConnection,
    lane: LaneKey,
    nonce: u64,
    intents: &[IntentId],
) -> Result<Option<FlightId>> {
    const OPERATION: &str = "bind intents to a nonce";
    let row = sqlx::query(
        "INSERT INTO flights (chain_id, sender, nonce, items) VALUES ($1, $2, $3, $4)
         ON CONFLICT (chain_id, sender, nonce) WHERE state <> 'lost' DO NOTHING RETURNING id",
    )
    .bind(Sql(lane.chain_id))
    .bind(Sql(lane.sender))
    .bind(Sql(nonce))
    .bind(Sql(u32::try_from(intents.len()).unwrap_or(u32::MAX)))
    .fetch_optional(&mut *sql)
    .await
    .map_err(StoreError::statement(OPERATION))?;
    let Some(row) = row else { return Ok(None) };
    let bind = async {
        let id: u64 = get(&row, "id")?;
        let intents = ids(intents)?;
        sqlx::query(
            "INSERT INTO flight_items (flight_id, position, intent_id)
             SELECT $1, position - 1, id FROM unnest($2) WITH ORDINALITY AS item (id, position)",
        )
        .bind(Sql(id))
        .bind(&intents)
        .execute(&mut *sql)
        .await?;
        sqlx::query(
            "UPDATE intents SET state = 'in_flight', flight_id = $2, updated_at = unix_seconds()
             WHERE id = ANY($1)",
        )
        .bind(&intents)
        .bind(Sql(id))
        .execute(&mut *sql)
        .await?;
        Ok(Some(FlightId(id)))
    };
    bind.await.map_err(StoreError::statement::<sqlx::Error>(OPERATION))
}

/// Ids as an array parameter.
pub(super) fn ids(intents: &[IntentId]) -> sqlx::Result<Vec<i64>> {
    let ids = intents.iter().map(|id| i64::try_from(id.0));
    ids.collect::<Result<_, _>>().map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Sets where a flight stands, and where it was mined if it was.
pub(super) async fn set_flight(
    sql: &mut PgConnection,
    id: FlightId,
    state: FlightState,
    inclusion: Option<&Inclusion>,
) -> Result<()> {
    sqlx::query(
        "UPDATE flights
         SET state = $2, tx_hash = $3, block_number = $4, block_hash = $5, gas_used = $6,
             effective_gas_price = $7, rollup_fee = $8, success = $9, updated_at = unix_seconds()
         WHERE id = $1",
    )
    .bind(Sql(id.0))
    .bind(state)
    .bind(inclusion.map(|mined| Sql(mined.tx_hash)))
    .bind(inclusion.map(|mined| Sql(mined.block_number)))
    .bind(inclusion.map(|mined| Sql(mined.block_hash)))
    .bind(inclusion.map(|mined| Sql(mined.gas_used)))
    .bind(inclusion.map(|mined| Sql(mined.effective_gas_price)))
    .bind(inclusion.map(|mined| Sql(mined.rollup_fee)))
    .bind(inclusion.map(|mined| mined.success))
    .execute(sql)
    .await
    .map(drop)
    .map_err(StoreError::statement("record where a flight stands"))
}

/// One above the highest nonce ever signed for; zero before the first.
pub(super) async fn next_nonce(sql: &mut PgConnection, lane: LaneKey) -> Result<u64> {
    highest(
        sql,
        lane,
        "SELECT max(nonce) AS nonce FROM flights WHERE chain_id = $1 AND sender = $2",
    )
    .await
}

/// Every nonce below is used up in a final block.
pub(super) async fn final_below(sql: &mut PgConnection, lane: LaneKey) -> Result<u64> {
    highest(
        sql,
        lane,
        "SELECT max(nonce) AS nonce FROM flights
         WHERE chain_id = $1 AND sender = $2 AND state = 'final'",
    )
    .await
}

async fn highest(sql: &mut PgConnection, lane: LaneKey, query: &'static str) -> Result<u64> {
    sqlx::query(query)
        .bind(Sql(lane.chain_id))
        .bind(Sql(lane.sender))
        .fetch_one(sql)
        .await
        .and_then(|row| get_option::<u64>(&row, "nonce"))
        .map(|nonce| nonce.map_or(0, |nonce| nonce.saturating_add(1)))
        .map_err(StoreError::statement("read a lane"))
}

/// Flights of a lane that are not over.
pub(super) async fn open_flights(sql: &mut PgConnection, lane: LaneKey) -> Result<Vec<OpenFlight>> {
    const OPEN: &str = "chain_id = $1 AND sender = $2 AND state IN ('in_flight', 'included')";
    let read = async {
        let rows = async |query: String, sql: &mut PgConnection| {
            sqlx::query(sqlx::AssertSqlSafe(query))
                .bind(Sql(lane.chain_id))
                .bind(Sql(lane.sender))
                .fetch_all(sql)
                .await
        };
        let flights =
            rows(format!("SELECT * FROM flights WHERE {OPEN} ORDER BY nonce"), &mut *sql).await?;
        let of_open = format!("flight_id IN (SELECT id FROM flights WHERE {OPEN})");
        let mut intents: HashMap<FlightId, Vec<Intent>> = HashMap::new();
        let items = format!(
            "SELECT intents_seen.*, item.flight_id AS carried_by
             FROM (SELECT * FROM flight_items WHERE {of_open}) AS item
             JOIN intents_seen ON intents_seen.id = item.intent_id
             ORDER BY item.flight_id, position"
        );
        for row in &rows(items, &mut *sql).await? {
            let carried_by = FlightId(get(row, "carried_by")?);
            intents.entry(carried_by).or_default().push(read_intent(row)?);
        }
        let mut attempts: HashMap<FlightId, Vec<Attempt>> = HashMap::new();
        let made = format!(
            "SELECT attempt.*, flights.nonce
             FROM (SELECT * FROM attempts WHERE {of_open}) AS attempt
             JOIN flights ON flights.id = attempt.flight_id ORDER BY flight_id, number"
        );
        for row in &rows(made, &mut *sql).await? {
            let attempt = read_attempt(row)?;
            attempts.entry(attempt.flight).or_default().push(attempt);
        }
        let open = |row: &PgRow| {
            let id = FlightId(get(row, "id")?);
            Ok(OpenFlight {
                id,
                nonce: get(row, "nonce")?,
                intents: intents.remove(&id).unwrap_or_default(),
                attempts: attempts.remove(&id).unwrap_or_default(),
                inclusion: read_inclusion(row, "success")?,
            })
        };
        flights.iter().map(open).collect::<sqlx::Result<_>>()
    };
    read.await.map_err(StoreError::statement::<sqlx::Error>("read a lane"))
}

/// Where something was mined; `None` while it is not.
pub(super) fn read_inclusion(row: &PgRow, success: &str) -> sqlx::Result<Option<Inclusion>> {
    let Some(block_hash) = get_option::<B256>(row, "block_hash")? else { return Ok(None) };
    Ok(Some(Inclusion {
        tx_hash: get(row, "tx_hash")?,
        block_number: get(row, "block_number")?,
        block_hash,
        gas_used: get(row, "gas_used")?,
        effective_gas_price: get(row, "effective_gas_price")?,
        rollup_fee: get(row, "rollup_fee")?,
        success: row.try_get(success)?,
    }))
}
