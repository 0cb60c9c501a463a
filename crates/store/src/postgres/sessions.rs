//! Sessions several hosts serve: who serves each, the guard before its voucher, and its end.

use async_trait::async_trait;
use capstan_base::{ChainId, Price, SessionKey, SignedVoucher, TallyState, UnixSeconds};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::PgStore;
use super::columns::{get, get_option};
use super::intents::{find_by_key, find_intent, insert_intent, limit_queued};
use crate::columns::{Json, Sql};
use crate::error::{Result, StoreError};
use crate::intents::{Intent, IntentId, Limits, NewIntent};
use crate::lanes::LaneKey;
use crate::session_store::SessionStore;
use crate::sessions::{
    Closing, NewSession, Session, SessionInsert, SessionState, SettleOutcome, Transition,
};
use crate::voucher_guard::VoucherOutcome;

/// This machine's name with what a statement is about.
type Here<T> = (std::sync::Arc<str>, SessionKey, T);

#[async_trait]
impl SessionStore for PgStore {
    async fn intent_by_key(&self, key: &str) -> Result<Option<Intent>> {
        self.read("read an intent", key.to_owned(), |sql, key| Box::pin(find_by_key(sql, key)))
            .await
    }

    async fn limit_queued(&self, limits: Vec<Limits>) -> Result<usize> {
        self.write("change limits", limits, |sql, limits| Box::pin(limit_queued(sql, limits))).await
    }

    async fn insert_session(&self, new: NewSession) -> Result<SessionInsert> {
        let input = (self.machine.clone(), new.key, new);
        self.write("insert a session", input, |sql, input| Box::pin(insert(sql, input))).await
    }

    async fn record_voucher(
        &self,
        key: SessionKey,
        signed: &SignedVoucher,
        tally: &TallyState,
    ) -> Result<VoucherOutcome> {
        let input = (self.machine.clone(), key, (signed.clone(), tally.clone()));
        self.write("store a voucher", input, |sql, input| Box::pin(store_voucher(sql, input))).await
    }

    async fn detach_session(&self, key: SessionKey, at: UnixSeconds) -> Result<Transition> {
        let input = (self.machine.clone(), key, at);
        self.write("detach a session", input, |sql, input| Box::pin(detach(sql, input))).await
    }

    async fn serve_session(&self, key: SessionKey) -> Result<Option<Session>> {
        let input = (self.machine.clone(), key, ());
        self.write("take a session up", input, |sql, input| Box::pin(serve(sql, input))).await
    }

    async fn attach_session(&self, key: SessionKey) -> Result<Transition> {
        let input = (self.machine.clone(), key, ());
        self.write("attach a session", input, |sql, input| Box::pin(attach(sql, input))).await
    }

    async fn settle_session(
        &self,
        key: SessionKey,
        end_reason: &str,
        intent: Option<NewIntent>,
    ) -> Result<SettleOutcome> {
        let lane = intent
            .as_ref()
            .map(|intent| LaneKey { chain_id: intent.chain_id, sender: intent.sender });
        let input = (self.machine.clone(), key, (end_reason.to_owned(), intent));
        let outcome = self
            .write("settle a session", input, |sql, input| Box::pin(settle(sql, input)))
            .await?;
        if let (SettleOutcome::Settling(_), Some(lane)) = (outcome, lane) {
            self.announce(lane);
        }
        Ok(outcome)
    }

    async fn finish_session(&self, key: SessionKey, closing: Closing) -> Result<Transition> {
        self.write("finish a session", (key, closing), |sql, input| Box::pin(finish(sql, input)))
            .await
    }

    async fn session(&self, key: SessionKey) -> Result<Option<Session>> {
        self.read("read a session", key, |sql, key| {
            Box::pin(async move { Ok(find(sql, key, Lock::None).await?.map(|(_, found)| found)) })
        })
        .await
    }

    async fn sessions_in(&self, state: SessionState) -> Result<Vec<Session>> {
        self.read("list sessions", state, |sql, state| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT * FROM sessions WHERE state = $1 ORDER BY chain_id, opened_at",
                );
                let rows = rows.bind(*state).fetch_all(sql).await;
                rows.and_then(|rows| rows.iter().map(read_session).collect())
                    .map_err(StoreError::statement("list sessions"))
            })
        })
        .await
    }

    async fn sessions_served(&self) -> Result<Vec<Session>> {
        self.read("list sessions", self.machine.clone(), |sql, machine| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT * FROM sessions
                     WHERE state IN ('open', 'detached') AND served_by = $1
                     ORDER BY chain_id, opened_at",
                );
                let rows = rows.bind(&**machine).fetch_all(sql).await;
                rows.and_then(|rows| rows.iter().map(read_session).collect())
                    .map_err(StoreError::statement("list sessions"))
            })
        })
        .await
    }

    async fn sessions_elsewhere(&self) -> Result<Vec<(String, Session)>> {
        self.read("list sessions", self.machine.clone(), |sql, machine| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT * FROM sessions
                     WHERE state IN ('open', 'detached') AND served_by <> $1
                     ORDER BY served_by, chain_id, opened_at",
                );
                let rows = rows.bind(&**machine).fetch_all(sql).await;
                rows.and_then(|rows| rows.iter().map(read_served).collect())
                    .map_err(StoreError::statement("list sessions"))
            })
        })
        .await
    }

    async fn count_sessions(
        &self,
        chain_id: Option<ChainId>,
        state: Option<SessionState>,
    ) -> Result<u64> {
        self.read("count sessions", (chain_id, state), |sql, (chain_id, state)| {
            Box::pin(async move {
                sqlx::query(
                    "SELECT count(*) AS count FROM sessions
                     WHERE ($1 IS NULL OR chain_id = $1) AND ($2 IS NULL OR state = $2)",
                )
                .bind(chain_id.map(Sql))
                .bind(*state)
                .fetch_one(sql)
                .await
                .and_then(|row| get(&row, "count"))
                .map_err(StoreError::statement("count sessions"))
            })
        })
        .await
    }
}

async fn insert(
    sql: &mut PgConnection,
    (machine, key, new): &Here<NewSession>,
) -> Result<SessionInsert> {
    let created = sqlx::query(
        "INSERT INTO sessions (chain_id, marketplace, session_id, served_by, terms, price_input,
                               price_output, tally, opened_at, admitted_block)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (chain_id, marketplace, session_id) DO NOTHING",
    )
    .bind(Sql(key.chain_id))
    .bind(Sql(key.marketplace))
    .bind(Sql(key.session_id))
    .bind(&**machine)
    .bind(Json(&new.terms))
    .bind(Sql(new.price.input))
    .bind(Sql(new.price.output))
    .bind(Json(&TallyState::default()))
    .bind(Sql(new.opened_at))
    .bind(Sql(new.admitted_block))
    .execute(&mut *sql)
    .await
    .map_err(StoreError::statement("insert a session"))?;
    if created.rows_affected() == 1 {
        return Ok(SessionInsert::Created);
    }
    // Whoever inserted it has committed, and nothing is ever deleted.
    match find(sql, key, Lock::None).await? {
        Some((_, existing)) => Ok(SessionInsert::Existing(Box::new(existing))),
        None => Err(StoreError::statement("insert a session")(sqlx::Error::RowNotFound)),
    }
}

/// Compares and stores in one statement, which after waiting for another compares with what that
/// one stored; for the rule see `crate::voucher_guard`.
async fn store_voucher(
    sql: &mut PgConnection,
    (machine, key, (signed, tally)): &Here<(SignedVoucher, TallyState)>,
) -> Result<VoucherOutcome> {
    let stored = sqlx::query(
        "UPDATE sessions
         SET voucher = $5, voucher_amount = $6, tally = $7, tally_tokens = $8,
             updated_at = unix_seconds()
         WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3 AND served_by = $4
           AND state IN ('open', 'detached')
           AND $6 >= voucher_amount AND $8 >= tally_tokens
           AND ($6 > voucher_amount OR $8 > tally_tokens)",
    )
    .bind(Sql(key.chain_id))
    .bind(Sql(key.marketplace))
    .bind(Sql(key.session_id))
    .bind(&**machine)
    .bind(Json(signed))
    .bind(Sql(signed.voucher.amount))
    .bind(Json(tally))
    .bind(Sql(tally.frontier.size))
    .execute(&mut *sql)
    .await
    .map_err(StoreError::statement("store a voucher"))?;
    if stored.rows_affected() == 1 {
        return Ok(VoucherOutcome::Stored);
    }
    Ok(match find(sql, key, Lock::None).await? {
        None => VoucherOutcome::UnknownSession,
        Some((_, session)) if !is_unfinished(session.state) => VoucherOutcome::Closed,
        Some((served_by, _)) if served_by != **machine => VoucherOutcome::Elsewhere,
        // Stored by this very write, whose commit was not answered.
        Some((_, session))
            if session.voucher.as_ref() == Some(signed) && session.tally == *tally =>
        {
            VoucherOutcome::Stored
        }
        Some(_) => VoucherOutcome::NotHigher,
    })
}

async fn detach(
    sql: &mut PgConnection,
    (machine, key, at): &Here<UnixSeconds>,
) -> Result<Transition> {
    let Some((served_by, session)) = find(sql, key, Lock::Row).await? else {
        return Ok(Transition::Unknown);
    };
    match session.state {
        SessionState::Open | SessionState::Detached if served_by != **machine => {
            return Ok(Transition::Elsewhere);
        }
        SessionState::Open => {}
        SessionState::Detached => return Ok(Transition::Done),
        other => return Ok(Transition::Refused(other)),
    }
    change(
        sql,
        sqlx::query(
            "UPDATE sessions SET state = 'detached', detached_at = $4, updated_at = unix_seconds()
             WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3",
        ),
        key,
        |update| update.bind(Sql(*at)),
    )
    .await
}

async fn serve(sql: &mut PgConnection, (machine, key, ()): &Here<()>) -> Result<Option<Session>> {
    let Some((served_by, session)) = find(sql, key, Lock::Row).await? else { return Ok(None) };
    if is_unfinished(session.state) && served_by != **machine {
        let update = sqlx::query(
            "UPDATE sessions SET served_by = $4, updated_at = unix_seconds()
             WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3",
        );
        change(sql, update, key, |update| update.bind(&**machine)).await?;
    }
    Ok(Some(session))
}

async fn attach(sql: &mut PgConnection, (machine, key, ()): &Here<()>) -> Result<Transition> {
    match find(sql, key, Lock::Row).await? {
        None => Ok(Transition::Unknown),
        Some((_, session)) if !is_unfinished(session.state) => {
            Ok(Transition::Refused(session.state))
        }
        Some((served_by, _)) if served_by != **machine => Ok(Transition::Elsewhere),
        Some((_, session)) if session.state == SessionState::Open => Ok(Transition::Done),
        Some(_) => {
            let update = sqlx::query(
                "UPDATE sessions SET state = 'open', detached_at = NULL,
                                     updated_at = unix_seconds()
                 WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3",
            );
            change(sql, update, key, |update| update).await
        }
    }
}

async fn settle(
    sql: &mut PgConnection,
    (machine, key, (end_reason, intent)): &Here<(String, Option<NewIntent>)>,
) -> Result<SettleOutcome> {
    let Some((served_by, session)) = find(sql, key, Lock::Row).await? else {
        return Ok(SettleOutcome::Unknown);
    };
    let may_settle = match session.state {
        SessionState::Open | SessionState::Detached if served_by != **machine => {
            return Ok(SettleOutcome::Elsewhere);
        }
        SessionState::Open | SessionState::Detached => true,
        SessionState::Settling => intent.is_some() && is_dead(sql, session.settle_intent).await?,
        SessionState::Settled | SessionState::Abandoned => false,
    };
    if !may_settle {
        let (state, intent) = (session.state, session.settle_intent);
        return Ok(SettleOutcome::AlreadyEnded { state, intent });
    }
    let intent = match intent {
        Some(intent) => Some(insert_intent(sql, intent).await?.id()),
        None => None,
    };
    let (state, outcome) = match intent {
        Some(id) => (SessionState::Settling, SettleOutcome::Settling(id)),
        None => (SessionState::Abandoned, SettleOutcome::Abandoned),
    };
    let update = sqlx::query(
        "UPDATE sessions SET state = $4, end_reason = $5, settle_intent = $6,
                             updated_at = unix_seconds()
         WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3",
    );
    change(sql, update, key, |update| {
        update.bind(state).bind(end_reason).bind(intent.map(|id| Sql(id.0)))
    })
    .await
    .map(|_| outcome)
}

async fn finish(
    sql: &mut PgConnection,
    (key, closing): &(SessionKey, Closing),
) -> Result<Transition> {
    match find(sql, key, Lock::Row).await? {
        None => Ok(Transition::Unknown),
        Some((_, session)) if session.state == SessionState::Settled => Ok(Transition::Already),
        Some(_) => {
            let update = sqlx::query(
                "UPDATE sessions SET state = 'settled', paid = $4, fee = $5, refund = $6,
                                     close_tx = $7, updated_at = unix_seconds()
                 WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3",
            );
            change(sql, update, key, |update| {
                update
                    .bind(Sql(closing.paid))
                    .bind(Sql(closing.fee))
                    .bind(Sql(closing.refund))
                    .bind(Sql(closing.close_tx))
            })
            .await
        }
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Changes the row of a session that is locked.
async fn change<'q>(
    sql: &mut PgConnection,
    update: Query<'q>,
    key: &SessionKey,
    values: impl FnOnce(Query<'q>) -> Query<'q>,
) -> Result<Transition> {
    let update =
        update.bind(Sql(key.chain_id)).bind(Sql(key.marketplace)).bind(Sql(key.session_id));
    values(update)
        .execute(sql)
        .await
        .map(|_| Transition::Done)
        .map_err(StoreError::statement("change a session's state"))
}

/// True if the intent can have no effect any more, which never changes back.
async fn is_dead(sql: &mut PgConnection, intent: Option<IntentId>) -> Result<bool> {
    let Some(id) = intent else { return Ok(false) };
    Ok(find_intent(sql, id).await?.is_some_and(|intent| intent.is_dead()))
}

const fn is_unfinished(state: SessionState) -> bool {
    matches!(state, SessionState::Open | SessionState::Detached)
}

/// Whether others may change the row before the transaction ends.
#[derive(Clone, Copy)]
enum Lock {
    None,
    Row,
}

/// A session and the machine that serves it.
async fn find(
    sql: &mut PgConnection,
    key: &SessionKey,
    lock: Lock,
) -> Result<Option<(String, Session)>> {
    let statement = match lock {
        Lock::None => {
            "SELECT * FROM sessions
             WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3"
        }
        Lock::Row => {
            "SELECT * FROM sessions
             WHERE chain_id = $1 AND marketplace = $2 AND session_id = $3 FOR NO KEY UPDATE"
        }
    };
    sqlx::query(statement)
        .bind(Sql(key.chain_id))
        .bind(Sql(key.marketplace))
        .bind(Sql(key.session_id))
        .fetch_optional(sql)
        .await
        .and_then(|row| row.as_ref().map(read_served).transpose())
        .map_err(StoreError::statement("read a session"))
}

fn read_served(row: &PgRow) -> sqlx::Result<(String, Session)> {
    Ok((row.try_get("served_by")?, read_session(row)?))
}

fn read_session(row: &PgRow) -> sqlx::Result<Session> {
    let closing = match get_option(row, "close_tx")? {
        None => None,
        Some(close_tx) => Some(Closing {
            paid: get(row, "paid")?,
            fee: get(row, "fee")?,
            refund: get(row, "refund")?,
            close_tx,
        }),
    };
    Ok(Session {
        key: SessionKey {
            chain_id: get(row, "chain_id")?,
            marketplace: get(row, "marketplace")?,
            session_id: get(row, "session_id")?,
        },
        terms: row.try_get::<Json<_>, _>("terms")?.0,
        price: Price { input: get(row, "price_input")?, output: get(row, "price_output")? },
        state: row.try_get("state")?,
        voucher: row.try_get::<Option<Json<_>>, _>("voucher")?.map(|voucher| voucher.0),
        tally: row.try_get::<Json<_>, _>("tally")?.0,
        end_reason: row.try_get("end_reason")?,
        opened_at: get(row, "opened_at")?,
        admitted_block: get(row, "admitted_block")?,
        detached_at: get_option(row, "detached_at")?,
        updated_at: get(row, "updated_at")?,
        settle_intent: get_option(row, "settle_intent")?.map(IntentId),
        closing,
    })
}
