//! Attempts: signed transactions, stored before they are broadcast.

use alloy_primitives::Bytes;
use capstan_base::{B256, UnixSeconds};
use rusqlite::{Connection, Row, named_params};

use crate::columns::{Sql, get, get_option, text_enum};
use crate::error::{Result, StoreError};
use crate::intents::{IntentId, IntentState, find_intent};
use crate::lanes::{LaneKey, use_nonce};
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
    /// Intent it is for.
    pub intent: IntentId,
    /// Nonce it uses.
    pub nonce: u64,
    /// Its hash.
    pub tx_hash: B256,
    /// EIP-2718 bytes, ready to send.
    pub raw: Bytes,
    /// Gas limit.
    pub gas_limit: u64,
    /// Most wei per gas; the gas price of a legacy transaction.
    pub max_fee: u128,
    /// Most wei per gas to the block's producer; `None` for a legacy transaction.
    pub priority_fee: Option<u128>,
    /// When it was signed.
    pub signed_at: UnixSeconds,
}

/// An attempt as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was signed.
    pub signed: NewAttempt,
    /// Which attempt at this nonce, from zero.
    pub number: u32,
    /// What is known of its broadcast.
    pub broadcast: Broadcast,
    /// The node's words about it, if any.
    pub broadcast_detail: Option<String>,
}

impl Store {
    /// Attempts of an intent, oldest first, those at nonces it lost included.
    pub async fn attempts(&self, intent: IntentId) -> Result<Vec<Attempt>> {
        self.read("list attempts", move |sql| {
            let rows = || {
                let mut rows =
                    sql.prepare_cached("SELECT * FROM attempts WHERE intent_id = ?1 ORDER BY id")?;
                let rows = rows.query_map([Sql(intent.0)], read_attempt)?;
                rows.collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("list attempts"))
        })
        .await
    }
}

/// Stores an attempt and, with it, binds the intent to the nonce and moves the lane past it.
///
/// Refused if the intent is bound to another nonce or the nonce to another intent. An attempt with
/// a known hash is the same attempt, and its number is returned.
pub(crate) fn record_attempt(sql: &Connection, new: &NewAttempt) -> Result<u32> {
    const OPERATION: &str = "record an attempt";
    let Some(intent) = find_intent(sql, new.intent)? else {
        return Err(StoreError::UnknownIntent(new.intent));
    };
    let lane = LaneKey { chain_id: intent.request.chain_id, sender: intent.request.sender };
    match (intent.state, intent.nonce) {
        (IntentState::Queued, None) => bind(sql, lane, new)?,
        (IntentState::InFlight, Some(nonce)) if nonce == new.nonce => {}
        (state, _) => {
            return Err(StoreError::WrongIntentState {
                id: new.intent,
                found: state.as_str(),
                operation: OPERATION,
            });
        }
    }
    let insert = || {
        use_nonce(sql, lane, new.nonce)?;
        sql.prepare_cached(
            "INSERT INTO attempts (intent_id, chain_id, sender, nonce, attempt, tx_hash, raw,
                                   gas_limit, max_fee, priority_fee, signed_at)
             SELECT :intent, :chain_id, :sender, :nonce, coalesce(max(attempt) + 1, 0), :tx_hash,
                    :raw, :gas_limit, :max_fee, :priority_fee, :signed_at
             FROM attempts WHERE chain_id = :chain_id AND sender = :sender AND nonce = :nonce
             -- The same bytes signed twice are one attempt.
             ON CONFLICT (tx_hash) DO UPDATE SET tx_hash = excluded.tx_hash
             RETURNING attempt",
        )?
        .query_row(
            named_params! {
                ":intent": Sql(new.intent.0),
                ":chain_id": Sql(lane.chain_id),
                ":sender": Sql(lane.sender),
                ":nonce": Sql(new.nonce),
                ":tx_hash": Sql(new.tx_hash),
                ":raw": Sql(new.raw.clone()),
                ":gas_limit": Sql(new.gas_limit),
                ":max_fee": Sql(new.max_fee),
                ":priority_fee": new.priority_fee.map(Sql),
                ":signed_at": Sql(new.signed_at),
            },
            |row| get(row, "attempt"),
        )
    };
    insert().map_err(StoreError::statement(OPERATION))
}

fn bind(sql: &Connection, lane: LaneKey, new: &NewAttempt) -> Result<()> {
    const OPERATION: &str = "bind an intent to a nonce";
    let taken: bool = sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM intents
                            WHERE chain_id = ?1 AND sender = ?2 AND nonce = ?3)",
        )
        .and_then(|mut rows| {
            rows.query_row((Sql(lane.chain_id), Sql(lane.sender), Sql(new.nonce)), |row| row.get(0))
        })
        .map_err(StoreError::statement(OPERATION))?;
    if taken {
        return Err(StoreError::NonceTaken { id: new.intent, nonce: new.nonce });
    }
    sql.prepare_cached(
        "UPDATE intents SET state = 'in_flight', nonce = ?2, updated_at = unixepoch()
         WHERE id = ?1",
    )
    .and_then(|mut update| update.execute((Sql(new.intent.0), Sql(new.nonce))))
    .map(|_| ())
    .map_err(StoreError::statement(OPERATION))
}

/// Notes how a broadcast went. Says nothing about the transaction's fate.
pub(crate) fn note_broadcast(
    sql: &Connection,
    tx_hash: B256,
    broadcast: Broadcast,
    detail: Option<&str>,
) -> Result<()> {
    sql.prepare_cached(
        "UPDATE attempts SET broadcast = ?2, broadcast_detail = ?3 WHERE tx_hash = ?1",
    )
    .and_then(|mut update| update.execute((Sql(tx_hash), broadcast, detail)))
    .map(|_| ())
    .map_err(StoreError::statement("note a broadcast"))
}

/// Attempts under the nonces a lane's intents are bound to now.
pub(crate) fn attempts_of_open_intents(sql: &Connection, lane: LaneKey) -> Result<Vec<Attempt>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT attempts.* FROM intents
             JOIN attempts ON attempts.intent_id = intents.id AND attempts.nonce = intents.nonce
             WHERE intents.chain_id = ?1 AND intents.sender = ?2
               AND intents.state IN ('in_flight', 'included')
             ORDER BY attempts.nonce, attempts.attempt",
        )?;
        let rows = rows.query_map((Sql(lane.chain_id), Sql(lane.sender)), read_attempt)?;
        rows.collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("read a lane"))
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        signed: NewAttempt {
            intent: IntentId(get(row, "intent_id")?),
            nonce: get(row, "nonce")?,
            tx_hash: get(row, "tx_hash")?,
            raw: get(row, "raw")?,
            gas_limit: get(row, "gas_limit")?,
            max_fee: get(row, "max_fee")?,
            priority_fee: get_option(row, "priority_fee")?,
            signed_at: get(row, "signed_at")?,
        },
        number: get(row, "attempt")?,
        broadcast: row.get("broadcast")?,
        broadcast_detail: row.get("broadcast_detail")?,
    })
}
