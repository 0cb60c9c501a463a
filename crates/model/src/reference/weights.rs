//! The numbers of a model, as f32, shared by all its sequences.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Config;
use crate::Error;
use crate::gguf::GgufFile;

/// All weights of one model. Matrices are row-major `[out, in]`.
#[derive(Debug)]
pub struct Weights {
    pub(super) config: Config,
    pub(super) embedding: Vec<f32>,
    pub(super) layers: Vec<Layer>,
    pub(super) output_norm: Vec<f32>,
    /// `None` when the head is tied to the embedding.
    output: Option<Vec<f32>>,
    /// Rotary angle per position and pair, in radians.
    frequencies: Vec<f64>,
    vocab_size: usize,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attn_norm: Vec<f32>,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) attn_output: Vec<f32>,
    pub(super) ffn_norm: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    pub(super) down: Vec<f32>,
}

impl Weights {
    /// Reads every tensor and checks its shape. A file with tensors that a llama model does not
    /// have is refused: leaving them out would give plausible, wrong answers.
    ///
    /// # Errors
    /// Those of [`Config::from_gguf`]; [`Error::LoadTensor`], [`Error::Unsupported`].
    pub fn load(file: &GgufFile) -> Result<Arc<Self>, Error> {
        let config = Config::from_gguf(file)?;
        let mut loader = Loader { file, taken: BTreeSet::new() };
        let vocab_size = match file.tensors().get("token_embd.weight").map(|info| info.shape()) {
            Some([_, rows]) => *rows,
            _ => return Err(loader.wrong("token_embd.weight", "is missing or not a matrix")),
        };
        let (dim, ffn) = (config.dim, config.ffn_dim);
        let (query_dim, kv_dim) = (config.query_dim(), config.kv_dim());

        let embedding = loader.matrix("token_embd.weight", vocab_size, dim)?;
        let mut layers = Vec::new();
        for i in 0..config.layers {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            layers.push(Layer {
                attn_norm: loader.vector(&name("attn_norm"), dim)?,
                query: loader.matrix(&name("attn_q"), query_dim, dim)?,
                key: loader.matrix(&name("attn_k"), kv_dim, dim)?,
                value: loader.matrix(&name("attn_v"), kv_dim, dim)?,
                attn_output: loader.matrix(&name("attn_output"), dim, query_dim)?,
                ffn_norm: loader.vector(&name("ffn_norm"), dim)?,
                gate: loader.matrix(&name("ffn_gate"), ffn, dim)?,
                up: loader.matrix(&name("ffn_up"), ffn, dim)?,
                down: loader.matrix(&name("ffn_down"), dim, ffn)?,
            });
        }
        let output_norm = loader.vector("output_norm.weight", dim)?;
        let output = match file.tensors().contains_key("output.weight") {
            true => Some(loader.matrix("output.weight", vocab_size, dim)?),
            false => None,
        };
        let frequencies = frequencies(&config, &mut loader)?;
        if let Some(name) = file.tensors().keys().find(|name| !loader.taken.contains(*name)) {
            return Err(Error::Unsupported {
                what: format!("tensor {name:.64}, which a llama model does not have"),
                hint: "serve this model through another backend",
            });
        }
        Ok(Arc::new(Self {
            config,
            embedding,
            layers,
            output_norm,
            output,
            frequencies,
            vocab_size,
        }))
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of rows of the embedding, and of logits.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The matrix `[vocabulary, dim]` that turns the last hidden state into logits.
    pub(super) fn head(&self) -> &[f32] {
        self.output.as_deref().unwrap_or(&self.embedding)
    }

    /// Cosine and sine for each pair of a head at a position.
    pub(super) fn angles(&self, position: usize) -> impl Iterator<Item = (f32, f32)> + '_ {
        #[allow(clippy::cast_precision_loss, reason = "a position is far below 2^53")]
        let position = position as f64;
        self.frequencies.iter().map(move |frequency| {
            let angle = position * frequency;
            #[allow(clippy::cast_possible_truncation, reason = "f64 to f32 rounds to nearest")]
            (libm::cos(angle) as f32, libm::sin(angle) as f32)
        })
    }
}

/// `base^(-2i/d)`, divided by the file's own factors where it has some (Llama 3.1 and later).
fn frequencies(config: &Config, loader: &mut Loader<'_>) -> Result<Vec<f64>, Error> {
    let pairs = config.head_dim / 2;
    let factors = match loader.file.tensors().contains_key("rope_freqs.weight") {
        true => loader.vector("rope_freqs.weight", pairs)?,
        false => vec![1.0; pairs],
    };
    #[allow(clippy::cast_precision_loss, reason = "a width is far below 2^53")]
    let exponent = |i: usize| -2.0 * i as f64 / config.head_dim as f64;
    let out = factors.iter().enumerate();
    let out = out.map(|(i, factor)| libm::pow(config.rope_base, exponent(i)) / f64::from(*factor));
    let out: Vec<f64> = out.collect();
    match out.iter().all(|frequency| frequency.is_finite()) {
        true => Ok(out),
        false => Err(loader.wrong("rope_freqs.weight", "holds a zero")),
    }
}

struct Loader<'a> {
    file: &'a GgufFile,
    taken: BTreeSet<String>,
}

impl Loader<'_> {
    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        self.tensor(name, &[len])
    }

    fn matrix(&mut self, name: &str, rows: usize, width: usize) -> Result<Vec<f32>, Error> {
        self.tensor(name, &[width, rows])
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let info = self.file.tensors().get(name);
        let info = info.ok_or_else(|| self.wrong(name, "is missing"))?;
        if info.shape() != shape {
            let what = format!("has shape {:?} where {shape:?} is expected", info.shape());
            return Err(self.wrong(name, &what));
        }
        self.taken.insert(name.to_owned());
        self.file.tensor_f32(name)
    }

    fn wrong(&self, name: &str, what: &str) -> Error {
        Error::LoadTensor { name: name.to_owned(), what: what.to_owned() }
    }
}
