//! The shape of a llama model, read from metadata and checked.

use crate::Error;
use crate::gguf::{GgufFile, Value};

const HINT: &str = "serve this model through another backend";
/// No real model is near these; they keep every later product of sizes far from overflow.
const MAX_DIMENSION: usize = 1 << 20;
const MAX_LAYERS: usize = 1 << 12;

/// Sizes and constants of a model, all checked against each other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Longest sequence the model was made for, in tokens.
    pub context_length: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Inner width of the feed-forward part.
    pub ffn_dim: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f64,
    /// Added to the mean square before the root.
    pub norm_epsilon: f32,
}

impl Config {
    /// Reads the `llama.*` keys.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture or rotary scaling, [`Error::Metadata`] for
    /// missing or senseless sizes.
    pub fn from_gguf(file: &GgufFile) -> Result<Self, Error> {
        let architecture = file.required("general.architecture", Value::as_str)?;
        if architecture != "llama" {
            return Err(Error::Unsupported {
                what: format!("architecture {architecture:.32}"),
                hint: "the reference engine runs llama models; serve this one through another \
                       backend",
            });
        }
        match file.optional("llama.rope.scaling.type", Value::as_str)? {
            None | Some("none") => {}
            Some(other) => return unsupported(format!("rotary scaling {other:.32}")),
        }
        if file.optional("llama.expert_count", Value::as_u32)?.unwrap_or(0) != 0 {
            return unsupported("a mixture of experts".to_owned());
        }

        let context_length = size(file, "llama.context_length", MAX_DIMENSION * 16)?;
        let dim = size(file, "llama.embedding_length", MAX_DIMENSION)?;
        let layers = size(file, "llama.block_count", MAX_LAYERS)?;
        let heads = size(file, "llama.attention.head_count", MAX_DIMENSION)?;
        let kv_heads = optional_size(file, "llama.attention.head_count_kv")?.unwrap_or(heads);
        let head_dim = optional_size(file, "llama.attention.key_length")?.unwrap_or(dim / heads);
        let value_dim = optional_size(file, "llama.attention.value_length")?.unwrap_or(head_dim);
        let rope_dim = optional_size(file, "llama.rope.dimension_count")?.unwrap_or(head_dim);
        let ffn_dim = size(file, "llama.feed_forward_length", MAX_DIMENSION)?;
        let rope_base = file.optional("llama.rope.freq_base", Value::as_f64)?.unwrap_or(10_000.0);
        let epsilon = file.required("llama.attention.layer_norm_rms_epsilon", Value::as_f64)?;

        if !heads.is_multiple_of(kv_heads) {
            return Err(senseless("llama.attention.head_count_kv", "does not divide the heads"));
        }
        if head_dim < 2 || !head_dim.is_multiple_of(2) {
            return Err(senseless("llama.attention.key_length", "is not even"));
        }
        if value_dim != head_dim || rope_dim != head_dim {
            return unsupported("heads with several widths".to_owned());
        }
        if !(rope_base.is_finite() && rope_base >= 1.0) {
            return Err(senseless("llama.rope.freq_base", "is out of range"));
        }
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return Err(senseless("llama.attention.layer_norm_rms_epsilon", "is out of range"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "the file stores an f32")]
        let norm_epsilon = epsilon as f32;
        Ok(Self {
            context_length,
            dim,
            layers,
            heads,
            kv_heads,
            head_dim,
            ffn_dim,
            rope_base,
            norm_epsilon,
        })
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn query_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    #[must_use]
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

fn size(file: &GgufFile, key: &str, limit: usize) -> Result<usize, Error> {
    let value = file.required(key, Value::as_u64)?;
    checked(key, value, limit)
}

fn optional_size(file: &GgufFile, key: &str) -> Result<Option<usize>, Error> {
    let value = file.optional(key, Value::as_u64)?;
    value.map(|value| checked(key, value, MAX_DIMENSION)).transpose()
}

fn checked(key: &str, value: u64, limit: usize) -> Result<usize, Error> {
    match usize::try_from(value) {
        Ok(value) if (1..=limit).contains(&value) => Ok(value),
        _ => Err(senseless(key, "is out of range")),
    }
}

fn senseless(key: &str, what: &str) -> Error {
    Error::Metadata { key: key.to_owned(), what: what.to_owned() }
}

fn unsupported<T>(what: String) -> Result<T, Error> {
    Err(Error::Unsupported { what, hint: HINT })
}
