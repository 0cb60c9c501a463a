//! What one member of a committee has signed: its own file, shared with nothing and nobody.
//!
//! A request's action is signed under one call alone: its first transaction, and replacements that say
//! the same with other fees. The check and the record are one exclusive transaction, on disk before it
//! returns, and nothing is signed before that.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use capstan_base::{B256, ChainId, U256, UnixSeconds};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, named_params};

use crate::columns::{Sql, get};
use crate::connection::{ProcessLock, open_writer};
use crate::error::{Result, StoreError};
use crate::migrate;

const MIGRATIONS: &[(u32, &str)] = &[(1, include_str!("../schema/signing_journal_0001.sql"))];

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A signature that is about to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSigning {
    /// The output that asks for it.
    pub request_id: U256,
    /// Place of the action in it.
    pub action: u32,
    /// Hash of everything that the transaction says but its fees.
    pub call: B256,
    /// What is to be signed: keccak of the preimage.
    pub digest: B256,
    /// Agent it is for.
    pub agent: U256,
    /// Chain of the transaction.
    pub chain_id: ChainId,
    /// Wei that goes along.
    pub value: U256,
}

/// What else was signed for an agent lately: each action once, however often it was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedLately {
    /// Actions on all chains within the last hour.
    pub actions_last_hour: u64,
    /// Wei on the chain in question within the last 24 hours.
    pub value_last_day: U256,
}

/// What may be done about a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningOutcome<R> {
    /// Recorded now: it may be given.
    Recorded,
    /// The very same was recorded before: it may be given again.
    Known,
    /// The action was signed for another call: never.
    Conflict,
    /// The caller's own check says no; nothing is recorded.
    Refused(R),
    /// The journal is not known to be whole: nothing is signed until it is.
    NotWhole,
}

/// A member's journal. One process has it at a time.
pub struct SigningJournal {
    connection: Mutex<Connection>,
    _lock: ProcessLock,
}

impl core::fmt::Debug for SigningJournal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SigningJournal")
    }
}

impl SigningJournal {
    /// Makes the journal of a new key, for which nothing can have been signed.
    ///
    /// # Errors
    /// [`StoreError::JournalExists`], and those of opening a file.
    pub fn create(path: &Path) -> Result<Self> {
        Self::new(path, true)
    }

    /// Makes the journal of a key that was restored: what was signed with it before is unknown here, and
    /// so nothing is signed until [`Self::learn`] and [`Self::declare_whole`].
    ///
    /// # Errors
    /// [`StoreError::JournalExists`], and those of opening a file.
    pub fn create_restored(path: &Path) -> Result<Self> {
        Self::new(path, false)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`StoreError::NoJournal`]: without its journal a member must not sign.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(StoreError::NoJournal { path: path.to_path_buf() });
        }
        Self::connect(path)
    }

    fn new(path: &Path, is_whole: bool) -> Result<Self> {
        if path.exists() {
            return Err(StoreError::JournalExists { path: path.to_path_buf() });
        }
        let journal = Self::connect(path)?;
        journal.write("begin a signing journal", |sql| {
            sql.execute("INSERT INTO standing (only, is_whole) VALUES (1, ?1)", [is_whole])
        })?;
        Ok(journal)
    }

    fn connect(path: &Path) -> Result<Self> {
        let lock = ProcessLock::take(path)?;
        let mut connection = open_writer(path)?;
        migrate::bring_up(&mut connection, MIGRATIONS)?;
        Ok(Self { connection: Mutex::new(connection), _lock: lock })
    }

    /// Checks and records in one step. `may` is asked about a replacement and a repetition too, as what the
    /// member allows may have changed; what the action itself spent before does not count against it.
    ///
    /// # Errors
    /// [`StoreError`]: then nothing is recorded for sure, and nothing may be signed.
    pub fn record<R>(
        &self,
        new: &NewSigning,
        now: UnixSeconds,
        may: impl FnOnce(&SignedLately) -> Result<(), R>,
    ) -> Result<SigningOutcome<R>> {
        self.write("record a signature", |sql| {
            if !is_whole(sql)? {
                return Ok(SigningOutcome::NotWhole);
            }
            let known = known(sql, new)?;
            if known.is_some_and(|(call, _)| call != new.call) {
                return Ok(SigningOutcome::Conflict);
            }
            if let Err(refusal) = may(&signed_lately(sql, new, now)?) {
                return Ok(SigningOutcome::Refused(refusal));
            }
            if known.is_some_and(|(_, is_same)| is_same) {
                return Ok(SigningOutcome::Known);
            }
            insert(sql, new, now)?;
            Ok(SigningOutcome::Recorded)
        })
    }

    /// Takes over what another member has signed, for a journal that was lost with its machine.
    ///
    /// # Errors
    /// [`StoreError`]: then none of it is taken over.
    pub fn learn(&self, records: &[(NewSigning, UnixSeconds)]) -> Result<()> {
        self.write("learn signatures", |sql| {
            records.iter().try_for_each(|(record, at)| insert(sql, record, *at))
        })
    }

    /// Everything here, for another member to learn; oldest first.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub fn records(&self) -> Result<Vec<(NewSigning, UnixSeconds)>> {
        self.write("read signatures", |sql| {
            let mut statement = sql.prepare_cached("SELECT * FROM signed ORDER BY at, rowid")?;
            let rows = statement.query_map([], |row| Ok((read(row)?, get(row, "at")?)))?;
            rows.collect()
        })
    }

    /// Says that everything this member ever signed stands here now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn declare_whole(&self) -> Result<()> {
        self.write("declare a journal whole", |sql| {
            sql.execute("UPDATE standing SET is_whole = 1", []).map(drop)
        })
    }

    /// Signs with `member` no more, from now on and after every restart. The first reason stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ban(&self, member: u8, reason: &str, now: UnixSeconds) -> Result<()> {
        self.write("ban a member", |sql| {
            sql.execute(
                "INSERT INTO banned (member, reason, at) VALUES (:member, :reason, :at)
                 ON CONFLICT (member) DO NOTHING",
                named_params! { ":member": member, ":reason": reason, ":at": Sql(now) },
            )
            .map(drop)
        })
    }

    /// Whom this member does not sign with, and why.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub fn banned(&self) -> Result<Vec<(u8, String)>> {
        self.write("read bans", |sql| {
            let mut statement =
                sql.prepare_cached("SELECT member, reason FROM banned ORDER BY member")?;
            let rows =
                statement.query_map([], |row| Ok((row.get("member")?, row.get("reason")?)))?;
            rows.collect()
        })
    }

    /// One exclusive transaction, on disk before this returns.
    fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        // A panic in the work has rolled its transaction back.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StoreError::statement(operation);
        let done = connection.transaction_with_behavior(TransactionBehavior::Exclusive).and_then(
            |transaction| {
                let result = work(&transaction)?;
                transaction.commit()?;
                Ok(result)
            },
        );
        done.map_err(failed)
    }
}

fn is_whole(sql: &Connection) -> rusqlite::Result<bool> {
    // No row: the machine died between making the file and beginning it.
    let whole = sql.query_row("SELECT is_whole FROM standing", [], |row| row.get(0)).optional()?;
    Ok(whole.unwrap_or(false))
}

/// The call under which the action was signed, and whether with this very digest.
fn known(sql: &Connection, new: &NewSigning) -> rusqlite::Result<Option<(B256, bool)>> {
    sql.prepare_cached(
        "SELECT call, max(digest = :digest) AS is_same FROM signed
         WHERE request_id = :request_id AND action = :action GROUP BY call",
    )?
    .query_row(
        named_params! {
            ":request_id": Sql(new.request_id), ":action": new.action, ":digest": Sql(new.digest),
        },
        |row| Ok((get(row, "call")?, row.get("is_same")?)),
    )
    .optional()
}

fn signed_lately(
    sql: &Connection,
    new: &NewSigning,
    now: UnixSeconds,
) -> rusqlite::Result<SignedLately> {
    let since = |seconds: u64| now.get().saturating_sub(seconds);
    let mut statement = sql.prepare_cached(
        "SELECT chain_id, value, min(at) AS first FROM signed
         WHERE agent = :agent AND at > :since AND NOT (request_id = :request_id AND action = :action)
         GROUP BY request_id, action",
    )?;
    let since_a_day = i64::try_from(since(DAY)).unwrap_or(i64::MAX);
    let mut rows = statement.query(named_params! {
        ":agent": Sql(new.agent), ":since": since_a_day,
        ":request_id": Sql(new.request_id), ":action": new.action,
    })?;
    let mut lately = SignedLately::default();
    while let Some(row) = rows.next()? {
        let (chain_id, value): (ChainId, U256) = (get(row, "chain_id")?, get(row, "value")?);
        if get::<UnixSeconds>(row, "first")?.get() > since(HOUR) {
            lately.actions_last_hour = lately.actions_last_hour.saturating_add(1);
        }
        if chain_id == new.chain_id {
            // At the end of its range it is above every limit.
            lately.value_last_day = lately.value_last_day.saturating_add(value);
        }
    }
    Ok(lately)
}

fn insert(sql: &Connection, new: &NewSigning, at: UnixSeconds) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO signed (request_id, action, call, digest, agent, chain_id, value, at)
         VALUES (:request_id, :action, :call, :digest, :agent, :chain_id, :value, :at)
         ON CONFLICT (request_id, action, digest) DO NOTHING",
    )?
    .execute(named_params! {
        ":request_id": Sql(new.request_id), ":action": new.action, ":call": Sql(new.call),
        ":digest": Sql(new.digest), ":agent": Sql(new.agent), ":chain_id": Sql(new.chain_id),
        ":value": Sql(new.value), ":at": Sql(at),
    })
    .map(drop)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<NewSigning> {
    Ok(NewSigning {
        request_id: get(row, "request_id")?,
        action: row.get("action")?,
        call: get(row, "call")?,
        digest: get(row, "digest")?,
        agent: get(row, "agent")?,
        chain_id: get(row, "chain_id")?,
        value: get(row, "value")?,
    })
}
