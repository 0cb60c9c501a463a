//! The link's task: connects, attaches, counts, pays, reconnects.

use core::time::Duration;
use std::collections::VecDeque;

use capstan_base::{AttachChallenge, TallyState, Voucher};
use capstan_kit::Backoff;
use capstan_model::Utf8Stream;
use capstan_store::VoucherOutcome;
use capstan_wire::openai::{AnswerEvent, StopFilter};
use capstan_wire::session::{
    EndReason, FinishReason, FromHost, FromRenter, NewestVoucher, PromptMessage, SessionInit,
};
use capstan_wire::{ApiError, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::socket::{Broken, Socket};
use super::{Answer, LinkContext, LinkStatus, Order};
use crate::book::Refusal;
use crate::error::RenterError;

/// Tokens a slow local reader may lag behind before the link stops reading from the host.
const READ_AHEAD: usize = 256;

/// A dropped connection is most often back at once; a host that restarts takes seconds.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const SLOWEST_RETRY: Duration = Duration::from_secs(5);

/// A connection that held this long was good: the next one is tried at once again.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// Connecting, the challenge and the host's look at its chain take seconds at most.
const ATTACH_WITHIN: Duration = Duration::from_secs(30);

/// A half-open connection says nothing for ever; so the socket is pinged, and given up once three
/// pings went by without any answer.
const PING_EVERY: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(50);

/// Tokens taken of a request that a former process of this side had asked for. They may be owed,
/// but only as many as a host serves ahead; a host that sends more is refused.
const FORMER_TOKENS: u64 = 256;

/// Ends the task for good.
enum Over {
    Ended(EndReason),
    Refused(Refusal),
    Fatal(ApiError),
    Lost(String),
    NoHandle,
}

/// Why a connection's loop returned.
enum Leave {
    Broken(Broken),
    Over(Over),
}

impl From<Broken> for Leave {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Refusal> for Leave {
    fn from(refusal: Refusal) -> Self {
        Self::Over(Over::Refused(refusal))
    }
}

struct Waiting {
    prompt: PromptMessage,
    ids: Vec<u32>,
    reply: oneshot::Sender<Result<Answer, RenterError>>,
}

/// The request under way.
struct Current {
    prompt: PromptMessage,
    ids: Vec<u32>,
    /// Until the host accepts.
    reply: Option<oneshot::Sender<Result<Answer, RenterError>>>,
    /// From then on.
    events: Option<mpsc::Sender<AnswerEvent>>,
    text: Utf8Stream,
    stop: StopFilter,
    /// Tokens received for it.
    made: u64,
}

impl Current {
    /// Most tokens that were asked for: the limit, and in any case the context.
    fn most(&self, context: usize) -> u64 {
        let room = context.saturating_sub(self.ids.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        self.prompt.max_tokens.map_or(room, |limit| limit.min(room))
    }
}

struct Task {
    context: LinkContext,
    status: watch::Sender<LinkStatus>,
    waiting: VecDeque<Waiting>,
    current: Option<Current>,
    next_request: u64,
    ending: Option<oneshot::Sender<()>>,
    /// Tokens taken of requests of a former process.
    former: u64,
}

pub(super) async fn run(
    context: LinkContext,
    mut orders: mpsc::Receiver<Order>,
    status: watch::Sender<LinkStatus>,
) {
    // Ids rise across restarts of this process too, so that a replayed frame is never mistaken.
    let next_request = context.book.tokens().wrapping_add(1) << 8;
    let mut task = Task {
        context,
        status,
        waiting: VecDeque::new(),
        current: None,
        next_request,
        ending: None,
        former: 0,
    };
    let over = task.connect_and_serve(&mut orders).await;
    orders.close();
    task.finish(over);
}

impl Task {
    async fn connect_and_serve(&mut self, orders: &mut mpsc::Receiver<Order>) -> Over {
        let mut lost_at = Instant::now();
        let fresh = || Backoff::new(FIRST_RETRY, SLOWEST_RETRY);
        let mut delays = fresh();
        loop {
            let why = match tokio::time::timeout(ATTACH_WITHIN, self.come_in()).await {
                Ok(Ok((mut socket, running))) => {
                    let since = Instant::now();
                    self.publish(|status| status.attached = true);
                    let left = self.serve(&mut socket, orders, running).await;
                    self.publish(|status| status.attached = false);
                    lost_at = Instant::now();
                    if since.elapsed() >= STEADY_AFTER {
                        delays = fresh();
                    }
                    match left {
                        Leave::Over(over) => return over,
                        Leave::Broken(broken) => broken.to_string(),
                    }
                }
                Ok(Err(Leave::Over(over))) => return over,
                Ok(Err(Leave::Broken(broken))) => broken.to_string(),
                Err(_) => "the host does not answer".to_owned(),
            };
            if orders.is_closed() && orders.is_empty() {
                return Over::NoHandle;
            }
            if lost_at.elapsed() > self.context.reconnect_for {
                return Over::Lost(why);
            }
            tracing::info!(%why, "link lost; coming back");
            self.publish(|status| status.reconnects = status.reconnects.saturating_add(1));
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    async fn come_in(&mut self) -> Result<(Socket, Option<u64>), Leave> {
        let connected = Socket::connect(&self.context.host_url).await;
        let mut socket = connected.map_err(|error| Broken::new(error.to_string()))?;
        let running = self.attach(&mut socket).await?;
        Ok((socket, running))
    }

    /// Hello, proof, `session_init`, ready. Returns the request that still runs at the host.
    async fn attach(&mut self, socket: &mut Socket) -> Result<Option<u64>, Leave> {
        let hello = loop {
            if let FromHost::Hello(hello) = socket.receive().await? {
                break hello;
            }
        };
        let key = self.context.key;
        let digest =
            AttachChallenge(hello.challenge).digest(key.chain_id, key.marketplace, key.session_id);
        let proof = self
            .context
            .signer
            .sign_digest_65(digest)
            .map_err(|error| Leave::Over(Over::Lost(error.to_string())))?;
        let newest =
            self.context.newest.clone().map(|(voucher, tally)| NewestVoucher { voucher, tally });
        let init = SessionInit {
            chain_id: key.chain_id,
            terms: self.context.terms.clone(),
            proof,
            price: self.context.book.price(),
            newest,
            have: self.context.book.tokens(),
        };
        socket.send(&FromRenter::SessionInit(Box::new(init))).await?;
        loop {
            match socket.receive().await? {
                FromHost::SessionReady(ready) => {
                    self.context.book.rewind(ready.tokens)?;
                    return Ok(ready.running);
                }
                FromHost::Error { error, .. } => {
                    return Err(match error.code {
                        // These pass: the block is not seen yet, the chain or the host is busy.
                        ErrorCode::ChainUnavailable
                        | ErrorCode::Overloaded
                        | ErrorCode::Draining
                        | ErrorCode::UnknownSession
                        | ErrorCode::Internal => Leave::Broken(Broken::new(error.to_string())),
                        _ => Leave::Over(Over::Fatal(error)),
                    });
                }
                _ => {}
            }
        }
    }

    async fn serve(
        &mut self,
        socket: &mut Socket,
        orders: &mut mpsc::Receiver<Order>,
        running: Option<u64>,
    ) -> Leave {
        match self.serve_until(socket, orders, running).await {
            Ok(never) => match never {},
            Err(leave) => leave,
        }
    }

    async fn serve_until(
        &mut self,
        socket: &mut Socket,
        orders: &mut mpsc::Receiver<Order>,
        running: Option<u64>,
    ) -> Result<core::convert::Infallible, Leave> {
        if let Some(request_id) = running
            && self.current.as_ref().map(|current| current.prompt.request_id) != Some(request_id)
        {
            // Nobody here waits for it any more.
            socket.send(&FromRenter::Cancel { request_id }).await?;
        }
        // The answer to the ping follows everything that is replayed.
        socket.send(&FromRenter::Ping).await?;
        let (mut replayed, mut ended) = (false, false);
        let mut pulse = tokio::time::interval(PING_EVERY);
        loop {
            if replayed {
                self.send_next(socket).await?;
                if self.ending.is_some() && self.current.is_none() && !ended {
                    self.pay_what_is_open(socket).await?;
                    socket.send(&FromRenter::End).await?;
                    ended = true;
                }
            }
            let unheld = orders.is_closed() && orders.is_empty() && self.ending.is_none();
            if unheld && self.current.is_none() && self.waiting.is_empty() {
                return Err(Leave::Over(Over::NoHandle));
            }
            tokio::select! {
                _ = pulse.tick() => {
                    if socket.silent_for() > SILENCE {
                        return Err(Broken::new("the host says nothing any more".to_owned()).into());
                    }
                    socket.ping().await?;
                }
                frame = socket.receive() => match frame? {
                    FromHost::Pong => {
                        if !replayed {
                            self.after_replay(running);
                        }
                        replayed = true;
                    }
                    frame => self.on_frame(socket, frame).await?,
                },
                order = orders.recv(), if !orders.is_closed() || !orders.is_empty() => match order {
                    Some(Order::Drop) => {
                        return Err(Broken::new("dropped on purpose".to_owned()).into());
                    }
                    Some(order) => self.on_order(order),
                    None => {}
                },
            }
        }
    }

    fn on_order(&mut self, order: Order) {
        match order {
            Order::Ask { prompt, reply } => match self.context.book.prompt_ids(&prompt.prompt) {
                Ok(ids) => self.waiting.push_back(Waiting { prompt, ids, reply }),
                Err(refusal) => {
                    let _ = reply.send(Err(refusal.into()));
                }
            },
            Order::End { reply } => self.ending = Some(reply),
            Order::Drop => {}
        }
    }

    /// A request the host knows nothing of after a drop is sent again if nothing of it was billed,
    /// and failed otherwise.
    fn after_replay(&mut self, running: Option<u64>) {
        let Some(current) = &self.current else { return };
        if running == Some(current.prompt.request_id) {
            return;
        }
        let Some(mut current) = self.current.take() else { return };
        match current.reply.take() {
            Some(reply) => {
                self.waiting.push_front(Waiting { prompt: current.prompt, ids: current.ids, reply })
            }
            None => {
                let error = ApiError::new(
                    ErrorCode::SessionClosed,
                    "the host lost this answer; what was received is billed, ask again",
                );
                if let Some(events) = current.events {
                    let _ = events.try_send(AnswerEvent::Failed(error));
                }
            }
        }
    }

    async fn send_next(&mut self, socket: &mut Socket) -> Result<(), Leave> {
        if self.current.is_some() {
            return Ok(());
        }
        let Some(Waiting { mut prompt, ids, reply }) = self.waiting.pop_front() else {
            return Ok(());
        };
        self.next_request = self.next_request.wrapping_add(1);
        prompt.request_id = self.next_request;
        let frame = FromRenter::Prompt(prompt.clone());
        self.current = Some(Current {
            stop: StopFilter::new(prompt.stop.clone()),
            prompt,
            ids,
            reply: Some(reply),
            events: None,
            text: Utf8Stream::new(),
            made: 0,
        });
        socket.send(&frame).await?;
        Ok(())
    }

    async fn on_frame(&mut self, socket: &mut Socket, frame: FromHost) -> Result<(), Leave> {
        match frame {
            FromHost::PromptAccepted { request_id, index, input_tokens } => {
                self.on_accepted(request_id, index, input_tokens)?;
            }
            FromHost::Chunk(chunk) => {
                self.expect_asked(chunk.request_id, chunk.ids.len())?;
                self.context.book.count_output(chunk.index, &chunk.ids)?;
                self.publish_counts();
                self.deliver(socket, chunk.request_id, &chunk.ids, &chunk.logprobs).await?;
            }
            FromHost::VoucherRequest { amount, tokens, transcript_root } => {
                self.pay(socket, amount, tokens, transcript_root).await?;
            }
            FromHost::VoucherAccepted { amount, tokens } => {
                tracing::debug!(%amount, tokens, "voucher accepted");
            }
            FromHost::Finished { request_id, reason, .. } => {
                self.on_finished(request_id, reason).await
            }
            FromHost::Ended { reason } => return Err(Leave::Over(Over::Ended(reason))),
            FromHost::Error { error, request_id, fatal } => {
                tracing::warn!(%error, "the host refused");
                if request_id.is_some() {
                    self.fail_current(request_id, error);
                } else if fatal {
                    return Err(Leave::Over(Over::Fatal(error)));
                }
            }
            FromHost::Hello(_) | FromHost::SessionReady(_) | FromHost::Pong => {}
        }
        Ok(())
    }

    fn on_accepted(&mut self, request_id: u64, index: u64, claimed: u64) -> Result<(), Leave> {
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
    fn expect_asked(&mut self, request_id: u64, tokens: usize) -> Result<(), Leave> {
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
    async fn deliver(
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

    async fn pay(
        &mut self,
        socket: &mut Socket,
        amount: capstan_base::Amount,
        tokens: u64,
        root: capstan_base::B256,
    ) -> Result<(), Leave> {
        let (voucher, state) = self.context.book.judge(amount, tokens, root)?;
        if let Some((newest, _)) = &self.context.newest
            && newest.voucher == voucher
        {
            // It was lost on the way, or the host could not store it.
            let again = FromRenter::Voucher(newest.clone());
            return Ok(socket.send(&again).await?);
        }
        if voucher.amount <= self.context.book.signed() {
            return Ok(());
        }
        self.sign_and_send(socket, voucher, state).await
    }

    /// Before it goes: a host that asks for its last voucher after the end of an answer gets it.
    async fn pay_what_is_open(&mut self, socket: &mut Socket) -> Result<(), Leave> {
        match self.context.book.unsigned() {
            Some((voucher, state)) => self.sign_and_send(socket, voucher, state).await,
            None => Ok(()),
        }
    }

    async fn sign_and_send(
        &mut self,
        socket: &mut Socket,
        voucher: Voucher,
        state: TallyState,
    ) -> Result<(), Leave> {
        let key = self.context.key;
        let lost = |why: String| Leave::Over(Over::Lost(why));
        let signature = self
            .context
            .signer
            .sign_digest_65(voucher.digest(key.chain_id, key.marketplace))
            .map_err(|error| lost(error.to_string()))?;
        let signed = capstan_base::SignedVoucher { voucher, signature };
        let stored = self
            .context
            .store
            .record_signed_voucher(key, &signed, &state)
            .await
            .map_err(|error| lost(error.to_string()))?;
        if !matches!(stored, VoucherOutcome::Stored) {
            return Err(lost("the session is not open in the store any more".into()));
        }
        self.context.book.accept(&voucher, state.clone());
        self.context.newest = Some((signed.clone(), state));
        self.publish_counts();
        socket.send(&FromRenter::Voucher(signed)).await?;
        Ok(())
    }

    async fn on_finished(&mut self, request_id: u64, reason: FinishReason) {
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

    fn fail_current(&mut self, request_id: Option<u64>, error: ApiError) {
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

    fn finish(&mut self, over: Over) {
        let (reason, error) = match over {
            Over::Ended(reason) => (
                Some(reason),
                ApiError::new(
                    ErrorCode::SessionClosed,
                    format!("session over: {}", reason.as_str()),
                ),
            ),
            Over::Refused(refusal) => {
                tracing::error!(%refusal, "nothing was signed; the link is closed");
                self.publish(|status| status.refusals.push(refusal.to_string()));
                (None, ApiError::new(ErrorCode::VoucherMismatch, refusal.to_string()))
            }
            Over::Fatal(error) => {
                self.publish(|status| status.refusals.push(error.to_string()));
                (None, error)
            }
            Over::Lost(why) => (None, ApiError::new(ErrorCode::Internal, why)),
            Over::NoHandle => (None, ApiError::new(ErrorCode::SessionClosed, "closed from here")),
        };
        let running = self.current.as_ref().map(|current| current.prompt.request_id);
        self.fail_current(running, error.clone());
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(RenterError::Host(error.clone())));
        }
        if let Some(ending) = self.ending.take() {
            let _ = ending.send(());
        }
        self.publish(|status| {
            status.attached = false;
            status.ended = Some(reason.unwrap_or(EndReason::Disconnect));
        });
    }

    fn publish_counts(&self) {
        let (tokens, signed) = (self.context.book.tokens(), self.context.book.signed());
        self.publish(|status| {
            status.tokens = tokens;
            status.signed = signed;
        });
    }

    fn publish(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.status.send_modify(change);
    }
}

#[cfg(test)]
mod tests;
