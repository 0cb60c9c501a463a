//! Intents: submitted once per key, from whichever machine.

use alloy_primitives::Bytes;
use capstan_base::U256;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Executor, Row};

use super::columns::{get, get_option};
use super::flights::read_inclusion;
use super::lanes::hold_queue;
use crate::columns::Sql;
use crate::error::{Result, StoreError};
use crate::flights::FlightId;
use crate::intents::{
    Failure, FailureCode, HistoryRow, Inclusion, Intent, IntentFilter, IntentId, IntentOutcome,
    Limits, NewIntent, PAGE, Place,
};
use crate::lanes::LaneKey;

/// Checks the key and inserts, within the caller's transaction.
pub(super) async fn insert_intent(
    sql: &mut PgConnection,
    request: &NewIntent,
) -> Result<IntentOutcome> {
    const OPERATION: &str = "submit an intent";
    let lane = LaneKey { chain_id: request.chain_id, sender: request.sender };
    let created = insert_new(sql, lane, request).await.map_err(StoreError::statement(OPERATION))?;
    if let Some(id) = created {
        return Ok(IntentOutcome::Created(id));
    }
    // Whoever has the key has committed: the insertion waited for it.
    let existing = find_by_key(sql, &request.idempotency_key)
        .await?
        .ok_or_else(|| StoreError::statement(OPERATION)(sqlx::Error::RowNotFound))?;
    if existing.request == *request {
        Ok(IntentOutcome::Existing(existing.id))
    } else {
        let key = request.idempotency_key.clone();
        Err(StoreError::KeyConflict { key, existing: existing.id })
    }
}

/// `None` if the key is taken.
async fn insert_new(
    sql: &mut PgConnection,
    lane: LaneKey,
    request: &NewIntent,
) -> sqlx::Result<Option<IntentId>> {
    hold_queue(sql, lane).await?;
    let row = sqlx::query(
        "INSERT INTO intents (idempotency_key, chain_id, sender, recipient, value, data, gas_limit,
                              max_cost, worth, repeat_safe, not_before, deadline, own_code, label)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (idempotency_key) DO NOTHING RETURNING id",
    )
    .bind(&request.idempotency_key)
    .bind(Sql(request.chain_id))
    .bind(Sql(request.sender))
    .bind(Sql(request.to))
    .bind(Sql(request.value))
    .bind(Sql(request.data.clone()))
    .bind(request.gas_limit.map(Sql))
    .bind(request.max_cost.map(Sql))
    .bind(request.worth.map(Sql))
    .bind(request.repeat_safe)
    .bind(request.not_before.map(Sql))
    .bind(request.deadline.map(Sql))
    .bind(request.own_code.map(Sql))
    .bind(&request.label)
    .fetch_optional(sql)
    .await?;
    row.map(|row| get(&row, "id").map(IntentId)).transpose()
}

/// Looks an intent up.
pub(super) async fn find_intent(sql: &mut PgConnection, id: IntentId) -> Result<Option<Intent>> {
    sqlx::query("SELECT * FROM intents_seen WHERE id = $1")
        .bind(Sql(id.0))
        .fetch_optional(sql)
        .await
        .and_then(|row| row.as_ref().map(read_intent).transpose())
        .map_err(StoreError::statement("read an intent"))
}

/// Looks an intent up by its key.
pub(super) async fn find_by_key(sql: &mut PgConnection, key: &str) -> Result<Option<Intent>> {
    sqlx::query("SELECT * FROM intents_seen WHERE idempotency_key = $1")
        .bind(key)
        .fetch_optional(sql)
        .await
        .and_then(|row| row.as_ref().map(read_intent).transpose())
        .map_err(StoreError::statement("read an intent"))
}

/// Lists intents, oldest first.
pub(super) async fn list_intents(
    sql: &mut PgConnection,
    filter: &IntentFilter,
) -> Result<Vec<Intent>> {
    let rows = sqlx::query(
        "SELECT * FROM intents_seen
         WHERE ($1 IS NULL OR chain_id = $1) AND ($2 IS NULL OR sender = $2)
           AND ($3 IS NULL OR stands = $3) AND id > $4
         ORDER BY id LIMIT $5",
    )
    .bind(filter.chain_id.map(Sql))
    .bind(filter.sender.map(Sql))
    .bind(filter.state)
    .bind(Sql(filter.after.map_or(0, |id| id.0)))
    .bind(Sql(filter.limit.unwrap_or(PAGE)))
    .fetch_all(sql)
    .await;
    rows.and_then(|rows| rows.iter().map(read_intent).collect())
        .map_err(StoreError::statement("list intents"))
}

/// Writes limits to those intents that are queued; gives how many that are.
pub(super) async fn limit_queued(sql: &mut PgConnection, limits: &[Limits]) -> Result<usize> {
    let mut changed = 0_u64;
    for Limits { id, max_cost, worth } in limits {
        let update = sqlx::query(
            "UPDATE intents SET max_cost = $2, worth = $3 WHERE id = $1 AND state = 'queued'",
        );
        let rows = update
            .bind(Sql(id.0))
            .bind(max_cost.map(Sql))
            .bind(worth.map(Sql))
            .execute(&mut *sql)
            .await
            .map_err(StoreError::statement("change limits"))?;
        changed = changed.saturating_add(rows.rows_affected());
    }
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

/// What happened to an intent beside its attempts, oldest first.
pub(super) async fn history(sql: &mut PgConnection, id: IntentId) -> Result<Vec<HistoryRow>> {
    let rows = sqlx::query("SELECT at, what, detail FROM history WHERE intent_id = $1 ORDER BY id")
        .bind(Sql(id.0))
        .fetch_all(sql)
        .await;
    let read = |row: &PgRow| {
        Ok(HistoryRow {
            at: get(row, "at")?,
            what: row.try_get("what")?,
            detail: row.try_get("detail")?,
        })
    };
    rows.and_then(|rows| rows.iter().map(read).collect())
        .map_err(StoreError::statement("read an intent's history"))
}

/// Adds a line to the history, unless the last one is the same.
pub(super) async fn add_history(
    sql: &mut PgConnection,
    id: IntentId,
    what: &str,
    detail: &str,
) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO history (intent_id, what, detail)
         SELECT $1, $2, $3
         WHERE NOT EXISTS (
             SELECT 1 FROM (SELECT what, detail FROM history WHERE intent_id = $1
                            ORDER BY id DESC LIMIT 1) AS last
             WHERE last.what = $2 AND last.detail = $3)",
    );
    sql.execute(insert.bind(Sql(id.0)).bind(what).bind(detail))
        .await
        .map(drop)
        .map_err(StoreError::statement("note an event"))
}

/// Takes an intent off its flight.
pub(super) async fn requeue(sql: &mut PgConnection, id: IntentId) -> Result<()> {
    sqlx::query(
        "UPDATE intents SET state = 'queued', flight_id = NULL, updated_at = unix_seconds()
         WHERE id = $1",
    )
    .bind(Sql(id.0))
    .execute(sql)
    .await
    .map(drop)
    .map_err(StoreError::statement("queue an intent again"))
}

/// Adds to what an intent's failed transactions cost.
pub(super) async fn spend(sql: &mut PgConnection, id: IntentId, share: U256) -> Result<()> {
    let spend = async {
        let row = sqlx::query("SELECT spent FROM intents WHERE id = $1 FOR NO KEY UPDATE")
            .bind(Sql(id.0))
            .fetch_one(&mut *sql)
            .await?;
        let spent: U256 = get(&row, "spent")?;
        sqlx::query("UPDATE intents SET spent = $2 WHERE id = $1")
            .bind(Sql(id.0))
            .bind(Sql(spent.saturating_add(share)))
            .execute(&mut *sql)
            .await
            .map(drop)
    };
    spend.await.map_err(StoreError::statement::<sqlx::Error>("record what was spent"))
}

/// Ends an intent that a final flight carried.
pub(super) async fn end(sql: &mut PgConnection, id: IntentId, success: bool) -> Result<()> {
    sqlx::query(
        "UPDATE intents SET state = 'final', success = $2, updated_at = unix_seconds()
         WHERE id = $1",
    )
    .bind(Sql(id.0))
    .bind(success)
    .execute(sql)
    .await
    .map(drop)
    .map_err(StoreError::statement("record finality"))
}

/// Gives an intent up. False, and nothing done, if it is not queued.
pub(super) async fn fail(sql: &mut PgConnection, id: IntentId, failure: &Failure) -> Result<bool> {
    sqlx::query(
        "UPDATE intents SET state = 'failed', failure_code = $2, failure_detail = $3,
                            updated_at = unix_seconds()
         WHERE id = $1 AND state = 'queued'",
    )
    .bind(Sql(id.0))
    .bind(failure.code)
    .bind(&failure.detail)
    .execute(sql)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::statement("record a failure"))
}

pub(super) fn read_intent(row: &PgRow) -> sqlx::Result<Intent> {
    let success: Option<bool> = row.try_get("success")?;
    let inclusion = read_inclusion(row, "flight_success")?
        .map(|inclusion| Inclusion { success: success.unwrap_or(inclusion.success), ..inclusion });
    let place = match get_option(row, "flight_id")? {
        None => None,
        Some(flight) => Some(Place {
            flight: FlightId(flight),
            nonce: get(row, "nonce")?,
            items: get(row, "items")?,
        }),
    };
    let failure = match row.try_get::<Option<FailureCode>, _>("failure_code")? {
        None => None,
        Some(code) => Some(Failure { code, detail: row.try_get("failure_detail")? }),
    };
    Ok(Intent {
        id: IntentId(get(row, "id")?),
        request: NewIntent {
            idempotency_key: row.try_get("idempotency_key")?,
            chain_id: get(row, "chain_id")?,
            sender: get(row, "sender")?,
            to: get(row, "recipient")?,
            value: get(row, "value")?,
            data: get::<Bytes>(row, "data")?,
            gas_limit: get_option(row, "gas_limit")?,
            max_cost: get_option(row, "max_cost")?,
            worth: get_option(row, "worth")?,
            repeat_safe: row.try_get("repeat_safe")?,
            not_before: get_option(row, "not_before")?,
            deadline: get_option(row, "deadline")?,
            own_code: get_option(row, "own_code")?,
            label: row.try_get("label")?,
        },
        state: row.try_get("stands")?,
        place,
        inclusion,
        failure,
        spent: get(row, "spent")?,
        created_at: get(row, "created_at")?,
        updated_at: get(row, "updated_at")?,
    })
}
