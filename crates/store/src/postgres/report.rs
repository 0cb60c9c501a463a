//! What an operator is told of the server and of the machines that share it.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::PgStore;
use super::columns::get;
use crate::error::{Result, StoreError};
use crate::lanes::LaneKey;

/// Who sends for a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The lane.
    pub lane: LaneKey,
    /// The engine that took it last; `None` if it was given back.
    pub owner: Option<String>,
    /// True while its lease lasts, by the server's clock.
    pub is_leased: bool,
}

impl PgStore {
    /// The server's version, in its own words.
    pub async fn server_version(&self) -> Result<String> {
        self.read("ask for the server's version", (), |sql, ()| {
            Box::pin(async move {
                sqlx::query_scalar("SHOW server_version")
                    .fetch_one(sql)
                    .await
                    .map_err(StoreError::statement("ask for the server's version"))
            })
        })
        .await
    }

    /// Who sends for each lane there ever was.
    pub async fn leads(&self) -> Result<Vec<Lead>> {
        self.read("list lanes", (), |sql, ()| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT chain_id, sender, owner,
                            coalesce(lease_until > unix_millis(), FALSE) AS is_leased
                     FROM lanes ORDER BY chain_id, sender",
                );
                let rows = rows.fetch_all(sql).await;
                rows.and_then(|rows| rows.iter().map(read_lead).collect())
                    .map_err(StoreError::statement("list lanes"))
            })
        })
        .await
    }
}

fn read_lead(row: &PgRow) -> sqlx::Result<Lead> {
    Ok(Lead {
        lane: LaneKey { chain_id: get(row, "chain_id")?, sender: get(row, "sender")? },
        owner: row.try_get("owner")?,
        is_leased: row.try_get("is_leased")?,
    })
}
