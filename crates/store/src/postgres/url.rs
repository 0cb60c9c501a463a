//! Where a PostgreSQL database is. The URL holds a password, so it is never shown.

use core::fmt;
use core::str::FromStr;

use capstan_kit::Secret;
use sqlx::postgres::PgConnectOptions;

use crate::error::StoreError;

/// A checked `postgres://` URL. Shown as server and database alone.
#[derive(Clone)]
pub struct PostgresUrl {
    url: Secret,
    shown: String,
}

impl PostgresUrl {
    /// Checks a URL such as `postgres://user:password@host:5432/database?sslmode=verify-full`.
    pub fn new(url: Secret) -> Result<Self, StoreError> {
        let is_postgres =
            ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        // What the parser says of a URL it does not understand may quote parts of it.
        let options = PgConnectOptions::from_str(url.expose())
            .ok()
            .filter(|_| is_postgres)
            .ok_or(StoreError::BadUrl)?;
        let shown = match options.get_socket() {
            Some(socket) => format!("postgres at {}", socket.display()),
            None => format!("postgres at {}:{}", options.get_host(), options.get_port()),
        };
        let shown = match options.get_database() {
            Some(database) => format!("{shown}, database {database}"),
            None => shown,
        };
        Ok(Self { url, shown })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        // Parsed before, in `new`.
        PgConnectOptions::from_str(self.url.expose()).unwrap_or_default()
    }
}

impl FromStr for PostgresUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        Self::new(Secret::new(url.to_owned()))
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: PostgresUrl = "postgres://me:hunter2@db.example:6000/capstan".parse().unwrap();
        assert_eq!(url.to_string(), "postgres at db.example:6000, database capstan");
        assert!(!format!("{url:?}").contains("hunter2"));
        let socket: PostgresUrl = "postgres://me@localhost/x?host=%2Frun%2Fpg".parse().unwrap();
        assert_eq!(socket.to_string(), "postgres at /run/pg, database x");
        for bad in ["postgres://me:hunter2@db:port/x", "mysql://me:hunter2@db/x", "hunter2"] {
            let error = bad.parse::<PostgresUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
