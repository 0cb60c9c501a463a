//! A pool of JSON-RPC endpoints of one chain.
//!
//! The HTTP side is our own, on `reqwest` alone: alloy's transport writes whole URLs, API keys
//! included, into its spans, and reads bodies without a bound.

mod endpoint;
mod outcome;
mod pool;
mod transport;
mod url;

pub use outcome::SendOutcome;
pub use pool::{PoolOptions, RpcPool};
pub use url::{RpcUrl, RpcUrlError};
