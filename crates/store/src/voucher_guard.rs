//! The guard both sides put before a voucher: what is stored never falls.

use capstan_base::{SessionKey, SignedVoucher, TallyState};
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::columns::{Json, Sql};
use crate::error::{Result, StoreError};

/// Compares and stores in one statement. Amount and tally may each stay, neither may fall, and one
/// must rise: a ceiling signed ahead of the work keeps its voucher while the tally catches up. A
/// voucher's own token count is no guard: a ceiling states none.
macro_rules! update_sql {
    ($table:literal, $open:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET voucher = :voucher, voucher_amount = :amount,
                  tally = :tally, tally_tokens = :tally_tokens, updated_at = unixepoch()
              WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id
                AND state IN (",
            $open,
            ") AND :amount >= voucher_amount AND :tally_tokens >= tally_tokens
                AND (:amount > voucher_amount OR :tally_tokens > tally_tokens)"
        )
    };
}

macro_rules! is_open_sql {
    ($table:literal, $open:literal) => {
        concat!(
            "SELECT state IN (",
            $open,
            ") AS is_open, voucher IS :voucher AND tally = :tally AS is_same FROM ",
            $table,
            " WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id"
        )
    };
}
/// What became of a voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoucherOutcome {
    /// It is the newest now, or was already: a write whose answer was lost may be made again.
    Stored,
    /// The stored one covers as much or more; nothing changed.
    NotHigher,
    /// No such session here.
    UnknownSession,
    /// The session has ended; nothing changed.
    Closed,
    /// Another host serves it now; nothing changed.
    Elsewhere,
}

/// A table with voucher columns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum VoucherTable {
    Sessions,
    Rentals,
}

impl VoucherTable {
    const fn update(self) -> &'static str {
        match self {
            Self::Sessions => update_sql!("sessions", "'open', 'detached'"),
            Self::Rentals => update_sql!("rentals", "'opening', 'open'"),
        }
    }

    const fn is_open(self) -> &'static str {
        match self {
            Self::Sessions => is_open_sql!("sessions", "'open', 'detached'"),
            Self::Rentals => is_open_sql!("rentals", "'opening', 'open'"),
        }
    }
}

/// Stores a voucher with the tally it was signed at, unless another one is stored that is as high.
pub(crate) fn store_voucher(
    sql: &Connection,
    table: VoucherTable,
    key: &SessionKey,
    signed: &SignedVoucher,
    tally: &TallyState,
) -> Result<VoucherOutcome> {
    let statement = || {
        let changed = sql.prepare_cached(table.update())?.execute(named_params! {
            ":voucher": Json(signed),
            ":amount": Sql(signed.voucher.amount),
            ":tally": Json(tally),
            ":tally_tokens": Sql(tally.frontier.size),
            ":chain_id": Sql(key.chain_id),
            ":marketplace": Sql(key.marketplace),
            ":session_id": Sql(key.session_id),
        })?;
        if changed == 1 {
            return Ok::<_, rusqlite::Error>(VoucherOutcome::Stored);
        }
        let found = sql
            .prepare_cached(table.is_open())?
            .query_row(
                named_params! {
                    ":voucher": Json(signed),
                    ":tally": Json(tally),
                    ":chain_id": Sql(key.chain_id),
                    ":marketplace": Sql(key.marketplace),
                    ":session_id": Sql(key.session_id),
                },
                |row| Ok((row.get::<_, bool>("is_open")?, row.get::<_, bool>("is_same")?)),
            )
            .optional()?;
        Ok(match found {
            None => VoucherOutcome::UnknownSession,
            Some((false, _)) => VoucherOutcome::Closed,
            Some((true, true)) => VoucherOutcome::Stored,
            Some((true, false)) => VoucherOutcome::NotHigher,
        })
    };
    statement().map_err(StoreError::statement("store a voucher"))
}
