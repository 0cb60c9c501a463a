//! What crosses a socket: session messages, the OpenAI-compatible bodies, the error body, the
//! bearer credential. Types and pure conversions only; sockets belong to the rooms that open them.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod credential;
pub mod error;
pub mod info;
pub mod openai;
pub mod session;

pub use credential::{Credential, CredentialError};
pub use error::{ApiError, ErrorCode, PaymentNeeded};
