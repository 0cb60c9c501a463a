//! Intents: durable wishes to have one effect each on a chain.

use core::fmt;

use alloy_primitives::Bytes;
use capstan_base::{Address, B256, ChainId, U256, UnixSeconds};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

use crate::columns::{Sql, get, get_option, text_enum};
use crate::engine_store::EngineStore;
use crate::error::{Result, StoreError};
use crate::flights::{FlightId, read_inclusion};
use crate::lanes::LaneKey;
use crate::store::Store;

/// Names an intent; grows in order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub u64);

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_enum! {
    /// Where an intent stands.
    pub enum IntentState {
        /// Waiting for a nonce.
        Queued = "queued",
        /// Bound to a nonce, with at least one stored attempt.
        InFlight = "in_flight",
        /// An attempt is in a block that may still be reorganised away.
        Included = "included",
        /// An attempt is in a block that is final; `success` says whether it reverted.
        Final = "final",
        /// Given up before any attempt was made.
        Failed = "failed",
    }
}

text_enum! {
    /// Why an intent failed without an attempt.
    pub enum FailureCode {
        /// The chain says the call would revert.
        Reverted = "reverted",
        /// Its deadline passed before it was ever broadcast.
        DeadlinePassed = "deadline_passed",
        /// Every node refused its transaction for long; an empty one used the nonce up instead.
        Refused = "refused",
        /// Its effect is on the chain, final, and not by a transaction of its own.
        AlreadyDone = "already_done",
    }
}

/// What to have on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIntent {
    /// Same key, same intent: however often it is submitted, it has one effect.
    pub idempotency_key: String,
    /// Chain to act on.
    pub chain_id: ChainId,
    /// Account that sends; with the chain it names the lane.
    pub sender: Address,
    /// Contract or account called.
    pub to: Address,
    /// Native coin sent along, in wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// Gas limit; estimated if `None`.
    pub gas_limit: Option<u64>,
    /// Most that gas may cost, a rollup's own fee included, in wei: a hard limit, `value` not
    /// included. In a batch, of the intent's share.
    pub max_cost: Option<U256>,
    /// Wei the effect is worth: it waits for company or a lower price while its share of the cost
    /// is too much of it. `None`: it is wanted at any cost within `max_cost`.
    pub worth: Option<U256>,
    /// True if the chain itself refuses, or ignores, to do it twice, as the close of a session. It
    /// may then be sent at a new nonce before the old one's loss is final.
    pub repeat_safe: bool,
    /// Not sent before this chain time.
    pub not_before: Option<UnixSeconds>,
    /// Given up if not broadcast by this chain time. Stops nothing that was.
    pub deadline: Option<UnixSeconds>,
    /// Code the sender runs as its own from this transaction on (EIP-7702); the zero address ends that.
    pub own_code: Option<Address>,
    /// What it is for, in the caller's words.
    pub label: String,
}

impl NewIntent {
    /// One call from a lane's account, without limits, wanted at any cost.
    pub fn new(
        idempotency_key: impl Into<String>,
        lane: LaneKey,
        to: Address,
        value: U256,
        data: Bytes,
    ) -> Self {
        Self {
            idempotency_key: idempotency_key.into(),
            chain_id: lane.chain_id,
            sender: lane.sender,
            to,
            value,
            data,
            gas_limit: None,
            max_cost: None,
            worth: None,
            repeat_safe: false,
            not_before: None,
            deadline: None,
            own_code: None,
            label: String::new(),
        }
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentOutcome {
    /// New.
    Created(IntentId),
    /// The key was known, with the same payload.
    Existing(IntentId),
}

impl IntentOutcome {
    /// The intent, new or not.
    pub const fn id(self) -> IntentId {
        match self {
            Self::Created(id) | Self::Existing(id) => id,
        }
    }
}

/// Where an attempt was mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Attempt that was mined.
    pub tx_hash: B256,
    /// Block height.
    pub block_number: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Gas the transaction used, whatever else it carried.
    pub gas_used: u64,
    /// Wei per gas paid.
    pub effective_gas_price: u128,
    /// Wei a rollup charged besides.
    pub rollup_fee: u128,
    /// False if it reverted; of an item of a batch, if it failed.
    pub success: bool,
}

impl Inclusion {
    /// Wei the transaction cost each of the intents it carried, rounded up.
    pub fn share(&self, items: usize) -> U256 {
        let gas = U256::from(self.gas_used).saturating_mul(U256::from(self.effective_gas_price));
        let cost = gas.saturating_add(U256::from(self.rollup_fee));
        cost.div_ceil(U256::from(items.max(1)))
    }
}

/// The transaction that carries an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its flight.
    pub flight: FlightId,
    /// Its nonce.
    pub nonce: u64,
    /// How many intents it carries.
    pub items: u32,
}

/// Why an intent was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind.
    pub code: FailureCode,
    /// Detail for a person, such as the revert data in hex.
    pub detail: String,
}

/// An intent as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its id.
    pub id: IntentId,
    /// What was asked.
    pub request: NewIntent,
    /// Where it stands.
    pub state: IntentState,
    /// The transaction it is bound to.
    pub place: Option<Place>,
    /// Where it was mined, once it was.
    pub inclusion: Option<Inclusion>,
    /// Why it was given up, if it was.
    pub failure: Option<Failure>,
    /// Wei its shares of transactions cost that are final and did not do it.
    pub spent: U256,
    /// When it was submitted.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
}

impl Intent {
    /// True if it can have no effect any more: given up, or reverted in a final block.
    pub fn is_dead(&self) -> bool {
        match self.state {
            IntentState::Failed => true,
            IntentState::Final => self.inclusion.is_some_and(|inclusion| !inclusion.success),
            IntentState::Queued | IntentState::InFlight | IntentState::Included => false,
        }
    }
}

/// What an intent may cost and is worth from now on; see [`NewIntent::max_cost`] and
/// [`NewIntent::worth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The intent.
    pub id: IntentId,
    /// Most that gas may cost.
    pub max_cost: Option<U256>,
    /// Wei the effect is worth.
    pub worth: Option<U256>,
}

/// Which intents to list, oldest first. `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntentFilter {
    /// On this chain.
    pub chain_id: Option<ChainId>,
    /// Of this sender.
    pub sender: Option<Address>,
    /// In this state.
    pub state: Option<IntentState>,
    /// After this id, for paging.
    pub after: Option<IntentId>,
    /// At most this many; 1000 if `None`.
    pub limit: Option<u32>,
}

/// Every intent that matches, oldest first. `after` and `limit` of the filter do not matter.
pub async fn all_intents(
    store: &(impl EngineStore + ?Sized),
    filter: IntentFilter,
) -> Result<Vec<Intent>> {
    newest_intents(store, filter, usize::MAX).await
}

/// The newest so many that match, oldest first, read page by page: a listing alone begins with the
/// oldest, and ends after [`PAGE`] of them.
pub async fn newest_intents(
    store: &(impl EngineStore + ?Sized),
    filter: IntentFilter,
    limit: usize,
) -> Result<Vec<Intent>> {
    let (mut newest, mut after): (Vec<Intent>, Option<IntentId>) = (Vec::new(), None);
    loop {
        let page = IntentFilter { after, limit: Some(PAGE), ..filter.clone() };
        let found = store.intents(page).await?;
        let Some(last) = found.last() else { return Ok(newest) };
        after = Some(last.id);
        newest.extend(found);
        newest.drain(..newest.len().saturating_sub(limit));
    }
}

/// One line of an intent's story, beside its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// When.
    pub at: UnixSeconds,
    /// What happened, in a stable word such as `reorged`.
    pub what: String,
    /// Detail for a person.
    pub detail: String,
}

/// Listing length if the caller names none: a page, not the table.
pub(crate) const PAGE: u32 = 1000;

impl Store {
    /// Stores an intent once. The same key with another payload is [`StoreError::KeyConflict`].
    pub async fn submit_intent(&self, request: NewIntent) -> Result<IntentOutcome> {
        self.write("submit an intent", move |sql| insert_intent(sql, &request)).await
    }

    /// Looks an intent up.
    pub async fn intent(&self, id: IntentId) -> Result<Option<Intent>> {
        self.read("read an intent", move |sql| find_intent(sql, id)).await
    }

    /// Looks an intent up by its key.
    pub async fn intent_by_key(&self, key: &str) -> Result<Option<Intent>> {
        let key = key.to_owned();
        self.read("read an intent", move |sql| {
            sql.prepare_cached("SELECT * FROM intents_seen WHERE idempotency_key = ?1")
                .and_then(|mut rows| rows.query_row([key], read_intent).optional())
                .map_err(StoreError::statement("read an intent"))
        })
        .await
    }

    /// Lists intents, oldest first.
    pub async fn intents(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        self.read("list intents", move |sql| list_intents(sql, &filter)).await
    }

    /// What happened to an intent beside its attempts, oldest first.
    pub async fn history(&self, id: IntentId) -> Result<Vec<HistoryRow>> {
        self.read("read an intent's history", move |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT at, what, detail FROM history WHERE intent_id = ?1 ORDER BY id",
                )?;
                let rows = rows.query_map([Sql(id.0)], |row| {
                    Ok(HistoryRow {
                        at: get(row, "at")?,
                        what: row.get("what")?,
                        detail: row.get("detail")?,
                    })
                })?;
                rows.collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("read an intent's history"))
        })
        .await
    }
}

/// Checks the key and inserts, within the caller's transaction.
pub(crate) fn insert_intent(sql: &Connection, request: &NewIntent) -> Result<IntentOutcome> {
    const OPERATION: &str = "submit an intent";
    let existing = sql
        .prepare_cached("SELECT * FROM intents_seen WHERE idempotency_key = ?1")
        .and_then(|mut rows| rows.query_row([&request.idempotency_key], read_intent).optional())
        .map_err(StoreError::statement(OPERATION))?;
    if let Some(existing) = existing {
        return if existing.request == *request {
            Ok(IntentOutcome::Existing(existing.id))
        } else {
            let key = request.idempotency_key.clone();
            Err(StoreError::KeyConflict { key, existing: existing.id })
        };
    }
    sql.prepare_cached(
        "INSERT INTO intents (idempotency_key, chain_id, sender, recipient, value, data, gas_limit,
                              max_cost, worth, repeat_safe, not_before, deadline, own_code, label)
         VALUES (:key, :chain_id, :sender, :recipient, :value, :data, :gas_limit,
                 :max_cost, :worth, :repeat_safe, :not_before, :deadline, :own_code, :label)
         RETURNING id",
    )
    .and_then(|mut insert| {
        insert.query_row(
            named_params! {
                ":key": request.idempotency_key,
                ":chain_id": Sql(request.chain_id),
                ":sender": Sql(request.sender),
                ":recipient": Sql(request.to),
                ":value": Sql(request.value),
                ":data": Sql(request.data.clone()),
                ":gas_limit": request.gas_limit.map(Sql),
                ":max_cost": request.max_cost.map(Sql),
                ":worth": request.worth.map(Sql),
                ":repeat_safe": request.repeat_safe,
                ":not_before": request.not_before.map(Sql),
                ":deadline": request.deadline.map(Sql),
                ":own_code": request.own_code.map(Sql),
                ":label": request.label,
            },
            |row| get(row, "id"),
        )
    })
    .map(|id| IntentOutcome::Created(IntentId(id)))
    .map_err(StoreError::statement(OPERATION))
}

/// Writes limits to those intents that are queued; gives how many that are.
pub(crate) fn limit_queued(sql: &Connection, limits: &[Limits]) -> Result<usize> {
    let mut changed = 0_usize;
    for Limits { id, max_cost, worth } in limits {
        let rows = sql
            .prepare_cached(
                "UPDATE intents SET max_cost = ?2, worth = ?3 WHERE id = ?1 AND state = 'queued'",
            )
            .and_then(|mut update| update.execute((Sql(id.0), max_cost.map(Sql), worth.map(Sql))))
            .map_err(StoreError::statement("change limits"))?;
        changed = changed.saturating_add(rows);
    }
    Ok(changed)
}

pub(crate) fn find_intent(sql: &Connection, id: IntentId) -> Result<Option<Intent>> {
    sql.prepare_cached("SELECT * FROM intents_seen WHERE id = ?1")
        .and_then(|mut rows| rows.query_row([Sql(id.0)], read_intent).optional())
        .map_err(StoreError::statement("read an intent"))
}

pub(crate) fn list_intents(sql: &Connection, filter: &IntentFilter) -> Result<Vec<Intent>> {
    let rows = || {
        let mut rows = sql.prepare_cached(
            "SELECT * FROM intents_seen
             WHERE (:chain_id IS NULL OR chain_id = :chain_id)
               AND (:sender IS NULL OR sender = :sender)
               AND (:state IS NULL OR stands = :state)
               AND id > :after
             ORDER BY id LIMIT :limit",
        )?;
        let rows = rows.query_map(
            named_params! {
                ":chain_id": filter.chain_id.map(Sql),
                ":sender": filter.sender.map(Sql),
                ":state": filter.state,
                ":after": Sql(filter.after.map_or(0, |id| id.0)),
                ":limit": filter.limit.unwrap_or(PAGE),
            },
            read_intent,
        )?;
        rows.collect::<rusqlite::Result<_>>()
    };
    rows().map_err(StoreError::statement("list intents"))
}

pub(crate) fn read_intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    let success: Option<bool> = row.get("success")?;
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
    let failure = match row.get::<_, Option<FailureCode>>("failure_code")? {
        None => None,
        Some(code) => Some(Failure { code, detail: row.get("failure_detail")? }),
    };
    Ok(Intent {
        id: IntentId(get(row, "id")?),
        request: NewIntent {
            idempotency_key: row.get("idempotency_key")?,
            chain_id: get(row, "chain_id")?,
            sender: get(row, "sender")?,
            to: get(row, "recipient")?,
            value: get(row, "value")?,
            data: get(row, "data")?,
            gas_limit: get_option(row, "gas_limit")?,
            max_cost: get_option(row, "max_cost")?,
            worth: get_option(row, "worth")?,
            repeat_safe: row.get("repeat_safe")?,
            not_before: get_option(row, "not_before")?,
            deadline: get_option(row, "deadline")?,
            own_code: get_option(row, "own_code")?,
            label: row.get("label")?,
        },
        state: row.get("stands")?,
        place,
        inclusion,
        failure,
        spent: get(row, "spent")?,
        created_at: get(row, "created_at")?,
        updated_at: get(row, "updated_at")?,
    })
}
