//! From the events of an answer to the bodies a client reads, streamed or whole.

use futures_util::stream::{self, Stream, StreamExt};
use serde_json::Value;

use super::response::{Assembler, Delta, Usage};
use crate::error::{ApiError, ErrorCode};
use crate::session::FinishReason;

/// What happens to one answer, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerEvent {
    /// A token, with the text that became whole with it, stop texts removed.
    Token {
        /// Its id.
        id: u32,
        /// Text to show; empty while a character is incomplete.
        text: String,
        /// The token's own text, lossy, for log probabilities.
        piece: String,
        /// Natural-log probability, if known.
        logprob: Option<f64>,
    },
    /// The answer ended.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Text that was held back.
        text: String,
    },
    /// The answer failed; it must not look finished.
    Failed(ApiError),
}

/// The `data:` payloads of a stream of server-sent events, `[DONE]` included. A failure is a last
/// payload with an error body and no `[DONE]`: never a clean end.
pub fn payloads(
    assembler: Assembler,
    prompt_ids: Vec<u32>,
    events: impl Stream<Item = AnswerEvent> + Unpin,
) -> impl Stream<Item = String> {
    let opening = assembler.opening(&prompt_ids).map(|chunk| chunk.to_string());
    let prompt_tokens = count(&prompt_ids);
    let start = (assembler, events, 0_u64, false);
    let rest = stream::unfold(start, move |(assembler, mut events, mut made, over)| async move {
        if over {
            return None;
        }
        let mut payloads = Vec::new();
        let over = match events.next().await {
            Some(AnswerEvent::Token { id, text, piece, logprob }) => {
                made = made.saturating_add(1);
                let logprobs = logprob.map(|logprob| (piece, logprob)).into_iter().collect();
                let delta = Delta { text, ids: vec![id], logprobs };
                payloads.push(assembler.piece(&delta, Usage::new(prompt_tokens, made)).to_string());
                false
            }
            Some(AnswerEvent::Finished { reason, text }) => {
                let usage = Usage::new(prompt_tokens, made);
                if !text.is_empty() {
                    let delta = Delta { text, ..Delta::default() };
                    payloads.push(assembler.piece(&delta, usage).to_string());
                }
                payloads.extend(assembler.closing(reason, usage).iter().map(Value::to_string));
                payloads.push("[DONE]".to_owned());
                true
            }
            Some(AnswerEvent::Failed(error)) => {
                payloads.push(error.body().to_string());
                true
            }
            None => {
                payloads.push(cut_off().body().to_string());
                true
            }
        };
        Some((stream::iter(payloads), (assembler, events, made, over)))
    });
    stream::iter(opening).chain(rest.flatten())
}

/// The whole answer in one body.
pub async fn whole(
    assembler: &Assembler,
    prompt_ids: &[u32],
    mut events: impl Stream<Item = AnswerEvent> + Unpin,
) -> Result<Value, ApiError> {
    let mut all = Delta::default();
    while let Some(event) = events.next().await {
        match event {
            AnswerEvent::Token { id, text, piece, logprob } => {
                all.text.push_str(&text);
                all.ids.push(id);
                all.logprobs.extend(logprob.map(|logprob| (piece, logprob)));
            }
            AnswerEvent::Finished { reason, text } => {
                all.text.push_str(&text);
                let usage = Usage::new(count(prompt_ids), count(&all.ids));
                return Ok(assembler.whole(&all, prompt_ids, reason, usage));
            }
            AnswerEvent::Failed(error) => return Err(error),
        }
    }
    Err(cut_off())
}

fn count(ids: &[u32]) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}

fn cut_off() -> ApiError {
    ApiError::new(ErrorCode::SessionClosed, "the session ended before the answer did")
}
