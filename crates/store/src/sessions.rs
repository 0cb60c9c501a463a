//! Sessions a host serves: what it is owed, and how far each has come to being paid.

use capstan_base::{
    Amount, B256, ChainId, Price, SessionKey, SessionTerms, SignedVoucher, TallyState, UnixSeconds,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::columns::{Json, Sql, get, get_option, text_enum};
use crate::error::{Result, StoreError};
use crate::intents::{IntentId, NewIntent, find_intent, insert_intent};
use crate::store::Store;
use crate::voucher_guard::{VoucherOutcome, VoucherTable, store_voucher};

text_enum! {
    /// Where a session stands on the host's side.
    pub enum SessionState {
        /// A renter is attached.
        Open = "open",
        /// Nobody is attached; it may come back.
        Detached = "detached",
        /// Ended; its settlement is in the outbox.
        Settling = "settling",
        /// Closed on its chain, with the figures of the closing event.
        Settled = "settled",
        /// Ended with nothing to claim.
        Abandoned = "abandoned",
    }
}

/// A session that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Its name in the world.
    pub key: SessionKey,
    /// What was agreed on; `terms.id()` is the key's session id.
    pub terms: SessionTerms,
    /// Price it is metered at, as it was when admitted.
    pub price: Price,
    /// When it was admitted.
    pub opened_at: UnixSeconds,
    /// Head of the chain then: the closing event can lie no earlier.
    pub admitted_block: u64,
}

/// What closing paid, from the chain's closing event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// To the host.
    pub paid: Amount,
    /// To the protocol.
    pub fee: Amount,
    /// Back to the renter.
    pub refund: Amount,
    /// Transaction that closed it, whoever sent it.
    pub close_tx: B256,
}

/// A session as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name in the world.
    pub key: SessionKey,
    /// What was agreed on.
    pub terms: SessionTerms,
    /// Price it is metered at.
    pub price: Price,
    /// Where it stands.
    pub state: SessionState,
    /// Newest signed voucher.
    pub voucher: Option<SignedVoucher>,
    /// Tally at that voucher; empty without one.
    pub tally: TallyState,
    /// Why it ended, in the host's words.
    pub end_reason: Option<String>,
    /// When it was admitted.
    pub opened_at: UnixSeconds,
    /// Head of the chain then: the closing event can lie no earlier.
    pub admitted_block: u64,
    /// Since when nobody is attached.
    pub detached_at: Option<UnixSeconds>,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Intent that settles it.
    pub settle_intent: Option<IntentId>,
    /// What closing paid, once it is final.
    pub closing: Option<Closing>,
}

/// What became of an admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionInsert {
    /// New, and open.
    Created,
    /// It was admitted before; its own price and tally count.
    Existing(Box<Session>),
}

/// What became of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is now as asked, or was already.
    Done,
    /// It was so before this call, by another's: told where only the first may be counted.
    Already,
    /// Its state does not allow it; nothing changed.
    Refused(SessionState),
    /// Another host serves it now; nothing changed.
    Elsewhere,
    /// No such session here.
    Unknown,
}

/// What became of ending a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// It is settling, and the intent is in the outbox.
    Settling(IntentId),
    /// There was nothing to claim.
    Abandoned,
    /// It had ended before; nothing changed.
    AlreadyEnded {
        /// State it is in.
        state: SessionState,
        /// Intent that settles it, if one was made.
        intent: Option<IntentId>,
    },
    /// Another host serves it now; nothing changed.
    Elsewhere,
    /// No such session here.
    Unknown,
}

impl Store {
    /// Stores an admitted session once.
    pub async fn insert_session(&self, new: NewSession) -> Result<SessionInsert> {
        self.write("insert a session", move |sql| insert_session(sql, &new)).await
    }

    /// Stores a voucher and the tally it was signed at. None of amount, tokens and tally ever falls.
    pub async fn record_voucher(
        &self,
        key: SessionKey,
        signed: &SignedVoucher,
        tally: &TallyState,
    ) -> Result<VoucherOutcome> {
        let (signed, tally) = (signed.clone(), tally.clone());
        self.write("store a voucher", move |sql| {
            store_voucher(sql, VoucherTable::Sessions, &key, &signed, &tally)
        })
        .await
    }

    /// Notes that nobody is attached any more. The first time counts.
    pub async fn detach_session(&self, key: SessionKey, at: UnixSeconds) -> Result<Transition> {
        self.write("detach a session", move |sql| {
            let changed = update(
                sql,
                &key,
                "UPDATE sessions SET state = 'detached', detached_at = :at, updated_at = unixepoch()
                 WHERE chain_id = :chain_id AND marketplace = :marketplace
                   AND session_id = :session_id AND state = 'open' AND :at IS NOT NULL",
                Some(at),
            )?;
            transition(sql, &key, changed, SessionState::Detached)
        })
        .await
    }

    /// Notes that a renter is attached again.
    pub async fn attach_session(&self, key: SessionKey) -> Result<Transition> {
        self.write("attach a session", move |sql| {
            let changed = update(
                sql,
                &key,
                "UPDATE sessions SET state = 'open', detached_at = :at, updated_at = unixepoch()
                 WHERE chain_id = :chain_id AND marketplace = :marketplace
                   AND session_id = :session_id AND state = 'detached'",
                None,
            )?;
            transition(sql, &key, changed, SessionState::Open)
        })
        .await
    }

    /// Ends a session in one transaction: it is settling and `intent` is in the outbox, or neither.
    /// Without an intent there was nothing to claim, and it is abandoned. The first call decides; a
    /// later one may bring another intent, under another key, once the first one's can have no
    /// effect any more.
    pub async fn settle_session(
        &self,
        key: SessionKey,
        end_reason: impl Into<String>,
        intent: Option<NewIntent>,
    ) -> Result<SettleOutcome> {
        let end_reason = end_reason.into();
        self.write("settle a session", move |sql| settle(sql, &key, &end_reason, intent.as_ref()))
            .await
    }

    /// Records what closing paid. Allowed from any state, since either side or anyone after the
    /// expiry may close on chain. The first figures stay, and each later call is told
    /// [`Transition::Already`].
    pub async fn finish_session(&self, key: SessionKey, closing: Closing) -> Result<Transition> {
        self.write("finish a session", move |sql| finish(sql, &key, &closing)).await
    }

    /// Looks a session up.
    pub async fn session(&self, key: SessionKey) -> Result<Option<Session>> {
        self.read("read a session", move |sql| find_session(sql, &key)).await
    }

    /// Every session in a state, by chain.
    pub async fn sessions_in(&self, state: SessionState) -> Result<Vec<Session>> {
        self.read("list sessions", move |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT * FROM sessions WHERE state = ?1 ORDER BY chain_id, opened_at",
                )?;
                let rows = rows.query_map([state], read_session)?;
                rows.collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("list sessions"))
        })
        .await
    }

    /// How many sessions there are on a chain, or on all, in a state, or in any.
    pub async fn count_sessions(
        &self,
        chain_id: Option<ChainId>,
        state: Option<SessionState>,
    ) -> Result<u64> {
        self.read("count sessions", move |sql| {
            sql.prepare_cached(
                "SELECT count(*) AS count FROM sessions
                 WHERE (:chain_id IS NULL OR chain_id = :chain_id)
                   AND (:state IS NULL OR state = :state)",
            )
            .and_then(|mut count| {
                count.query_row(
                    named_params! { ":chain_id": chain_id.map(Sql), ":state": state },
                    |row| get(row, "count"),
                )
            })
            .map_err(StoreError::statement("count sessions"))
        })
        .await
    }
}

fn insert_session(sql: &Connection, new: &NewSession) -> Result<SessionInsert> {
    if let Some(existing) = find_session(sql, &new.key)? {
        return Ok(SessionInsert::Existing(Box::new(existing)));
    }
    sql.prepare_cached(
        "INSERT INTO sessions (chain_id, marketplace, session_id, terms, price_input, price_output,
                               tally, opened_at, admitted_block)
         VALUES (:chain_id, :marketplace, :session_id, :terms, :price_input, :price_output,
                 :tally, :opened_at, :admitted_block)",
    )
    .and_then(|mut insert| {
        insert.execute(named_params! {
            ":chain_id": Sql(new.key.chain_id),
            ":marketplace": Sql(new.key.marketplace),
            ":session_id": Sql(new.key.session_id),
            ":terms": Json(&new.terms),
            ":price_input": Sql(new.price.input),
            ":price_output": Sql(new.price.output),
            ":tally": Json(&TallyState::default()),
            ":opened_at": Sql(new.opened_at),
            ":admitted_block": Sql(new.admitted_block),
        })
    })
    .map(|_| SessionInsert::Created)
    .map_err(StoreError::statement("insert a session"))
}

fn settle(
    sql: &Connection,
    key: &SessionKey,
    end_reason: &str,
    intent: Option<&NewIntent>,
) -> Result<SettleOutcome> {
    let Some(session) = find_session(sql, key)? else { return Ok(SettleOutcome::Unknown) };
    let may_settle = match session.state {
        SessionState::Open | SessionState::Detached => true,
        SessionState::Settling => intent.is_some() && is_dead(sql, session.settle_intent)?,
        SessionState::Settled | SessionState::Abandoned => false,
    };
    if !may_settle {
        let (state, intent) = (session.state, session.settle_intent);
        return Ok(SettleOutcome::AlreadyEnded { state, intent });
    }
    let intent = intent.map(|intent| insert_intent(sql, intent)).transpose()?;
    let (state, outcome) = match intent {
        Some(intent) => (SessionState::Settling, SettleOutcome::Settling(intent.id())),
        None => (SessionState::Abandoned, SettleOutcome::Abandoned),
    };
    sql.prepare_cached(
        "UPDATE sessions
         SET state = :state, end_reason = :end_reason, settle_intent = :intent,
             updated_at = unixepoch()
         WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id",
    )
    .and_then(|mut update| {
        update.execute(named_params! {
            ":state": state,
            ":end_reason": end_reason,
            ":intent": intent.map(|intent| Sql(intent.id().0)),
            ":chain_id": Sql(key.chain_id),
            ":marketplace": Sql(key.marketplace),
            ":session_id": Sql(key.session_id),
        })
    })
    .map(|_| outcome)
    .map_err(StoreError::statement("settle a session"))
}

/// True if the intent can have no effect any more.
pub(crate) fn is_dead(sql: &Connection, intent: Option<IntentId>) -> Result<bool> {
    let intent = intent.map(|id| find_intent(sql, id)).transpose()?.flatten();
    Ok(intent.is_some_and(|intent| intent.is_dead()))
}

fn finish(sql: &Connection, key: &SessionKey, closing: &Closing) -> Result<Transition> {
    let changed = sql
        .prepare_cached(
            "UPDATE sessions
             SET state = 'settled', paid = :paid, fee = :fee, refund = :refund,
                 close_tx = :close_tx, updated_at = unixepoch()
             WHERE chain_id = :chain_id AND marketplace = :marketplace
               AND session_id = :session_id AND state <> 'settled'",
        )
        .and_then(|mut update| {
            update.execute(named_params! {
                ":paid": Sql(closing.paid),
                ":fee": Sql(closing.fee),
                ":refund": Sql(closing.refund),
                ":close_tx": Sql(closing.close_tx),
                ":chain_id": Sql(key.chain_id),
                ":marketplace": Sql(key.marketplace),
                ":session_id": Sql(key.session_id),
            })
        })
        .map_err(StoreError::statement("finish a session"))?;
    Ok(match transition(sql, key, changed, SessionState::Settled)? {
        Transition::Done if changed == 0 => Transition::Already,
        outcome => outcome,
    })
}

fn update(
    sql: &Connection,
    key: &SessionKey,
    statement: &str,
    at: Option<UnixSeconds>,
) -> Result<usize> {
    sql.prepare_cached(statement)
        .and_then(|mut update| {
            update.execute(named_params! {
                ":at": at.map(Sql),
                ":chain_id": Sql(key.chain_id),
                ":marketplace": Sql(key.marketplace),
                ":session_id": Sql(key.session_id),
            })
        })
        .map_err(StoreError::statement("change a session's state"))
}

/// Names the outcome of an update that touched `changed` rows on the way to `wanted`.
fn transition(
    sql: &Connection,
    key: &SessionKey,
    changed: usize,
    wanted: SessionState,
) -> Result<Transition> {
    if changed == 1 {
        return Ok(Transition::Done);
    }
    Ok(match find_session(sql, key)? {
        None => Transition::Unknown,
        Some(session) if session.state == wanted => Transition::Done,
        Some(session) => Transition::Refused(session.state),
    })
}

fn find_session(sql: &Connection, key: &SessionKey) -> Result<Option<Session>> {
    sql.prepare_cached(
        "SELECT * FROM sessions WHERE chain_id = ?1 AND marketplace = ?2 AND session_id = ?3",
    )
    .and_then(|mut rows| {
        rows.query_row((Sql(key.chain_id), Sql(key.marketplace), Sql(key.session_id)), read_session)
            .optional()
    })
    .map_err(StoreError::statement("read a session"))
}

/// Reads the key that names a row of `sessions` or `rentals`.
pub(crate) fn read_key(row: &Row<'_>) -> rusqlite::Result<SessionKey> {
    Ok(SessionKey {
        chain_id: get(row, "chain_id")?,
        marketplace: get(row, "marketplace")?,
        session_id: get(row, "session_id")?,
    })
}

/// Reads the closing figures of a row of `sessions` or `rentals`.
pub(crate) fn read_closing(row: &Row<'_>) -> rusqlite::Result<Option<Closing>> {
    let Some(close_tx) = get_option(row, "close_tx")? else { return Ok(None) };
    Ok(Some(Closing {
        paid: get(row, "paid")?,
        fee: get(row, "fee")?,
        refund: get(row, "refund")?,
        close_tx,
    }))
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        key: read_key(row)?,
        terms: row.get::<_, Json<_>>("terms")?.0,
        price: Price { input: get(row, "price_input")?, output: get(row, "price_output")? },
        state: row.get("state")?,
        voucher: row.get::<_, Option<Json<_>>>("voucher")?.map(|voucher| voucher.0),
        tally: row.get::<_, Json<_>>("tally")?.0,
        end_reason: row.get("end_reason")?,
        opened_at: get(row, "opened_at")?,
        admitted_block: get(row, "admitted_block")?,
        detached_at: get_option(row, "detached_at")?,
        updated_at: get(row, "updated_at")?,
        settle_intent: get_option(row, "settle_intent")?.map(IntentId),
        closing: read_closing(row)?,
    })
}
