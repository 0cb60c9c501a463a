//! How values are written to PostgreSQL's columns and read back: the forms are those of `columns`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row, Type};

use crate::columns::{Column, Json, NotA, Sql};

/// Reads a named column of a row.
pub(crate) fn get<T>(row: &PgRow, column: &str) -> sqlx::Result<T>
where
    T: Column<Form: Type<Postgres> + for<'r> Decode<'r, Postgres>>,
{
    row.try_get::<Sql<T>, _>(column).map(|value| value.0)
}

/// Reads a named column that may be NULL.
pub(crate) fn get_option<T>(row: &PgRow, column: &str) -> sqlx::Result<Option<T>>
where
    T: Column<Form: Type<Postgres> + for<'r> Decode<'r, Postgres>>,
{
    row.try_get::<Option<Sql<T>>, _>(column).map(|value| value.map(|value| value.0))
}

impl<T: Column<Form: Type<Postgres>>> Type<Postgres> for Sql<T> {
    fn type_info() -> PgTypeInfo {
        T::Form::type_info()
    }
}

impl<T: Column<Form: for<'q> Encode<'q, Postgres>>> Encode<'_, Postgres> for Sql<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.form().ok_or(NotA("63-bit number"))?.encode(buffer)
    }
}

impl<'r, T: Column<Form: Decode<'r, Postgres>>> Decode<'r, Postgres> for Sql<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let form = T::Form::decode(value)?;
        Ok(Self(T::of(form).ok_or_else(NotA::of::<T>)?))
    }
}

impl<T> Type<Postgres> for Json<T> {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Json<&T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        serde_json::to_string(self.0)?.encode(buffer)
    }
}

impl<T: DeserializeOwned> Decode<'_, Postgres> for Json<T> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(<&str>::decode(value)?)?))
    }
}
