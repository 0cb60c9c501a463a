//! Tokens flow: counted at the sampler, then sent.

use capstan_wire::openai::AnswerEvent;
use capstan_wire::session::{Chunk, EndReason, FinishReason, FromHost};
use tokio::sync::mpsc::OwnedPermit;

use super::SessionActor;
use crate::backend::{BackendError, GeneratedToken, Step};
use crate::meter::{Credit, Room};
use crate::session::request::{Advance, Running, Sink};

impl Running {
    /// How far this request may run ahead of vouchers.
    pub(super) fn credit(&self) -> Credit {
        match self.sink {
            Sink::Connection => Credit::Window,
            Sink::Http(_) => Credit::Ceiling,
        }
    }
}

impl SessionActor {
    /// Takes what the backend gave.
    pub(super) async fn on_advance(&mut self, advance: Advance) {
        let Some(running) = &self.running else { return };
        let credit = running.credit();
        match advance {
            Advance::SinkClosed => {
                // The client hung up: what it was sent is owed, nothing more is made.
                self.running = None;
            }
            // A backend that goes on past what was asked for is not billed for it.
            Advance::Step(Ok(Step::Token(_)), _) if running.output_tokens >= running.max_tokens => {
                self.finish(FinishReason::Length);
            }
            Advance::Step(Ok(Step::Token(token)), permit) => {
                self.on_token(token, permit, credit);
            }
            Advance::Step(Ok(Step::Finished(reason)), _) => self.finish(reason),
            Advance::Step(Err(error), _) => self.fail(&error),
        }
        let at_window =
            self.meter.tally().tokens().is_multiple_of(self.context.config.window.max(1));
        let ahead = self.meter.newest().is_some_and(|newest| newest.voucher.is_ceiling());
        if ahead && (self.running.is_none() || at_window) {
            self.record_tally().await;
        }
    }

    fn on_token(
        &mut self,
        token: GeneratedToken,
        permit: Option<OwnedPermit<AnswerEvent>>,
        credit: Credit,
    ) {
        match self.meter.room(credit) {
            Room::Serve => self.serve(token, permit),
            // The ceiling is reached.
            Room::NeedVoucher => self.finish(FinishReason::Length),
            Room::DepositExhausted => {
                self.ending = Some(EndReason::Exhausted);
                self.finish(FinishReason::DepositExhausted);
            }
        }
    }

    fn serve(&mut self, token: GeneratedToken, permit: Option<OwnedPermit<AnswerEvent>>) {
        if self.deadline.1 == EndReason::Idle {
            // A session that is being served is not idle; one whose connection dropped stays so.
            self.touch();
        }
        let index = self.meter.tally().tokens();
        let Some(running) = &mut self.running else { return };
        let tokenizer = self.served.model.tokenizer();
        let piece = tokenizer.piece(token.id).unwrap_or_default();
        let shown = tokenizer.visible_piece(token.id).unwrap_or_default();
        self.meter.push_output(token.id, piece);
        running.output_tokens = running.output_tokens.saturating_add(1);
        let text = running.stop.push(&running.text.push(shown));
        let stopped = running.stop.stopped();
        let request_id = running.request_id;
        if let Some(permit) = permit {
            permit.send(AnswerEvent::Token {
                id: token.id,
                text,
                piece: String::from_utf8_lossy(piece).into_owned(),
                logprob: token.logprob,
            });
            // These tokens went to an HTTP client, and no connection can have them again.
            self.replay.restart(index.saturating_add(1));
            // An answer that flows is not idle, however long it takes.
            self.touch();
        } else {
            let chunk = FromHost::Chunk(Chunk {
                request_id,
                index,
                ids: vec![token.id],
                text,
                logprobs: token.logprob.into_iter().collect(),
            });
            self.replay.push(index, chunk.clone());
            self.send(chunk);
            self.request_voucher_if_due(false);
        }
        if stopped {
            self.finish(FinishReason::Stop);
        }
    }

    /// Ends the running request in good order.
    pub(super) fn finish(&mut self, reason: FinishReason) {
        let Some(mut running) = self.running.take() else { return };
        let mut text = running.stop.push(&running.text.finish());
        text.push_str(&running.stop.flush());
        match running.sink {
            Sink::Http(events) => {
                // The queue may be full only of this request's own tokens; the end follows them.
                tokio::spawn(async move {
                    let _ = events.send(AnswerEvent::Finished { reason, text }).await;
                });
            }
            Sink::Connection => {
                let finished = FromHost::Finished {
                    request_id: running.request_id,
                    reason,
                    input_tokens: running.input_tokens,
                    output_tokens: running.output_tokens,
                };
                // First what is owed: a renter that goes by the end of its answer leaves nothing open.
                self.request_voucher_if_due(true);
                self.replay.push(self.meter.tally().tokens(), finished.clone());
                self.send(finished);
            }
        }
        self.touch();
    }

    fn fail(&mut self, error: &BackendError) {
        let Some(running) = self.running.take() else { return };
        let error = self.backend_failed(error);
        match running.sink {
            Sink::Http(events) => {
                tokio::spawn(async move {
                    let _ = events.send(AnswerEvent::Failed(error)).await;
                });
            }
            Sink::Connection => {
                let request_id = Some(running.request_id);
                self.request_voucher_if_due(true);
                self.send(FromHost::Error { error, request_id, fatal: false });
            }
        }
        self.touch();
    }
}
