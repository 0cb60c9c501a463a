//! The answer under way: everything that comes is counted, and nothing that was not asked for.

use capstan_wire::ApiError;
use capstan_wire::openai::AnswerEvent;
use capstan_wire::session::{FinishReason, FromRenter};
use tokio::sync::mpsc;

use super::{Current, Leave, Task};
use crate::book::Refusal;
use crate::error::RenterError;
use crate::link::Answer;
use crate::link::socket::Socket;

/// Tokens a slow local reader may lag behind before the link stops reading from the host.
const READ_AHEAD: usize = 256;

/// Tokens taken of a request that a former process of this side had asked for. They may be owed,
/// but only as many as a host serves ahead; a host that sends more is refused.
pub(super) const FORMER_TOKENS: u64 = 256;

impl Current {
    /// Most tokens that were asked for: the limit, and in any case the context.
    fn most(&self, context: usize) -> u64 {
        let room = context.saturating_sub(self.ids.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        self.prompt.max_tokens.map_or(room, |limit| limit.min(room))
    }
}

impl Task {
    pub(super) fn on_accepted(
        &mut self,
        request_id: u64,
        index: u64,
        claimed: u64,
    ) -> Result<(), Leave> {
        let Some(current) =
            self.current.as_mut().filter(|current| current.prompt.request_id == request_id)
        else {
            // A prompt of a former process: it cannot be recounted, so it is not signed for.
            return Err(Refusal::PromptMiscount { claimed, counted: 0 }.into());
        };
        if current.reply.is_none() {
            // It was counted once already; a second time would bill it twice.
            return Err(Refusal::Unasked { request_id, tokens: claimed }.into());
        }
        self.context.book.count_prompt(index, &current.ids, claimed)?;
        if let Some(reply) = current.reply.take() {
            let (events, receiver) = mpsc::channel(READ_AHEAD);
            current.events = Some(events);
            let _ = reply.send(Ok(Answer { prompt_ids: current.ids.clone(), events: receiver }));
        }
        self.publish_counts();
        Ok(())
    }

    /// Counts nothing that was not asked for: a host could otherwise bill whatever it likes to send.
    pub(super) fn expect_asked(&mut self, request_id: u64, tokens: usize) -> Result<(), Leave> {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        let context = self.context.book.model().context_length();
        let unasked = Refusal::Unasked { request_id, tokens };
        let (made, most) = match &mut self.current {
            Some(current) if current.prompt.request_id == request_id => {
                if current.reply.is_some() {
                    return Err(unasked.into());
                }
                let most = current.most(context);
                (&mut current.made, most)
            }
            _ => (&mut self.former, FORMER_TOKENS),
        };
        *made = made.saturating_add(tokens);
        if *made > most { Err(unasked.into()) } else { Ok(()) }
    }

    /// Passes tokens on. A reader that hung up cancels the request; what came is owed.
    pub(super) async fn deliver(
        &mut self,
        socket: &mut Socket,
        request_id: u64,
        ids: &[u32],
        logprobs: &[f64],
    ) -> Result<(), Leave> {
        let model = self.context.book.model().clone();
        let Some(current) =
            self.current.as_mut().filter(|current| current.prompt.request_id == request_id)
        else {
            return Ok(());
        };
        for (position, id) in ids.iter().enumerate() {
            let piece = model.tokenizer().piece(*id).unwrap_or_default();
            let shown = model.tokenizer().visible_piece(*id).unwrap_or_default();
            let text = current.stop.push(&current.text.push(shown));
            let event = AnswerEvent::Token {
                id: *id,
                text,
                piece: String::from_utf8_lossy(piece).into_owned(),
                logprob: logprobs.get(position).copied(),
            };
            let Some(events) = &current.events else { continue };
            if events.send(event).await.is_err() {
                current.events = None;
                socket.send(&FromRenter::Cancel { request_id }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn on_finished(&mut self, request_id: u64, reason: FinishReason) {
        if self.current.as_ref().map(|current| current.prompt.request_id) != Some(request_id) {
            return;
        }
        let Some(mut current) = self.current.take() else { return };
        let mut text = current.stop.push(&current.text.finish());
        text.push_str(&current.stop.flush());
        if let Some(events) = current.events {
            let _ = events.send(AnswerEvent::Finished { reason, text }).await;
        }
    }

    pub(super) fn fail_current(&mut self, request_id: Option<u64>, error: ApiError) {
        if self.current.as_ref().map(|current| current.prompt.request_id) != request_id {
            return;
        }
        let Some(current) = self.current.take() else { return };
        match (current.reply, current.events) {
            (Some(reply), _) => {
                let _ = reply.send(Err(RenterError::Host(error)));
            }
            (None, Some(events)) => {
                let _ = events.try_send(AnswerEvent::Failed(error));
            }
            (None, None) => {}
        }
    }
}
