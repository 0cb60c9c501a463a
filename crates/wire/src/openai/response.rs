//! Answers: one body, or the chunks of a stream of server-sent events.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::{GenerationRequest, Shape, StreamOptions};
use crate::session::FinishReason;

/// Token counts of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Generated tokens.
    pub completion_tokens: u64,
    /// Their sum.
    pub total_tokens: u64,
}

impl Usage {
    /// Counts with their sum.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { prompt_tokens, completion_tokens, total_tokens }
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// Text, possibly empty when a token ends inside a character.
    pub text: String,
    /// Token ids behind it.
    pub ids: Vec<u32>,
    /// Log probability of each id, if known: (token text, value).
    pub logprobs: Vec<(String, f64)>,
}

/// Makes the JSON of one answer. Id and time are the same in every chunk, as clients expect.
#[derive(Clone, Debug)]
pub struct Assembler {
    id: String,
    created: u64,
    model: String,
    shape: Shape,
    options: StreamOptions,
    logprobs: bool,
    return_token_ids: bool,
}

impl Assembler {
    /// For one request; `id` without its prefix, `created` in Unix seconds.
    pub fn new(request: &GenerationRequest, model: String, id: &str, created: u64) -> Self {
        let prefix = match request.shape {
            Shape::Chat => "chatcmpl",
            Shape::Completion | Shape::Inference => "cmpl",
        };
        Self {
            id: format!("{prefix}-{id}"),
            created,
            model,
            shape: request.shape,
            options: request.stream_options,
            logprobs: request.logprobs,
            return_token_ids: request.return_token_ids,
        }
    }

    /// First chunk of a stream. Carries the prompt's ids if ids were asked for.
    pub fn opening(&self, prompt_ids: &[u32]) -> Option<Value> {
        let mut chunk = match self.shape {
            Shape::Chat => self.chunk(json!({ "role": "assistant", "content": "" }), None, None),
            Shape::Completion if self.return_token_ids => self.chunk(json!(""), None, None),
            Shape::Completion | Shape::Inference => return None,
        };
        if let (true, Some(fields)) = (self.return_token_ids, chunk.as_object_mut()) {
            fields.insert("prompt_token_ids".into(), json!(prompt_ids));
        }
        Some(chunk)
    }

    /// A piece of a stream; `usage` so far.
    pub fn piece(&self, delta: &Delta, usage: Usage) -> Value {
        let content = match self.shape {
            Shape::Chat => json!({ "content": delta.text }),
            Shape::Completion | Shape::Inference => json!(delta.text),
        };
        let mut chunk = self.chunk(content, None, Some(usage));
        if let Some(choice) = chunk.pointer_mut("/choices/0").and_then(Value::as_object_mut) {
            if self.logprobs {
                choice.insert("logprobs".into(), self.logprobs_of(delta));
            }
            if self.return_token_ids {
                choice.insert("token_ids".into(), json!(delta.ids));
            }
        }
        chunk
    }

    /// Last chunks of a stream: the reason, then the usage if it was asked for.
    pub fn closing(&self, reason: FinishReason, usage: Usage) -> Vec<Value> {
        let empty = match self.shape {
            Shape::Chat => json!({}),
            Shape::Completion | Shape::Inference => json!(""),
        };
        let mut chunks = vec![self.chunk(empty, Some(reason), Some(usage))];
        if self.options.include_usage {
            let mut last = self.envelope(json!([]));
            if let Some(fields) = last.as_object_mut() {
                fields.insert("usage".into(), json!(usage));
            }
            chunks.push(last);
        }
        chunks
    }

    /// The whole answer in one body.
    pub fn whole(
        &self,
        delta: &Delta,
        prompt_ids: &[u32],
        reason: FinishReason,
        usage: Usage,
    ) -> Value {
        let logprobs = if self.logprobs { self.logprobs_of(delta) } else { Value::Null };
        let mut choice = json!({
            "index": 0,
            "finish_reason": reason_word(reason),
            "logprobs": logprobs,
        });
        if let Some(fields) = choice.as_object_mut() {
            match self.shape {
                Shape::Chat => fields.insert(
                    "message".into(),
                    json!({ "role": "assistant", "content": delta.text, "refusal": null }),
                ),
                Shape::Completion | Shape::Inference => {
                    fields.insert("text".into(), json!(delta.text))
                }
            };
            if self.return_token_ids {
                fields.insert("token_ids".into(), json!(delta.ids));
            }
        }
        let mut body = self.envelope(json!([choice]));
        if let Some(fields) = body.as_object_mut() {
            fields.insert("object".into(), json!(self.object(false)));
            fields.insert("usage".into(), json!(usage));
            if self.return_token_ids {
                fields.insert("prompt_token_ids".into(), json!(prompt_ids));
            }
            if self.shape == Shape::Inference {
                fields.insert("response".into(), json!(delta.text));
                fields.insert("tokens_used".into(), json!(usage.total_tokens));
                fields.insert("finish_reason".into(), json!(reason_word(reason)));
            }
        }
        body
    }

    fn chunk(&self, content: Value, reason: Option<FinishReason>, usage: Option<Usage>) -> Value {
        let field = if self.shape == Shape::Chat { "delta" } else { "text" };
        let mut chunk = self.envelope(json!([{
            "index": 0,
            field: content,
            "logprobs": null,
            "finish_reason": reason.map(reason_word),
        }]));
        if let Some(fields) = chunk.as_object_mut() {
            match usage {
                Some(usage) if self.options.continuous_usage_stats => {
                    fields.insert("usage".into(), json!(usage));
                }
                _ if self.options.include_usage => {
                    fields.insert("usage".into(), Value::Null);
                }
                _ => {}
            }
        }
        chunk
    }

    fn envelope(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": self.object(true),
            "created": self.created,
            "model": self.model,
            "system_fingerprint": null,
            "choices": choices,
        })
    }

    fn object(&self, streamed: bool) -> &'static str {
        match (self.shape, streamed) {
            (Shape::Chat, true) => "chat.completion.chunk",
            (Shape::Chat, false) => "chat.completion",
            (Shape::Completion | Shape::Inference, _) => "text_completion",
        }
    }

    fn logprobs_of(&self, delta: &Delta) -> Value {
        match self.shape {
            Shape::Chat => json!({
                "content": delta.logprobs.iter().map(|(token, logprob)| json!({
                    "token": token, "logprob": logprob, "bytes": token.as_bytes(),
                    "top_logprobs": [],
                })).collect::<Vec<_>>(),
                "refusal": null,
            }),
            Shape::Completion | Shape::Inference => json!({
                "tokens": delta.logprobs.iter().map(|(token, _)| token).collect::<Vec<_>>(),
                "token_logprobs": delta.logprobs.iter().map(|(_, p)| p).collect::<Vec<_>>(),
                "top_logprobs": null,
                "text_offset": [],
            }),
        }
    }
}

/// OpenAI knows two ends of a plain answer: the model's own, and a limit.
fn reason_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length | FinishReason::Cancelled | FinishReason::DepositExhausted => "length",
    }
}

/// One model of `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Name a request uses.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// Host address.
    pub owned_by: String,
    /// Model id on chain: SHA-256 of the weights file.
    pub model_id: String,
    /// Most tokens of prompt and answer together.
    pub context_length: u64,
    /// Price per chain and token, as registered.
    pub pricing: Vec<Value>,
}

/// `GET /v1/models`.
pub fn model_list(models: &[ModelEntry]) -> Value {
    json!({ "object": "list", "data": models })
}
