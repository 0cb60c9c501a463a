//! What a database said went wrong, and whether it may go away by itself.

use rusqlite::ErrorCode;

/// An error of one of the databases.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Of PostgreSQL, or of the connection to it.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
}

impl DatabaseError {
    /// True if the same call may succeed later without anyone changing it: a lock, a full disk that
    /// somebody empties, a server that comes back.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DiskFull
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::OutOfMemory
                )
            ),
            Self::Postgres(error) => match error {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed => true,
                _ => sqlstate(error).is_some_and(|code| is_retryable_sqlstate(&code)),
            },
        }
    }

    /// True if the transaction lost against others that ran beside it and may win when it runs
    /// again at once: nothing of it was done.
    pub(crate) fn lost_a_race(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        // serialization_failure, deadlock_detected
        sqlstate(error).is_some_and(|code| matches!(code.as_str(), "40001" | "40P01"))
    }
}

/// The five characters by which PostgreSQL names an error, stable over languages and releases.
fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

fn is_retryable_sqlstate(code: &str) -> bool {
    match code {
        // lock_not_available; idle_in_transaction_session_timeout.
        "55P03" | "25P03" => true,
        // database_dropped: nobody brings it back.
        "57P04" => false,
        _ => matches!(
            code.get(..2),
            // Connection lost; rolled back; out of memory, disk or connections; cancelled by a
            // timeout, shutting down or starting up; failed reading or writing.
            Some("08" | "40" | "53" | "57" | "58")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_may_go_away() {
        for code in ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "55P03"] {
            assert!(is_retryable_sqlstate(code), "{code}");
        }
        for code in ["23505", "23514", "28P01", "3D000", "42P01", "57P04", "0A000", "x"] {
            assert!(!is_retryable_sqlstate(code), "{code}");
        }
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(DatabaseError::from(sqlx::Error::Io(gone)).is_retryable());
        assert!(!DatabaseError::from(sqlx::Error::RowNotFound).is_retryable());
    }
}
