//! The reference engine: the llama architecture in f32, with every operation in a fixed order.
//!
//! Why its bits are the same everywhere: Rust keeps the written order of floating-point
//! operations and never fuses a multiplication with an addition; IEEE 754 fixes `+ - * /` and
//! `sqrt`; everything else (`exp`, `sin`, `cos`, `pow`) comes from the `libm` crate, not from the
//! platform. A sum uses a fixed number of lanes and a fixed tree, whatever the machine's vectors.
//! No result depends on other sequences, on threads, or on how a prompt was cut into pieces.
//!
//! Architecture: Touvron et al., "LLaMA" (arXiv 2302.13971), grouped queries as in Ainslie et al.
//! (arXiv 2305.13245), rotary positions of adjacent pairs (Su et al., arXiv 2104.09864).

mod config;
mod math;
mod sequence;
mod weights;

pub use config::Config;
pub use sequence::Sequence;
pub use weights::Weights;
