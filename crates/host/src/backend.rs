//! The seam to whatever makes tokens.
//!
//! A backend takes prompt token ids and gives output token ids, one at a time and only when asked:
//! the session that does not ask pauses its own generation and no other. Ids are what is metered;
//! their bytes come from the model's own tokenizer, never from the backend.

use async_trait::async_trait;
use capstan_wire::session::FinishReason;

pub mod reference;
pub mod upstream;

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// Prompt, as token ids of the model.
    pub prompt: Vec<u32>,
    /// Most tokens to generate.
    pub max_tokens: u64,
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus; 1 is everything.
    pub top_p: f64,
    /// Seed of the sampler.
    pub seed: u64,
}

/// One generated token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeneratedToken {
    /// Id in the model's vocabulary.
    pub id: u32,
    /// Natural-log probability under the model before temperature, if known.
    pub logprob: Option<f64>,
}

/// What a generation gives when asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A token.
    Token(GeneratedToken),
    /// No more tokens.
    Finished(FinishReason),
}

/// Why a backend gave no token.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The request does not fit the model.
    #[error("the request does not fit the model: {0}")]
    Refused(String),
    /// Every worker is gone or the upstream cannot be reached.
    #[error("the backend is unavailable: {0}")]
    Unavailable(String),
    /// The upstream's counts contradict the model's own tokenizer.
    #[error("the upstream miscounts: {0}")]
    Miscount(String),
    /// The backend failed while generating.
    #[error("the backend failed: {0}")]
    Failed(String),
}

/// Makes tokens for one model. Dropping a generation cancels it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Begins a generation; the first token is made when it is asked for.
    async fn start(&self, request: GenerateRequest) -> Result<Box<dyn Generation>, BackendError>;

    /// Short name for logs and metrics.
    fn name(&self) -> &'static str;
}

/// A running generation.
#[async_trait]
pub trait Generation: Send {
    /// The next step. Cancel safe: a call that is dropped loses no token, the next call goes on.
    async fn next(&mut self) -> Result<Step, BackendError>;
}
