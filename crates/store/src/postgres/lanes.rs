//! Lanes: who may act for each, and why a take-over cannot fall between a check and its commit.
//!
//! A write of a lane begins by reading the lane's row at its own epoch, `FOR KEY SHARE`. A take-over
//! begins by locking the row `FOR UPDATE`, the one lock that does not go together with that one.
//! Both last until the end of their transactions. So, whichever comes first:
//!
//! - the write has its lock: the take-over waits until the write has committed or is undone, and
//!   whoever takes the lane then reads it with the write in it;
//! - the take-over has its lock: the write waits, and READ COMMITTED then reads the row again as it
//!   has become: the epoch is another's, no row is left, and the write is refused.
//!
//! Renewing and releasing touch no key and change no epoch; they go together with `FOR KEY SHARE`,
//! and neither waits for the other. A writer that stands still with its lock is ended by
//! `idle_in_transaction_session_timeout`, its transaction undone, so a take-over waits seconds at most.
//! Every time is the server's: `unix_millis()`, taken after the lock.

use core::time::Duration;

use capstan_base::{Address, ChainId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::columns::get;
use super::flights::{final_below, next_nonce, open_flights};
use super::intents::read_intent;
use crate::columns::Sql;
use crate::error::{Result, StoreError};
use crate::intents::{Intent, IntentId};
use crate::lanes::{Fence, LaneKey, LaneSnapshot};

/// Takes the lane if it is free, if its lease is over, or if `owner` has it already.
pub(super) async fn acquire(
    sql: &mut PgConnection,
    (lane, owner, lease): &(LaneKey, String, Duration),
) -> Result<Option<Fence>> {
    const OPERATION: &str = "take a lane";
    // Looking first keeps those who only wait for their turn from locking the row.
    let free = sqlx::query(
        "SELECT 1 FROM lanes
         WHERE chain_id = $1 AND sender = $2
           AND (lease_until IS NULL OR owner = $3 OR lease_until <= unix_millis())
         FOR UPDATE",
    )
    .bind(Sql(lane.chain_id))
    .bind(Sql(lane.sender))
    .bind(owner)
    .fetch_optional(&mut *sql)
    .await
    .map_err(StoreError::statement(OPERATION))?;
    let statement = match free {
        Some(_) => {
            "UPDATE lanes SET owner = $3, epoch = epoch + 1, lease_until = unix_millis() + $4
             WHERE chain_id = $1 AND sender = $2 RETURNING epoch"
        }
        // Held by another, unless nobody has ever had it.
        None => {
            "INSERT INTO lanes (chain_id, sender, owner, epoch, lease_until)
             VALUES ($1, $2, $3, 1, unix_millis() + $4)
             ON CONFLICT (chain_id, sender) DO NOTHING RETURNING epoch"
        }
    };
    sqlx::query(statement)
        .bind(Sql(lane.chain_id))
        .bind(Sql(lane.sender))
        .bind(owner)
        .bind(Sql(millis(*lease)))
        .fetch_optional(sql)
        .await
        .and_then(|row| row.map(|row| get(&row, "epoch")).transpose())
        .map(|epoch| epoch.map(|epoch| Fence { lane: *lane, epoch }))
        .map_err(StoreError::statement(OPERATION))
}

/// Prolongs the lease; false if another engine has taken the lane.
pub(super) async fn renew(
    sql: &mut PgConnection,
    (fence, lease): &(Fence, Duration),
) -> Result<bool> {
    sqlx::query(
        "UPDATE lanes SET lease_until = unix_millis() + $4
         WHERE chain_id = $1 AND sender = $2 AND epoch = $3 AND lease_until IS NOT NULL",
    )
    .bind(Sql(fence.lane.chain_id))
    .bind(Sql(fence.lane.sender))
    .bind(Sql(fence.epoch))
    .bind(Sql(millis(*lease)))
    .execute(sql)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::statement("renew a lease"))
}

/// Frees the lane, if it is still this fence's.
pub(super) async fn release(sql: &mut PgConnection, fence: &Fence) -> Result<()> {
    sqlx::query(
        "UPDATE lanes SET lease_until = NULL, owner = NULL
         WHERE chain_id = $1 AND sender = $2 AND epoch = $3",
    )
    .bind(Sql(fence.lane.chain_id))
    .bind(Sql(fence.lane.sender))
    .bind(Sql(fence.epoch))
    .execute(sql)
    .await
    .map(drop)
    .map_err(StoreError::statement("release a lane"))
}

/// Refuses a fence whose lane has changed hands, and keeps it from changing hands until the
/// transaction ends.
pub(super) async fn check_fence(sql: &mut PgConnection, fence: Fence) -> Result<()> {
    let current = sqlx::query(
        "SELECT 1 FROM lanes
         WHERE chain_id = $1 AND sender = $2 AND epoch = $3 AND lease_until IS NOT NULL
         FOR KEY SHARE",
    )
    .bind(Sql(fence.lane.chain_id))
    .bind(Sql(fence.lane.sender))
    .bind(Sql(fence.epoch))
    .fetch_optional(sql)
    .await
    .map_err(StoreError::statement("check a lease"))?;
    current.map(drop).ok_or(StoreError::Fenced { lane: fence.lane })
}

/// Lanes that have an intent which is not yet final or failed.
pub(super) async fn open_lanes(sql: &mut PgConnection) -> Result<Vec<LaneKey>> {
    let statement = sqlx::query(
        "SELECT chain_id, sender FROM intents WHERE state = 'queued'
         UNION SELECT chain_id, sender FROM intents WHERE state = 'in_flight'
         ORDER BY chain_id, sender",
    );
    let rows = statement.fetch_all(sql).await;
    rows.and_then(|rows| rows.iter().map(read_lane).collect())
        .map_err(StoreError::statement("list lanes"))
}

/// What an engine needs to go on with a lane. The caller gives one picture of the database.
pub(super) async fn snapshot(sql: &mut PgConnection, lane: LaneKey) -> Result<LaneSnapshot> {
    Ok(LaneSnapshot {
        next_nonce: next_nonce(sql, lane).await?,
        final_below: final_below(sql, lane).await?,
        flights: open_flights(sql, lane).await?,
    })
}

/// Queued intents of a lane after an id, oldest first, none of those before the newest missing.
///
/// Ids are drawn before the commit that shows them, so a newer intent may be seen before an older
/// one, and whoever goes on after the newer one would never see the older. Each submission
/// therefore holds the lane's queue lock in shared mode from before it draws its id to its end, and
/// this waits for those under way. It costs one commit's time, and submissions do not wait for
/// each other.
///
/// `FOR UPDATE SKIP LOCKED` would mean nothing here: it lets rival takers each take other rows, and
/// a lane has one taker, who holds the lease; rows it skipped would be passed over.
pub(super) async fn queued(
    sql: &mut PgConnection,
    (lane, after, limit): &(LaneKey, Option<IntentId>, u32),
) -> Result<Vec<Intent>> {
    const OPERATION: &str = "read a lane's queue";
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(queue_lock(*lane))
        .execute(&mut *sql)
        .await
        .map_err(StoreError::statement(OPERATION))?;
    let rows = sqlx::query(
        "SELECT * FROM intents_seen
         WHERE chain_id = $1 AND sender = $2 AND state = 'queued' AND id > $3
         ORDER BY id LIMIT $4",
    )
    .bind(Sql(lane.chain_id))
    .bind(Sql(lane.sender))
    .bind(Sql(after.map_or(0, |id| id.0)))
    .bind(Sql(*limit))
    .fetch_all(sql)
    .await;
    rows.and_then(|rows| rows.iter().map(read_intent).collect())
        .map_err(StoreError::statement(OPERATION))
}

/// Keeps [`queued`] from reading the lane until the transaction ends.
pub(super) async fn hold_queue(sql: &mut PgConnection, lane: LaneKey) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(queue_lock(lane))
        .execute(sql)
        .await
        .map(drop)
}

/// Number of the lane's queue lock. Two lanes with one number would only wait for each other.
fn queue_lock(lane: LaneKey) -> i64 {
    let mut name = lane.chain_id.0.to_be_bytes().to_vec();
    name.extend_from_slice(lane.sender.as_slice());
    let hash = alloy_primitives::keccak256(name);
    hash.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

fn read_lane(row: &PgRow) -> sqlx::Result<LaneKey> {
    Ok(LaneKey {
        chain_id: get::<ChainId>(row, "chain_id")?,
        sender: get::<Address>(row, "sender")?,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
