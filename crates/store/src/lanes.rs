//! Lanes: the ordered nonce sequence of one account on one chain, and who may act for it.

use core::time::Duration;

use capstan_base::{Address, ChainId};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::columns::{Sql, get};
use crate::error::{Result, StoreError};
use crate::flights::{OpenFlight, final_below, open_flights};
use crate::intents::{Intent, IntentId, read_intent};
use crate::store::Store;

/// Names a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// Chain.
    pub chain_id: ChainId,
    /// Account.
    pub sender: Address,
}

/// The right to act for a lane. Every write for the lane carries it, and is refused once another
/// engine has taken the lane: then the epoch is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lane.
    pub lane: LaneKey,
    /// Grows each time the lane changes hands.
    pub epoch: u64,
}

/// Everything an engine needs to go on with a lane after a restart, except the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneSnapshot {
    /// One above the highest nonce ever signed for; zero before the first.
    pub next_nonce: u64,
    /// Every nonce below this is used up in a final block.
    pub final_below: u64,
    /// Flights that are not over, by nonce.
    pub flights: Vec<OpenFlight>,
}

impl Store {
    /// Lanes that have an intent which is not yet final or failed.
    pub async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        self.read("list lanes", |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT chain_id, sender FROM intents WHERE state = 'queued'
                     UNION SELECT chain_id, sender FROM intents WHERE state = 'in_flight'",
                )?;
                let rows = rows.query_map([], |row| {
                    Ok(LaneKey { chain_id: get(row, "chain_id")?, sender: get(row, "sender")? })
                })?;
                rows.collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("list lanes"))
        })
        .await
    }

    /// One consistent picture of a lane.
    pub async fn lane_snapshot(&self, lane: LaneKey) -> Result<LaneSnapshot> {
        self.read("read a lane", move |sql| {
            Ok(LaneSnapshot {
                next_nonce: next_nonce(sql, lane)?.unwrap_or(0),
                final_below: final_below(sql, lane)?,
                flights: open_flights(sql, lane)?,
            })
        })
        .await
    }

    /// Queued intents of a lane after an id, oldest first.
    pub async fn queued(
        &self,
        lane: LaneKey,
        after: Option<IntentId>,
        limit: u32,
    ) -> Result<Vec<Intent>> {
        self.read("read a lane's queue", move |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT * FROM intents_seen
                     WHERE chain_id = ?1 AND sender = ?2 AND state = 'queued' AND id > ?3
                     ORDER BY id LIMIT ?4",
                )?;
                let after = Sql(after.map_or(0, |id| id.0));
                rows.query_map((Sql(lane.chain_id), Sql(lane.sender), after, limit), read_intent)?
                    .collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("read a lane's queue"))
        })
        .await
    }
}

/// Takes the lane if it is free, if its lease is over, or if `owner` has it already.
pub(crate) fn acquire(
    sql: &Connection,
    lane: LaneKey,
    owner: &str,
    lease: Duration,
) -> Result<Option<Fence>> {
    sql.prepare_cached(
        "INSERT INTO lanes (chain_id, sender, next_nonce, owner, epoch, lease_until)
         VALUES (:chain_id, :sender, 0, :owner, 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) + :lease)
         ON CONFLICT (chain_id, sender) DO UPDATE
         SET owner = excluded.owner, epoch = epoch + 1, lease_until = excluded.lease_until
         WHERE lease_until IS NULL OR owner = excluded.owner
            OR lease_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
         RETURNING epoch",
    )
    .and_then(|mut acquire| {
        acquire
            .query_row(
                named_params! {
                    ":chain_id": Sql(lane.chain_id),
                    ":sender": Sql(lane.sender),
                    ":owner": owner,
                    ":lease": Sql(millis(lease)),
                },
                |row| get(row, "epoch"),
            )
            .optional()
    })
    .map(|epoch| epoch.map(|epoch| Fence { lane, epoch }))
    .map_err(StoreError::statement("take a lane"))
}

/// Prolongs the lease; false if another engine has taken the lane.
pub(crate) fn renew(sql: &Connection, fence: Fence, lease: Duration) -> Result<bool> {
    sql.prepare_cached(
        "UPDATE lanes SET lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
         WHERE chain_id = ?1 AND sender = ?2 AND epoch = ?3 AND lease_until IS NOT NULL",
    )
    .and_then(|mut renew| {
        let Fence { lane, epoch } = fence;
        renew.execute((Sql(lane.chain_id), Sql(lane.sender), Sql(epoch), Sql(millis(lease))))
    })
    .map(|rows| rows == 1)
    .map_err(StoreError::statement("renew a lease"))
}

/// Frees the lane, if it is still this fence's.
pub(crate) fn release(sql: &Connection, fence: Fence) -> Result<()> {
    sql.prepare_cached(
        "UPDATE lanes SET lease_until = NULL, owner = NULL
         WHERE chain_id = ?1 AND sender = ?2 AND epoch = ?3",
    )
    .and_then(|mut release| {
        let Fence { lane, epoch } = fence;
        release.execute((Sql(lane.chain_id), Sql(lane.sender), Sql(epoch)))
    })
    .map(|_| ())
    .map_err(StoreError::statement("release a lane"))
}

/// Frees every lane. Only for the one process that has the file to itself: whoever held a lease
/// before it is dead.
pub(crate) fn release_all(sql: &Connection) -> rusqlite::Result<()> {
    sql.execute("UPDATE lanes SET lease_until = NULL, owner = NULL", []).map(|_| ())
}

/// Refuses a fence whose lane has changed hands.
pub(crate) fn check_fence(sql: &Connection, fence: Fence) -> Result<()> {
    let Fence { lane, epoch } = fence;
    let is_current = sql
        .prepare_cached(
            "SELECT 1 FROM lanes WHERE chain_id = ?1 AND sender = ?2 AND epoch = ?3
                                   AND lease_until IS NOT NULL",
        )
        .and_then(|mut rows| rows.exists((Sql(lane.chain_id), Sql(lane.sender), Sql(epoch))))
        .map_err(StoreError::statement("check a lease"))?;
    if is_current { Ok(()) } else { Err(StoreError::Fenced { lane }) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn next_nonce(sql: &Connection, lane: LaneKey) -> Result<Option<u64>> {
    sql.prepare_cached("SELECT next_nonce FROM lanes WHERE chain_id = ?1 AND sender = ?2")
        .and_then(|mut rows| {
            rows.query_row((Sql(lane.chain_id), Sql(lane.sender)), |row| get(row, "next_nonce"))
                .optional()
        })
        .map_err(StoreError::statement("read a lane"))
}

/// Raises the lane's next nonce above `nonce`; never lowers it.
pub(crate) fn use_nonce(sql: &Connection, lane: LaneKey, nonce: u64) -> rusqlite::Result<usize> {
    sql.prepare_cached(
        "UPDATE lanes SET next_nonce = max(next_nonce, :next)
         WHERE chain_id = :chain_id AND sender = :sender",
    )?
    .execute(named_params! {
        ":chain_id": Sql(lane.chain_id),
        ":sender": Sql(lane.sender),
        ":next": Sql(nonce.saturating_add(1)),
    })
}
