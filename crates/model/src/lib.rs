//! Language models whose output anyone can recompute: a GGUF reader, a byte-level tokenizer, chat
//! templates that user text cannot break out of, and a reference engine that gives the same bits
//! on every machine.
//!
//! ```no_run
//! # fn main() -> Result<(), capstan_model::Error> {
//! use capstan_model::{Generation, GenerationParams, Message, Model, Sampling};
//!
//! let model = std::sync::Arc::new(Model::load("models/capstan-tiny.gguf")?);
//! let prompt = model.encode_chat(&[Message::user("What is a voucher?")])?;
//! let params = GenerationParams { max_tokens: 64, sampling: Sampling::greedy() };
//! for token in Generation::new(model, prompt, params)? {
//!     let _bytes = token?.bytes;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The engine is a reference, not a race car: f32 throughout, one fixed order of additions, and
//! transcendental functions from `libm`, so that a transcript can be checked bit for bit by a
//! machine of another make. Everything here is synchronous; scheduling belongs to the host.
//!
//! This crate knows nothing of chains, sessions or sockets.

pub mod audit;
mod error;
pub mod generation;
pub mod gguf;
mod model;
pub mod reference;
pub mod sampling;
pub mod template;
pub mod tokenizer;

pub use error::Error;
pub use generation::{Finish, Generation, GenerationParams, Step, Token};
pub use gguf::GgufFile;
pub use model::{Model, file_id};
pub use sampling::{Sampler, Sampling};
pub use template::{ChatTemplate, Message, encode_chat};
pub use tokenizer::{Tokenizer, Utf8Stream};
