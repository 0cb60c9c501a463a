//! A pool of JSON-RPC endpoints of one chain, over HTTP and WebSocket.
//!
//! ```text
//! pool ─┬─ select   whom to believe and in which order to ask (pure)
//!       ├─ board    heads of all endpoints
//!       └─ endpoint ─┬─ http, socket   bytes there and back
//!                    └─ message, fault, outcome   what they mean
//! ```
//!
//! The HTTP side is our own, on `reqwest` alone: alloy's transport writes whole URLs, API keys
//! included, into its spans, and reads bodies without a bound.

mod board;
mod endpoint;
mod fault;
mod http;
mod message;
mod outcome;
mod pool;
mod select;
mod socket;
mod url;

pub use outcome::SendOutcome;
pub(crate) use pool::Ran;
pub use pool::{Found, PoolOptions, RpcPool, Voices};
pub use url::{RpcUrl, RpcUrlError};
