//! Lanes: the ordered nonce sequence of one account on one chain.

use capstan_base::{Address, ChainId};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::attempts::{Attempt, attempts_of_open_intents};
use crate::columns::{Sql, get, get_option};
use crate::error::{Result, StoreError};
use crate::intents::{Intent, read_intent};
use crate::store::Store;

/// Names a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// Chain.
    pub chain_id: ChainId,
    /// Account.
    pub sender: Address,
}

/// Everything an engine needs to go on with a lane after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneSnapshot {
    /// One above the highest nonce ever signed for; zero before the first.
    pub next_nonce: u64,
    /// Every nonce below this is used up in a final block.
    pub final_below: u64,
    /// Queued, in-flight and included intents, oldest first.
    pub intents: Vec<Intent>,
    /// Attempts of those that are bound to a nonce, under that nonce, oldest first.
    pub attempts: Vec<Attempt>,
}

impl Store {
    /// Lanes that have an intent which is not yet final or failed.
    pub async fn open_lanes(&self) -> Result<Vec<LaneKey>> {
        self.read("list lanes", |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT DISTINCT chain_id, sender FROM intents
                     WHERE state IN ('queued', 'in_flight', 'included')",
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
                intents: open_intents(sql, lane)?,
                attempts: attempts_of_open_intents(sql, lane)?,
            })
        })
        .await
    }
}

pub(crate) fn next_nonce(sql: &Connection, lane: LaneKey) -> Result<Option<u64>> {
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
        "INSERT INTO lanes (chain_id, sender, next_nonce)
         VALUES (:chain_id, :sender, :next)
         ON CONFLICT (chain_id, sender)
         DO UPDATE SET next_nonce = max(next_nonce, excluded.next_nonce)",
    )?
    .execute(named_params! {
        ":chain_id": Sql(lane.chain_id),
        ":sender": Sql(lane.sender),
        ":next": Sql(nonce.saturating_add(1)),
    })
}

fn final_below(sql: &Connection, lane: LaneKey) -> Result<u64> {
    sql.prepare_cached(
        "SELECT max(nonce) + 1 AS below FROM intents
         WHERE chain_id = ?1 AND sender = ?2 AND nonce IS NOT NULL AND state = 'final'",
    )
    .and_then(|mut rows| {
        rows.query_row((Sql(lane.chain_id), Sql(lane.sender)), |row| get_option(row, "below"))
    })
    .map(|below| below.unwrap_or(0))
    .map_err(StoreError::statement("read a lane"))
}

fn open_intents(sql: &Connection, lane: LaneKey) -> Result<Vec<Intent>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT * FROM intents
             WHERE chain_id = ?1 AND sender = ?2 AND state IN ('queued', 'in_flight', 'included')
             ORDER BY id",
        )?;
        let rows = rows.query_map((Sql(lane.chain_id), Sql(lane.sender)), read_intent)?;
        rows.collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("read a lane"))
}
