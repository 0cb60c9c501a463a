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

/// A value with a form that every database has: bytes or a signed 64-bit integer.
pub(crate) trait Column: Sized {
    /// `Vec<u8>` or `i64`.
    type Form;
    /// Its form; `None` if it is too large for it.
    fn form(&self) -> Option<Self::Form>;
    /// The value of a form; `None` if it is no form of one.
    fn of(form: Self::Form) -> Option<Self>;
}

macro_rules! bytes {
    ($($type:ty => $to:expr, $from:expr;)*) => {$(
        impl Column for $type {
            type Form = Vec<u8>;
            fn form(&self) -> Option<Vec<u8>> { Some($to(self)) }
            fn of(form: Vec<u8>) -> Option<Self> { $from(form) }
        }
    )*};
}

bytes! {
    Address => |value: &Address| value.to_vec(), |form: Vec<u8>| Address::try_from(&form[..]).ok();
    B256 => |value: &B256| value.to_vec(), hash;
    SessionId => |value: &SessionId| value.0.to_vec(), |form| hash(form).map(SessionId);
    U256 => U256::to_be_bytes_vec, word;
    Amount => |value: &Amount| <Amount as Into<U256>>::into(*value).to_be_bytes_vec(), |form| word(form).and_then(|value| Amount::try_from(value).ok());
    u128 => |value: &u128| U256::from(*value).to_be_bytes_vec(), |form| word(form).and_then(|value| u128::try_from(value).ok());
    Bytes => |value: &Bytes| value.to_vec(), |form: Vec<u8>| Some(Bytes::from(form));
}

fn hash(form: Vec<u8>) -> Option<B256> {
    B256::try_from(form.as_slice()).ok()
}

fn word(form: Vec<u8>) -> Option<U256> {
    <[u8; 32]>::try_from(form).ok().map(U256::from_be_bytes)
}

macro_rules! integers {
    ($($type:ty => $to:expr, $from:expr;)*) => {$(
        impl Column for $type {
            type Form = i64;
            fn form(&self) -> Option<i64> { i64::try_from($to(*self)).ok() }
            fn of(form: i64) -> Option<Self> { u64::try_from(form).ok().and_then($from) }
        }
    )*};
}

integers! {
    u64 => |value: u64| value, Some;
    u32 => u64::from, |value| u32::try_from(value).ok();
    ChainId => |value: ChainId| value.0, |value| Some(ChainId(value));
    UnixSeconds => UnixSeconds::get, |value| UnixSeconds::new(value).ok();
}

/// A value that a column cannot hold, or a column that holds no such value.
#[derive(Debug, thiserror::Error)]
#[error("not a {0}")]
pub(crate) struct NotA(pub(crate) &'static str);

impl NotA {
    pub(crate) fn of<T>() -> Self {
        Self(core::any::type_name::<T>())
    }
}

impl<T: Column<Form: Into<Value>>> ToSql for Sql<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let form = self.0.form().ok_or_else(|| {
            rusqlite::Error::ToSqlConversionFailure(Box::new(NotA("63-bit number")))
        })?;
        Ok(ToSqlOutput::Owned(form.into()))
    }
}

impl<T: Column<Form: FromSql>> FromSql for Sql<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let form = T::Form::column_result(value)?;
        T::of(form).map(Self).ok_or_else(|| FromSqlError::Other(Box::new(NotA::of::<T>())))
    }
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

            fn parse(text: &str) -> Result<Self, $crate::columns::NotA> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::columns::NotA(stringify!($name))),
                }
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
                Self::parse(value.as_str()?)
                    .map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)))
            }
        }

        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&str as sqlx::Encode<'_, sqlx::Postgres>>::encode(self.as_str(), buffer)
            }
        }

        impl sqlx::Decode<'_, sqlx::Postgres> for $name {
            fn decode(
                value: sqlx::postgres::PgValueRef<'_>,
            ) -> Result<Self, sqlx::error::BoxDynError> {
                Ok(Self::parse(<&str as sqlx::Decode<'_, sqlx::Postgres>>::decode(value)?)?)
            }
        }
    };
}
pub(crate) use text_enum;
