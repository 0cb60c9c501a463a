//! One growing sequence of tokens with its key and value cache.

use std::sync::Arc;

use super::Weights;
use super::math::{add, add_scaled, dot, matmul, rms_norm, rotate, softmax, swiglu};
use crate::Error;

/// Tokens that go through the layers together. Large enough that a row of weights is fetched
/// rarely, small enough that the activations stay in the cache.
const CHUNK: usize = 32;

/// The state of one sequence. Sequences share weights and nothing else, so that no neighbour can
/// influence a result. Memory grows with the tokens fed: two f32 per key and value element.
#[derive(Debug, Clone)]
pub struct Sequence {
    weights: Arc<Weights>,
    /// Per layer: keys `[position, kv_dim]`, values likewise.
    cache: Vec<(Vec<f32>, Vec<f32>)>,
    len: usize,
    max_len: usize,
    /// Normalised hidden state of the last token; empty before the first.
    last: Vec<f32>,
    logits: Vec<f32>,
}

impl Sequence {
    /// An empty sequence of at most `max_len` tokens, or the model's context if that is shorter.
    #[must_use]
    pub fn new(weights: Arc<Weights>, max_len: usize) -> Self {
        let max_len = max_len.min(weights.config.context_length);
        let cache = vec![(Vec::new(), Vec::new()); weights.config.layers];
        Self { weights, cache, len: 0, max_len, last: Vec::new(), logits: Vec::new() }
    }

    /// Tokens fed so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was fed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that fit in all.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Appends tokens: a prompt, or the one token just chosen. Pieces of any length give the same
    /// state.
    ///
    /// # Errors
    /// [`Error::TokenOutOfRange`], [`Error::ContextExceeded`]; the sequence is then unchanged.
    pub fn feed(&mut self, ids: &[u32]) -> Result<(), Error> {
        self.admit(ids)?;
        for chunk in ids.chunks(CHUNK) {
            let hidden = self.forward(chunk);
            let dim = self.weights.config.dim;
            if let Some(last) = hidden.chunks_exact(dim).next_back() {
                self.last = self.normalised(last);
            }
        }
        Ok(())
    }

    /// Appends tokens and calls `each` with the position and the logits after every one of them:
    /// one pass that shows what the model would have said at each point.
    ///
    /// # Errors
    /// As for [`Sequence::feed`].
    pub fn feed_each(
        &mut self,
        ids: &[u32],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.admit(ids)?;
        let (dim, vocab) = (self.weights.config.dim, self.weights.vocab_size());
        for chunk in ids.chunks(CHUNK) {
            let first = self.len;
            let hidden = self.forward(chunk);
            let normed: Vec<f32> =
                hidden.chunks_exact(dim).flat_map(|hidden| self.normalised(hidden)).collect();
            let mut logits = vec![0.0; chunk.len() * vocab];
            matmul(&mut logits, self.weights.head(), &normed, dim);
            for (i, logits) in logits.chunks_exact(vocab).enumerate() {
                each(first + i, logits);
            }
            if let Some(last) = normed.chunks_exact(dim).next_back() {
                self.last = last.to_vec();
            }
        }
        Ok(())
    }

    /// Logits `[vocabulary]` for the token after everything fed; empty before the first token.
    pub fn step(&mut self) -> &[f32] {
        if self.last.is_empty() {
            return &[];
        }
        self.logits.resize(self.weights.vocab_size(), 0.0);
        matmul(&mut self.logits, self.weights.head(), &self.last, self.weights.config.dim);
        &self.logits
    }

    fn admit(&self, ids: &[u32]) -> Result<(), Error> {
        let vocab_size = self.weights.vocab_size();
        let outside = ids.iter().position(|id| *id as usize >= vocab_size);
        if let Some(index) = outside {
            return Err(Error::TokenOutOfRange { index, id: ids[index], vocab_size });
        }
        let needed = self.len.saturating_add(ids.len());
        if needed > self.max_len {
            return Err(Error::ContextExceeded { needed, limit: self.max_len });
        }
        Ok(())
    }

    fn normalised(&self, hidden: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; hidden.len()];
        rms_norm(&mut out, hidden, &self.weights.output_norm, self.weights.config.norm_epsilon);
        out
    }

    /// Runs admitted tokens through all layers; returns their hidden states `[n, dim]`.
    fn forward(&mut self, ids: &[u32]) -> Vec<f32> {
        let weights = Arc::clone(&self.weights);
        let c = &weights.config;
        let (n, dim, head_dim) = (ids.len(), c.dim, c.head_dim);
        let (query_dim, kv_dim, ffn_dim) = (c.query_dim(), c.kv_dim(), c.ffn_dim);
        let group = c.heads / c.kv_heads;
        #[allow(clippy::cast_precision_loss, reason = "a head's width is far below 2^24")]
        let scale = 1.0 / (head_dim as f32).sqrt();

        let mut x: Vec<f32> = Vec::with_capacity(n * dim);
        for id in ids {
            let row = *id as usize * dim;
            x.extend_from_slice(&weights.embedding[row..row + dim]);
        }
        let angles: Vec<(f32, f32)> =
            (self.len..self.len + n).flat_map(|position| weights.angles(position)).collect();
        let pairs = head_dim / 2;

        let mut normed = vec![0.0; n * dim];
        let mut query = vec![0.0; n * query_dim];
        let mut key = vec![0.0; n * kv_dim];
        let mut value = vec![0.0; n * kv_dim];
        let mut mixed = vec![0.0; n * query_dim];
        let mut gate = vec![0.0; n * ffn_dim];
        let mut up = vec![0.0; n * ffn_dim];
        let mut back = vec![0.0; n * dim];
        let mut scores = Vec::with_capacity(self.len + n);

        for (layer, (keys, values)) in weights.layers.iter().zip(&mut self.cache) {
            for (out, x) in normed.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                rms_norm(out, x, &layer.attn_norm, c.norm_epsilon);
            }
            matmul(&mut query, &layer.query, &normed, dim);
            matmul(&mut key, &layer.key, &normed, dim);
            matmul(&mut value, &layer.value, &normed, dim);
            for (t, angles) in angles.chunks_exact(pairs).enumerate() {
                for head in query[t * query_dim..][..query_dim].chunks_exact_mut(head_dim) {
                    rotate(head, angles);
                }
                for head in key[t * kv_dim..][..kv_dim].chunks_exact_mut(head_dim) {
                    rotate(head, angles);
                }
            }
            keys.extend_from_slice(&key);
            values.extend_from_slice(&value);

            mixed.fill(0.0);
            let heads = query.chunks_exact(head_dim).zip(mixed.chunks_exact_mut(head_dim));
            for (i, (query, mixed)) in heads.enumerate() {
                let (t, h) = (i / c.heads, i % c.heads);
                let column = h / group * head_dim;
                let visible = self.len + t + 1;
                let keys = keys.chunks_exact(kv_dim).take(visible);
                let values = values.chunks_exact(kv_dim);
                scores.clear();
                scores.extend(keys.map(|key| dot(query, &key[column..][..head_dim]) * scale));
                softmax(&mut scores);
                for (score, value) in scores.iter().zip(values) {
                    add_scaled(mixed, *score, &value[column..][..head_dim]);
                }
            }
            matmul(&mut back, &layer.attn_output, &mixed, query_dim);
            add(&mut x, &back);

            for (out, x) in normed.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                rms_norm(out, x, &layer.ffn_norm, c.norm_epsilon);
            }
            matmul(&mut gate, &layer.gate, &normed, dim);
            matmul(&mut up, &layer.up, &normed, dim);
            swiglu(&mut gate, &up);
            matmul(&mut back, &layer.down, &gate, ffn_dim);
            add(&mut x, &back);
        }
        self.len += n;
        x
    }
}
