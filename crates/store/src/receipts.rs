//! Receipts of a rental: what its host signed, kept as evidence.

use capstan_base::{SessionKey, SignedReceipt};
use rusqlite::{Connection, named_params};

use crate::columns::{Json, Sql};
use crate::error::{Result, StoreError};
use crate::rentals::find;
use crate::store::Store;

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// It is the newest now.
    Stored,
    /// A newer one is stored; nothing changed.
    Older,
    /// It contradicts the one stored, or an earlier one did. The first two that contradict each other
    /// are kept for good.
    Contradicts,
    /// No such rental here.
    UnknownSession,
}

impl Store {
    /// Stores a receipt whose signature is verified, whatever state the rental is in.
    pub async fn record_receipt(
        &self,
        key: SessionKey,
        signed: &SignedReceipt,
    ) -> Result<ReceiptOutcome> {
        let signed = signed.clone();
        self.write("store a receipt", move |sql| store_receipt(sql, &key, &signed)).await
    }
}

fn store_receipt(
    sql: &Connection,
    key: &SessionKey,
    signed: &SignedReceipt,
) -> Result<ReceiptOutcome> {
    let Some(rental) = find(sql, key)? else { return Ok(ReceiptOutcome::UnknownSession) };
    if rental.contradiction.is_some() {
        return Ok(ReceiptOutcome::Contradicts);
    }
    let (statement, outcome) = match rental.receipt {
        Some(stored) if stored.receipt.contradicts(&signed.receipt) => (
            "UPDATE rentals SET contradiction = :receipt, updated_at = unixepoch()
             WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id",
            ReceiptOutcome::Contradicts,
        ),
        Some(stored) if !signed.receipt.is_as_new_as(&stored.receipt) => {
            return Ok(ReceiptOutcome::Older);
        }
        _ => (
            "UPDATE rentals SET receipt = :receipt, updated_at = unixepoch()
             WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id",
            ReceiptOutcome::Stored,
        ),
    };
    sql.prepare_cached(statement)
        .and_then(|mut update| {
            update.execute(named_params! {
                ":receipt": Json(signed),
                ":chain_id": Sql(key.chain_id),
                ":marketplace": Sql(key.marketplace),
                ":session_id": Sql(key.session_id),
            })
        })
        .map(|_| outcome)
        .map_err(StoreError::statement("store a receipt"))
}
