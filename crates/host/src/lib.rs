//! The selling side: admission, sessions, metering, settlement policy, backends, and the HTTP and
//! WebSocket front.

pub mod admission;
pub mod backend;
pub mod config;
pub mod funds;
pub mod http;
pub mod meter;
pub mod offline;
pub mod served;
pub mod service;
pub mod session;
pub mod sessions;
pub mod settlement;

pub use config::HostConfig;
pub use served::ServedModel;
pub use service::{Host, HostParts};
