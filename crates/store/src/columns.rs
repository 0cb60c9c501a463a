//! How values are written to columns and read back.
//!
//! An amount that may exceed 63 bits is a 32-byte big-endian BLOB rather than decimal text, because
//! SQLite then compares it in numeric order: the guard that a voucher never falls is one WHERE clause.

use alloy_primitives::Bytes;
use capstan_base::{Address, Amount, B256, ChainId, SessionId, U256, UnixSeconds};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value on its way into or out of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql<T>(pub(crate) T);

/// A value kept as JSON text: structured, never searched by its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Reads a named column of a row.
pub(crate) fn get<T>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T>
where
    Sql<T>: FromSql,
{
    row.get::<_, Sql<T>>(column).map(|value| value.0)
}

/// Reads a named column that may be NULL.
pub(crate) fn get_option<T>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    Sql<T>: FromSql,
{
    row.get::<_, Option<Sql<T>>>(column).map(|value| value.map(|value| value.0))
}

macro_rules! fixed_bytes {
    ($($type:ty => $to:expr, $from:expr;)*) => {$(
        impl ToSql for Sql<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let bytes: Vec<u8> = $to(&self.0);
                Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
            }
        }

        impl FromSql for Sql<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = value.as_blob()?;
                $from(bytes).map(Self).ok_or_else(|| FromSqlError::Other(
                    concat!("not a ", stringify!($type)).into(),
                ))
            }
        }
    )*};
}

fixed_bytes! {
    Address => |value: &Address| value.to_vec(), |bytes: &[u8]| Address::try_from(bytes).ok();
    B256 => |value: &B256| value.to_vec(), |bytes: &[u8]| B256::try_from(bytes).ok();
    SessionId => |value: &SessionId| value.0.to_vec(), |bytes: &[u8]| B256::try_from(bytes).ok().map(SessionId);
    U256 => |value: &U256| value.to_be_bytes_vec(), word;
    Amount => |value: &Amount| <Amount as Into<U256>>::into(*value).to_be_bytes_vec(), |bytes: &[u8]| word(bytes).and_then(|value| Amount::try_from(value).ok());
    u128 => |value: &u128| U256::from(*value).to_be_bytes_vec(), |bytes: &[u8]| word(bytes).and_then(|value| u128::try_from(value).ok());
    Bytes => |value: &Bytes| value.to_vec(), |bytes: &[u8]| Some(Bytes::copy_from_slice(bytes));
}

fn word(bytes: &[u8]) -> Option<U256> {
    <[u8; 32]>::try_from(bytes).ok().map(U256::from_be_bytes)
}

macro_rules! integers {
    ($($type:ty => $to:expr, $from:expr;)*) => {$(
        impl ToSql for Sql<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let value: u64 = $to(self.0);
                i64::try_from(value)
                    .map(|value| ToSqlOutput::Owned(Value::Integer(value)))
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
            }
        }

        impl FromSql for Sql<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let value = value.as_i64()?;
                u64::try_from(value)
                    .ok()
                    .and_then($from)
                    .map(Self)
                    .ok_or(FromSqlError::OutOfRange(value))
            }
        }
    )*};
}

integers! {
    u64 => |value| value, Some;
    u32 => u64::from, |value| u32::try_from(value).ok();
    ChainId => |value: ChainId| value.0, |value| Some(ChainId(value));
    UnixSeconds => UnixSeconds::get, |value| UnixSeconds::new(value).ok();
}

impl<T: Serialize> ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(self.0)
            .map(|text| ToSqlOutput::Owned(Value::Text(text)))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// An enum kept as the TEXT its CHECK constraint spells out.
macro_rules! text_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Stable text form, as stored and as shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(rusqlite::types::FromSqlError::Other(
                        concat!("not a ", stringify!($name)).into(),
                    )),
                }
            }
        }
    };
}
pub(crate) use text_enum;
