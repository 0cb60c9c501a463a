//! A PostgreSQL server of a test's own, in a temporary folder: real, durable, gone with the test.
//!
//! It listens on a Unix socket in that folder, so no port can clash. A watchdog holds the other end
//! of a pipe that only this process has: when this process dies, however it dies, the watchdog
//! kills the server and removes the folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a helper of tests: what goes wrong in it is a failed test, and its caller waits for it"
)]

mod programs;
mod server;

pub use server::Server;

/// Set to `1` by whoever has no PostgreSQL and wants to run the other tests.
pub const WITHOUT: &str = "CAPSTAN_WITHOUT_POSTGRES";

/// True if the environment says that there is no PostgreSQL.
pub fn is_left_out() -> bool {
    std::env::var_os(WITHOUT).is_some_and(|value| value == "1")
}

/// An error that says what to install, if it is not.
pub fn installed() -> Result<(), String> {
    programs::Programs::find().map(drop)
}

/// A server with an empty cluster. `None` only if [`WITHOUT`] is set, and then a line says so.
///
/// # Panics
/// If PostgreSQL is not installed or does not start.
pub fn start() -> Option<Server> {
    if is_left_out() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("SKIPPED {test}: it needs PostgreSQL, and {WITHOUT}=1 says there is none");
        return None;
    }
    Some(Server::start())
}
