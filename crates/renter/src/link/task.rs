//! The link's task: connects, attaches, counts, pays, reconnects.

mod answer;
mod attach;
mod pay;
mod receipt;

use core::time::Duration;
use std::collections::VecDeque;

use capstan_kit::Backoff;
use capstan_model::Utf8Stream;
use capstan_wire::openai::{AnswerEvent, StopFilter};
use capstan_wire::session::{EndReason, FromHost, FromRenter, PromptMessage};
use capstan_wire::{ApiError, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::socket::{Broken, Socket};
use super::{Answer, LinkContext, LinkStatus, Order};
use crate::book::Refusal;
use crate::error::RenterError;

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
            FromHost::VoucherAccepted { amount, tokens, receipt } => {
                tracing::debug!(%amount, tokens, "voucher accepted");
                if let Some(receipt) = receipt {
                    self.take_receipt(receipt).await?;
                }
            }
            FromHost::Finished { request_id, reason, .. } => {
                self.on_finished(request_id, reason).await
            }
            FromHost::Ended { reason, receipt } => {
                if let Some(receipt) = receipt {
                    self.take_receipt(receipt).await?;
                }
                return Err(Leave::Over(Over::Ended(reason)));
            }
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
