//! The buying side: opens sessions, recounts what is served, signs vouchers within a budget, and
//! serves a local OpenAI-compatible endpoint.
//!
//! ```text
//! OpenAI client ─► proxy ─► link ─WebSocket─► host
//!                            │  chunk: book counts it with the model's own tokenizer
//!                            │  voucher_request: book compares, refuses or signs
//!                            └► store: every voucher before it is sent
//! ```

pub mod book;
pub mod choice;
pub mod close;
mod error;
pub mod link;
pub mod open;
pub mod proxy;

pub use book::{Book, Refusal};
pub use error::RenterError;
