//! Requests, read leniently and judged strictly: unknown fields are ignored, since clients send
//! many; what would change the bill or the answer and is not supported is refused.

use capstan_base::{ChainId, SessionId};
use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};
use crate::session::PromptMessage;

/// Most stop texts, as in OpenAI's reference.
const MAX_STOPS: usize = 4;

/// Longest stop text, bytes: every token of an answer is compared with it.
const MAX_STOP_BYTES: usize = 1024;

/// What is to be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// A chat, rendered with the model's own template.
    Messages(Vec<Message>),
    /// Raw text.
    Text(String),
    /// Token ids as they stand.
    Ids(Vec<u32>),
}

/// One chat message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Its text; a list of text parts is joined.
    #[serde(default, deserialize_with = "text_of_content")]
    pub content: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    Null(()),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

fn text_of_content<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Content::deserialize(deserializer)? {
        Content::Text(text) => Ok(text),
        Content::Null(()) => Ok(String::new()),
        Content::Parts(parts) => parts
            .into_iter()
            .map(|part| match part.kind.as_str() {
                "text" | "input_text" => Ok(part.text),
                other => Err(serde::de::Error::custom(format!(
                    "content part of type {other:?}; this host reads text alone"
                ))),
            })
            .collect(),
    }
}

/// `stream_options`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(default)]
    pub include_usage: bool,
    /// Usage so far in every chunk.
    #[serde(default)]
    pub continuous_usage_stats: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// Fields common to both kinds of request.
#[derive(Clone, Debug, Deserialize)]
struct Common {
    #[serde(default)]
    model: String,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    stop: Option<Stop>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    return_token_ids: Option<bool>,
}

/// `POST /v1/chat/completions`.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatRequest {
    messages: Vec<Message>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(flatten)]
    common: Common,
}

/// `POST /v1/completions`.
#[derive(Clone, Debug, Deserialize)]
pub struct CompletionRequest {
    prompt: RawPrompt,
    #[serde(default)]
    logprobs: Option<u64>,
    #[serde(flatten)]
    common: Common,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum RawPrompt {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
}

/// `POST /v1/inference`: the node protocol's own request.
#[derive(Clone, Debug, Deserialize)]
pub struct InferenceRequest {
    prompt: String,
    /// Chain of the session; must agree with the credential.
    #[serde(default, alias = "chainId")]
    pub chain_id: Option<ChainId>,
    /// Session; must agree with the credential. `job_id` is its older name.
    #[serde(default, alias = "job_id", alias = "jobId", alias = "sessionId")]
    pub session_id: Option<SessionId>,
    #[serde(flatten)]
    common: Common,
}

/// How the answer is shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `chat.completion`.
    Chat,
    /// `text_completion`.
    Completion,
    /// The node protocol's flat body.
    Inference,
}

/// A request after judgement, whatever endpoint it came in by.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationRequest {
    /// Model name or id as the client wrote it; empty means the session's.
    pub model: String,
    /// Shape of the answer.
    pub shape: Shape,
    /// Stream of events instead of one body.
    pub stream: bool,
    /// What the stream carries besides.
    pub stream_options: StreamOptions,
    /// Log probabilities wanted.
    pub logprobs: bool,
    /// Token ids wanted, as vLLM offers.
    pub return_token_ids: bool,
    /// The prompt and how to answer it; the request id is the receiver's to set.
    pub prompt: PromptMessage,
}

impl ChatRequest {
    /// Judges the request.
    pub fn into_generation(self) -> Result<GenerationRequest, ApiError> {
        let logprobs = self.logprobs.unwrap_or(false);
        self.common.judge(Prompt::Messages(self.messages), Shape::Chat, logprobs)
    }
}

impl CompletionRequest {
    /// Judges the request.
    pub fn into_generation(self) -> Result<GenerationRequest, ApiError> {
        let prompt = match self.prompt {
            RawPrompt::Text(text) => Prompt::Text(text),
            RawPrompt::Ids(ids) => Prompt::Ids(ids),
            RawPrompt::Texts(mut texts) => match (texts.pop(), texts.is_empty()) {
                (Some(text), true) => Prompt::Text(text),
                _ => return Err(invalid("prompt", "exactly one prompt is served per request")),
            },
        };
        self.common.judge(prompt, Shape::Completion, self.logprobs.is_some())
    }
}

impl InferenceRequest {
    /// Judges the request.
    pub fn into_generation(self) -> Result<GenerationRequest, ApiError> {
        let message = Message { role: "user".into(), content: self.prompt };
        self.common.judge(Prompt::Messages(vec![message]), Shape::Inference, false)
    }
}

impl Common {
    fn judge(
        self,
        prompt: Prompt,
        shape: Shape,
        logprobs: bool,
    ) -> Result<GenerationRequest, ApiError> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(invalid("n", "n must be 1; send one request per answer"));
        }
        let stop = match self.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Many(texts)) => texts,
        };
        let prompt = PromptMessage {
            request_id: 0,
            prompt,
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            // Greedy unless asked otherwise: a greedy answer can be re-executed and compared.
            temperature: self.temperature.unwrap_or(0.0),
            top_p: self.top_p.unwrap_or(1.0),
            seed: self.seed.map_or(0, i64::cast_unsigned),
            stop,
        };
        prompt.check()?;
        Ok(GenerationRequest {
            model: self.model,
            shape,
            stream: self.stream.unwrap_or(false),
            stream_options: self.stream_options.unwrap_or_default(),
            logprobs,
            return_token_ids: self.return_token_ids.unwrap_or(false),
            prompt,
        })
    }
}

impl PromptMessage {
    /// Refuses what no answer can be given to. Both roads to a host are judged alike.
    pub fn check(&self) -> Result<(), ApiError> {
        if matches!(&self.prompt, Prompt::Messages(messages) if messages.is_empty()) {
            return Err(invalid("messages", "messages is empty; send at least one"));
        }
        if self.max_tokens == Some(0) {
            return Err(invalid("max_tokens", "max_tokens must be at least 1"));
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(invalid("temperature", "temperature must be between 0 and 2"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(invalid("top_p", "top_p must be above 0 and at most 1"));
        }
        let unfit = |text: &String| text.is_empty() || text.len() > MAX_STOP_BYTES;
        if self.stop.len() > MAX_STOPS || self.stop.iter().any(unfit) {
            return Err(invalid("stop", "stop takes at most 4 texts of 1 to 1024 bytes"));
        }
        Ok(())
    }
}

fn invalid(param: &str, message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message).with_param(param)
}
