//! Rentals: sessions a renter pays for, with everything needed to get the deposit back.

use capstan_base::{
    B256, Price, SessionKey, SessionTerms, SignedReceipt, SignedVoucher, TallyState, UnixSeconds,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::columns::{Json, Sql, get, get_option, text_enum};
use crate::error::{Result, StoreError};
use crate::intents::{IntentId, NewIntent, insert_intent};
use crate::sessions::{Closing, is_dead, read_closing, read_key};
use crate::store::Store;
use crate::voucher_guard::{VoucherOutcome, VoucherTable, store_voucher};

text_enum! {
    /// Where a rental stands on the renter's side.
    pub enum RentalState {
        /// The opening transaction is in the outbox or on its way.
        Opening = "opening",
        /// Open on its chain.
        Open = "open",
        /// Ended; waiting for the host, or for the renter's own transaction, to close it.
        Closing = "closing",
        /// Closed on its chain, or never opened.
        Closed = "closed",
    }
}

/// A session the renter wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRental {
    /// Its name in the world.
    pub key: SessionKey,
    /// What is asked for; lost terms would lose the deposit, so they are stored before opening.
    pub terms: SessionTerms,
    /// Where the host listens.
    pub host_url: String,
    /// Price it is recounted at.
    pub price: Price,
}

/// A rental as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rental {
    /// Its name in the world.
    pub key: SessionKey,
    /// What was agreed on.
    pub terms: SessionTerms,
    /// Where the host listens.
    pub host_url: String,
    /// Price it is recounted at.
    pub price: Price,
    /// Where it stands.
    pub state: RentalState,
    /// Newest voucher signed, whether or not the host got it.
    pub voucher: Option<SignedVoucher>,
    /// Tally at that voucher; empty without one.
    pub tally: TallyState,
    /// Why it ended, in the renter's words.
    pub end_reason: Option<String>,
    /// When it was stored.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Intent that opens it.
    pub open_intent: Option<IntentId>,
    /// Transaction that opened it.
    pub open_tx: Option<B256>,
    /// Intent by which the renter closes it, if it does.
    pub close_intent: Option<IntentId>,
    /// What closing paid, once it is final.
    pub closing: Option<Closing>,
    /// Newest receipt of the host.
    pub receipt: Option<SignedReceipt>,
    /// The first receipt that contradicts it.
    pub contradiction: Option<SignedReceipt>,
}

/// What became of storing a rental.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RentalInsert {
    /// New, with the intent that opens it.
    Created(Option<IntentId>),
    /// It was there.
    Existing(Box<Rental>),
}

const WHERE_KEY: &str =
    " WHERE chain_id = :chain_id AND marketplace = :marketplace AND session_id = :session_id";

impl Store {
    /// Stores a rental once and, in the same transaction, the intent that opens it.
    pub async fn insert_rental(
        &self,
        new: NewRental,
        open: Option<NewIntent>,
    ) -> Result<RentalInsert> {
        self.write("insert a rental", move |sql| insert(sql, &new, open.as_ref())).await
    }

    /// Notes that the session is open on chain. False if it was not opening.
    pub async fn rental_opened(&self, key: SessionKey, open_tx: B256) -> Result<bool> {
        self.write("note a rental's opening", move |sql| {
            let statement = format!(
                "UPDATE rentals SET state = 'open', open_tx = :open_tx, updated_at = unixepoch()
                 {WHERE_KEY} AND state = 'opening'"
            );
            execute(sql, &key, &statement, &[(":open_tx", &Sql(open_tx))])
        })
        .await
    }

    /// Stores a voucher before it is sent. None of amount, tokens and tally ever falls.
    pub async fn record_signed_voucher(
        &self,
        key: SessionKey,
        signed: &SignedVoucher,
        tally: &TallyState,
    ) -> Result<VoucherOutcome> {
        let (signed, tally) = (signed.clone(), tally.clone());
        self.write("store a signed voucher", move |sql| {
            store_voucher(sql, VoucherTable::Rentals, &key, &signed, &tally)
        })
        .await
    }

    /// Ends a rental, with the intent that closes it if the renter does so itself. A later call may
    /// add that intent, and bring another, under another key, once the first can have no effect any
    /// more. False if the rental is closed or unknown; nothing is sent then.
    pub async fn close_rental(
        &self,
        key: SessionKey,
        end_reason: impl Into<String>,
        close: Option<NewIntent>,
    ) -> Result<bool> {
        let end_reason = end_reason.into();
        self.write("close a rental", move |sql| {
            let Some(rental) = find(sql, &key)? else { return Ok(false) };
            // An intent that nothing refers to would still be sent.
            let may_close = rental.state != RentalState::Closed
                && (rental.close_intent.is_none() || is_dead(sql, rental.close_intent)?);
            let close = close.as_ref().filter(|_| may_close);
            let intent = close.map(|close| insert_intent(sql, close)).transpose()?;
            let intent = intent.map(|intent| Sql(intent.id().0));
            let statement = format!(
                "UPDATE rentals
                 SET state = 'closing', end_reason = coalesce(end_reason, :end_reason),
                     close_intent = coalesce(:intent, close_intent), updated_at = unixepoch()
                 {WHERE_KEY} AND state <> 'closed'"
            );
            execute(sql, &key, &statement, &[(":end_reason", &end_reason), (":intent", &intent)])
        })
        .await
    }

    /// Records what closing paid. False if it was closed already or is unknown.
    pub async fn finish_rental(&self, key: SessionKey, closing: Closing) -> Result<bool> {
        self.write("finish a rental", move |sql| {
            let statement = format!(
                "UPDATE rentals
                 SET state = 'closed', paid = :paid, fee = :fee, refund = :refund,
                     close_tx = :close_tx, updated_at = unixepoch()
                 {WHERE_KEY} AND state <> 'closed'"
            );
            execute(
                sql,
                &key,
                &statement,
                &[
                    (":paid", &Sql(closing.paid)),
                    (":fee", &Sql(closing.fee)),
                    (":refund", &Sql(closing.refund)),
                    (":close_tx", &Sql(closing.close_tx)),
                ],
            )
        })
        .await
    }

    /// Gives up a rental whose opening failed: nothing was escrowed. False if it was not opening.
    pub async fn abandon_rental(
        &self,
        key: SessionKey,
        end_reason: impl Into<String>,
    ) -> Result<bool> {
        let end_reason = end_reason.into();
        self.write("abandon a rental", move |sql| {
            let statement = format!(
                "UPDATE rentals SET state = 'closed', end_reason = :end_reason,
                                    updated_at = unixepoch()
                 {WHERE_KEY} AND state = 'opening'"
            );
            execute(sql, &key, &statement, &[(":end_reason", &end_reason)])
        })
        .await
    }

    /// Looks a rental up.
    pub async fn rental(&self, key: SessionKey) -> Result<Option<Rental>> {
        self.read("read a rental", move |sql| find(sql, &key)).await
    }

    /// Rentals in a state, or all, oldest first.
    pub async fn rentals(&self, state: Option<RentalState>) -> Result<Vec<Rental>> {
        self.read("list rentals", move |sql| {
            let rows = || {
                let mut rows = sql.prepare_cached(
                    "SELECT * FROM rentals WHERE ?1 IS NULL OR state = ?1
                     ORDER BY created_at, chain_id, session_id",
                )?;
                let rows = rows.query_map([state], read_rental)?;
                rows.collect::<rusqlite::Result<_>>()
            };
            rows().map_err(StoreError::statement("list rentals"))
        })
        .await
    }
}

fn insert(sql: &Connection, new: &NewRental, open: Option<&NewIntent>) -> Result<RentalInsert> {
    if let Some(existing) = find(sql, &new.key)? {
        return Ok(RentalInsert::Existing(Box::new(existing)));
    }
    let intent = open.map(|open| insert_intent(sql, open)).transpose()?.map(|intent| intent.id());
    sql.prepare_cached(
        "INSERT INTO rentals (chain_id, marketplace, session_id, terms, host_url, price_input,
                              price_output, tally, open_intent)
         VALUES (:chain_id, :marketplace, :session_id, :terms, :host_url, :price_input,
                 :price_output, :tally, :open_intent)",
    )
    .and_then(|mut insert| {
        insert.execute(named_params! {
            ":chain_id": Sql(new.key.chain_id),
            ":marketplace": Sql(new.key.marketplace),
            ":session_id": Sql(new.key.session_id),
            ":terms": Json(&new.terms),
            ":host_url": new.host_url,
            ":price_input": Sql(new.price.input),
            ":price_output": Sql(new.price.output),
            ":tally": Json(&TallyState::default()),
            ":open_intent": intent.map(|id| Sql(id.0)),
        })
    })
    .map(|_| RentalInsert::Created(intent))
    .map_err(StoreError::statement("insert a rental"))
}

/// Runs an update that touches one row or none.
fn execute(
    sql: &Connection,
    key: &SessionKey,
    statement: &str,
    values: &[(&str, &dyn rusqlite::ToSql)],
) -> Result<bool> {
    let (chain_id, marketplace, session_id) =
        (Sql(key.chain_id), Sql(key.marketplace), Sql(key.session_id));
    let mut parameters: Vec<(&str, &dyn rusqlite::ToSql)> = vec![
        (":chain_id", &chain_id),
        (":marketplace", &marketplace),
        (":session_id", &session_id),
    ];
    parameters.extend_from_slice(values);
    sql.prepare_cached(statement)
        .and_then(|mut update| update.execute(parameters.as_slice()))
        .map(|changed| changed == 1)
        .map_err(StoreError::statement("change a rental"))
}

pub(crate) fn find(sql: &Connection, key: &SessionKey) -> Result<Option<Rental>> {
    sql.prepare_cached(
        "SELECT * FROM rentals WHERE chain_id = ?1 AND marketplace = ?2 AND session_id = ?3",
    )
    .and_then(|mut rows| {
        rows.query_row((Sql(key.chain_id), Sql(key.marketplace), Sql(key.session_id)), read_rental)
            .optional()
    })
    .map_err(StoreError::statement("read a rental"))
}

fn read_rental(row: &Row<'_>) -> rusqlite::Result<Rental> {
    Ok(Rental {
        key: read_key(row)?,
        terms: row.get::<_, Json<_>>("terms")?.0,
        host_url: row.get("host_url")?,
        price: Price { input: get(row, "price_input")?, output: get(row, "price_output")? },
        state: row.get("state")?,
        voucher: row.get::<_, Option<Json<_>>>("voucher")?.map(|voucher| voucher.0),
        tally: row.get::<_, Json<_>>("tally")?.0,
        end_reason: row.get("end_reason")?,
        created_at: get(row, "created_at")?,
        updated_at: get(row, "updated_at")?,
        open_intent: get_option(row, "open_intent")?.map(IntentId),
        open_tx: get_option(row, "open_tx")?,
        close_intent: get_option(row, "close_intent")?.map(IntentId),
        closing: read_closing(row)?,
        receipt: row.get::<_, Option<Json<_>>>("receipt")?.map(|receipt| receipt.0),
        contradiction: row.get::<_, Option<Json<_>>>("contradiction")?.map(|receipt| receipt.0),
    })
}
