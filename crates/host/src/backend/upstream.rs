//! Any OpenAI-compatible server as a backend: vLLM, SGLang, llama.cpp server, another host.
//!
//! The prompt goes out as token ids to `/v1/completions`, so that it is this side's template and
//! tokenizer that are billed. Ids and running usage are asked for. A server that sends no ids has
//! its text tokenised here once the text ends; the answer is then sent in one piece, and its own
//! count must agree. Chunks are never counted.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use capstan_model::Model;
use capstan_wire::session::FinishReason;
use serde::Deserialize;

use super::{Backend, BackendError, GenerateRequest, GeneratedToken, Generation, Step};

/// Longest line of a stream, bytes; a longer one is not an event of this API.
const MAX_LINE: usize = 1 << 20;

/// Where the server is and how to call it.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Base URL up to and including `/v1`.
    pub base_url: String,
    /// Bearer token, if the server wants one.
    pub api_key: Option<capstan_kit::Secret>,
    /// Name of the model there.
    pub model: String,
}

/// An OpenAI-compatible server.
pub struct UpstreamBackend {
    config: UpstreamConfig,
    model: Arc<Model>,
    client: reqwest::Client,
}

impl UpstreamBackend {
    /// `model` is the same weights' file here: its tokenizer is the meter.
    pub fn new(config: UpstreamConfig, model: Arc<Model>) -> Result<Self, BackendError> {
        let client = reqwest::Client::builder()
            .connect_timeout(core::time::Duration::from_secs(5))
            .read_timeout(core::time::Duration::from_secs(120))
            .build()
            .map_err(|error| BackendError::Unavailable(error.to_string()))?;
        Ok(Self { config, model, client })
    }
}

#[async_trait]
impl Backend for UpstreamBackend {
    async fn start(&self, request: GenerateRequest) -> Result<Box<dyn Generation>, BackendError> {
        let url = format!("{}/completions", self.config.base_url.trim_end_matches('/'));
        let mut call = self.client.post(url).json(&serde_json::json!({
            "model": self.config.model,
            "prompt": request.prompt,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stream": true,
            "stream_options": { "include_usage": true, "continuous_usage_stats": true },
            "return_token_ids": true,
            "logprobs": 0,
        }));
        if let Some(key) = &self.config.api_key {
            call = call.bearer_auth(key.expose());
        }
        let response =
            call.send().await.map_err(|error| BackendError::Unavailable(without_url(error)))?;
        let status = response.status();
        if !status.is_success() {
            let body = response.text().await.unwrap_or_default();
            let why = error_message(&body).unwrap_or_else(|| format!("HTTP {status}"));
            return Err(if status.is_client_error() && status.as_u16() != 429 {
                BackendError::Failed(format!("the upstream refused: {why}"))
            } else {
                BackendError::Unavailable(why)
            });
        }
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("nothing");
        if !kind.starts_with("text/event-stream") {
            // A page of some proxy in between; nothing was generated, nothing may be billed.
            return Err(BackendError::Failed(format!(
                "the upstream answered with {kind} instead of a stream of events"
            )));
        }
        Ok(Box::new(UpstreamGeneration {
            model: Arc::clone(&self.model),
            prompt_tokens: request.prompt.len(),
            response,
            buffer: Vec::new(),
            ready: VecDeque::new(),
            counted: 0,
            reported: None,
            unnumbered: String::new(),
            reason: None,
            done: false,
        }))
    }

    fn name(&self) -> &'static str {
        "upstream"
    }
}

struct UpstreamGeneration {
    model: Arc<Model>,
    prompt_tokens: usize,
    response: reqwest::Response,
    buffer: Vec<u8>,
    ready: VecDeque<GeneratedToken>,
    /// Ids taken from the stream.
    counted: u64,
    /// Newest usage the server told.
    reported: Option<Usage>,
    /// Text of events that carried no ids.
    unnumbered: String,
    reason: Option<FinishReason>,
    done: bool,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<UpstreamError>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: String,
    token_ids: Option<Vec<u32>>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    token_logprobs: Vec<Option<f64>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Usage {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct UpstreamError {
    message: String,
}

#[async_trait]
impl Generation for UpstreamGeneration {
    async fn next(&mut self) -> Result<Step, BackendError> {
        loop {
            if let Some(token) = self.ready.pop_front() {
                return Ok(Step::Token(token));
            }
            if self.done {
                return Ok(Step::Finished(self.reason.unwrap_or(FinishReason::Stop)));
            }
            if let Some(line) = self.take_line()? {
                self.on_line(&line)?;
                continue;
            }
            // `chunk` keeps unread bytes in the connection, so dropping this wait loses nothing.
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                // A last line without its line end is still a line; some servers send no `[DONE]`.
                Ok(None) if !self.buffer.is_empty() => self.buffer.push(b'\n'),
                Ok(None) if self.reason.is_some() => self.on_done()?,
                Ok(None) => {
                    return Err(BackendError::Failed("the upstream ended mid-answer".into()));
                }
                Err(error) => return Err(BackendError::Failed(without_url(error))),
            }
        }
    }
}

impl UpstreamGeneration {
    fn take_line(&mut self) -> Result<Option<String>, BackendError> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            if self.buffer.len() > MAX_LINE {
                return Err(BackendError::Failed("the upstream sent an endless line".into()));
            }
            return Ok(None);
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| BackendError::Failed("the upstream sent bytes that are no text".into()))
    }

    fn on_line(&mut self, line: &str) -> Result<(), BackendError> {
        let Some(data) = line.trim_end().strip_prefix("data:") else { return Ok(()) };
        let data = data.trim_start();
        if data == "[DONE]" {
            return self.on_done();
        }
        let event: Event = serde_json::from_str(data).map_err(|error| {
            BackendError::Failed(format!("the upstream sent an unreadable event: {error}"))
        })?;
        if let Some(error) = event.error {
            return Err(BackendError::Failed(error.message));
        }
        if let Some(usage) = event.usage {
            self.reported = Some(usage);
        }
        for choice in event.choices {
            self.on_choice(choice)?;
        }
        Ok(())
    }

    fn on_choice(&mut self, choice: Choice) -> Result<(), BackendError> {
        match choice.token_ids {
            Some(ids) => {
                let logprobs = choice.logprobs.map(|logprobs| logprobs.token_logprobs);
                for (position, id) in ids.into_iter().enumerate() {
                    if self.model.tokenizer().piece(id).is_none() {
                        return Err(BackendError::Miscount(format!(
                            "token id {id} is not in the model's vocabulary"
                        )));
                    }
                    if self.model.tokenizer().ends_answer(id) {
                        // Some servers send the token that ended the answer. It is no part of one.
                        self.counted = self.counted.saturating_add(1);
                        continue;
                    }
                    let logprob = logprobs.as_ref().and_then(|all| *all.get(position)?);
                    self.ready.push_back(GeneratedToken { id, logprob });
                    self.counted = self.counted.saturating_add(1);
                }
            }
            None => self.unnumbered.push_str(&choice.text),
        }
        if let Some(reason) = choice.finish_reason {
            self.reason = Some(match reason.as_str() {
                "stop" => FinishReason::Stop,
                _ => FinishReason::Length,
            });
        }
        Ok(())
    }

    /// The stream ended well: settle what could not be counted before, and compare the counts.
    fn on_done(&mut self) -> Result<(), BackendError> {
        self.done = true;
        if !self.unnumbered.is_empty() {
            let ids = self
                .model
                .tokenizer()
                .encode(&self.unnumbered, false)
                .map_err(|error| BackendError::Failed(error.to_string()))?;
            self.counted =
                self.counted.saturating_add(u64::try_from(ids.len()).unwrap_or(u64::MAX));
            self.ready.extend(ids.into_iter().map(|id| GeneratedToken { id, logprob: None }));
        }
        let Some(usage) = self.reported else { return Ok(()) };
        // Servers differ on whether the end token counts; more than that is a miscount. The bill
        // follows the ids counted here either way, so the renter is never charged the difference.
        if usage.completion_tokens.abs_diff(self.counted) > 1 {
            tracing::warn!(
                reported = usage.completion_tokens,
                counted = self.counted,
                "the upstream's count differs; billing the tokens counted here"
            );
        }
        if u64::try_from(self.prompt_tokens) != Ok(usage.prompt_tokens) {
            tracing::warn!(
                reported = usage.prompt_tokens,
                counted = self.prompt_tokens,
                "the upstream counts another prompt; billing the prompt counted here"
            );
        }
        Ok(())
    }
}

fn error_message(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: UpstreamError,
    }
    serde_json::from_str::<Body>(body).ok().map(|body| body.error.message)
}

/// The upstream's URL may hold a key.
fn without_url(error: reqwest::Error) -> String {
    error.without_url().to_string()
}
