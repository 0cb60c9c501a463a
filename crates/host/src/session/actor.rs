//! The task that runs one session.

mod attach;
mod prompt;
mod receipt;
mod serve;
mod settle;
mod voucher;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{ChainId, SessionKey, SessionTerms};
use capstan_chain::{ChainClient, LocalSigner};
use capstan_kit::clock::Clock;
use capstan_store::SessionStore;
use capstan_wire::session::{EndReason, FinishReason, FromHost, FromRenter};
use capstan_wire::{ApiError, ErrorCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::replay::Replay;
use super::request::{Advance, Running};
use super::{Command, Connection, ConnectionId};
use crate::config::HostConfig;
use crate::meter::{Credit, Meter, Room};
use crate::served::ServedModel;
use crate::settlement::Outbox;

/// How long a renter that ends its session has to sign for the last tokens: many round trips, and
/// short enough that an end feels like one.
const LAST_VOUCHER_WITHIN: Duration = Duration::from_secs(2);

/// What every session of a host shares.
#[derive(Clone)]
pub struct SessionContext {
    /// Vouchers and sessions.
    pub store: Arc<dyn SessionStore>,
    /// Where ended sessions go.
    pub outbox: Arc<Outbox>,
    /// Chains, for deposits that were topped up.
    pub chains: BTreeMap<ChainId, Arc<ChainClient>>,
    /// Limits.
    pub config: HostConfig,
    /// Wall-clock time, for the store.
    pub clock: Arc<dyn Clock>,
    /// Key of the host's account, which signs receipts; none are given without it.
    pub receipts: Option<Arc<LocalSigner>>,
}

/// One session's state.
pub struct SessionActor {
    context: SessionContext,
    key: SessionKey,
    terms: SessionTerms,
    served: ServedModel,
    meter: Meter,
    replay: Replay,
    connection: Option<Connection>,
    running: Option<Running>,
    /// Transcript size at the last voucher request, so that one is not asked for twice.
    requested: u64,
    /// Ends the session once everything served is covered.
    ending: Option<EndReason>,
    /// When, unless something happens, the session ends, and why.
    deadline: (Instant, EndReason),
    /// When it ends whatever happens.
    expires: Instant,
    /// When top-ups were last read from the chain.
    refreshed: Option<Instant>,
}

/// Whether the session goes on.
enum Flow {
    Continue,
    End(EndReason),
}

impl SessionActor {
    /// A session as admitted or as found in the store. `expires` is the terms' expiry on the
    /// process's clock; `absent` is why it ends if nobody attaches within the grace period.
    pub fn new(
        context: SessionContext,
        key: SessionKey,
        terms: SessionTerms,
        served: ServedModel,
        meter: Meter,
        expires: Instant,
        absent: EndReason,
    ) -> Self {
        let deadline = (Instant::now() + context.config.grace, absent);
        let replay = Replay::new(meter.tally().tokens());
        Self {
            context,
            key,
            terms,
            served,
            meter,
            replay,
            connection: None,
            running: None,
            requested: 0,
            ending: None,
            deadline,
            expires,
            refreshed: None,
        }
    }

    /// Runs until the session is over and its settlement is in the outbox.
    pub async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        let reason = loop {
            match self.step(&mut mailbox).await {
                Flow::Continue => {}
                Flow::End(reason) => break reason,
            }
        };
        mailbox.close();
        self.settle(reason).await;
    }

    async fn step(&mut self, mailbox: &mut mpsc::Receiver<Command>) -> Flow {
        if let Some(reason) = self.ending
            && self.running.is_none()
            && self.meter.uncovered() == 0
        {
            return Flow::End(reason);
        }
        if self.running.is_some() && self.meter.room(Credit::Window) == Room::DepositExhausted {
            // The next token would end the session, unless it was topped up since it was read.
            self.refresh_deposit().await;
        }
        let (deadline, reason) = self.next_deadline();
        let may_serve = self.may_serve();
        tokio::select! {
            biased;
            // First, or a renter that never stops sending would keep its session past its expiry.
            () = tokio::time::sleep_until(deadline) => Flow::End(reason),
            command = mailbox.recv() => match command {
                Some(command) => self.on_command(command).await,
                // Every handle is gone: only a process that shuts down drops them all.
                None => Flow::End(EndReason::HostShutdown),
            },
            advance = advance(&mut self.running), if may_serve => {
                self.on_advance(advance).await;
                Flow::Continue
            }
        }
    }

    fn next_deadline(&self) -> (Instant, EndReason) {
        if self.expires <= self.deadline.0 {
            (self.expires, self.ending.unwrap_or(EndReason::Expired))
        } else {
            self.deadline
        }
    }

    /// True if the running request may take another token.
    fn may_serve(&self) -> bool {
        match &self.running {
            // An HTTP request out of room is finished rather than paused, so it must get here.
            Some(running) if running.credit() == Credit::Ceiling => true,
            Some(_) => self.meter.room(Credit::Window) != Room::NeedVoucher,
            None => false,
        }
    }

    async fn on_command(&mut self, command: Command) -> Flow {
        match command {
            Command::Attach { connection, newest, have, reply } => {
                let id = connection.id;
                let answer = self.attach(connection, newest, have).await;
                if reply.send(answer).is_err() {
                    // It gave up waiting, and nobody would ever say that it is gone.
                    self.detach(id).await;
                }
                Flow::Continue
            }
            Command::Detach(connection) => {
                self.detach(connection).await;
                Flow::Continue
            }
            Command::Frame(connection, frame) => {
                if self.connection.as_ref().map(|attached| attached.id) == Some(connection) {
                    self.on_frame(frame).await
                } else {
                    Flow::Continue
                }
            }
            Command::Generate { request, ceiling, events, reply } => {
                let answer = self.start_http(*request, *ceiling, events).await;
                if let Err(Ok(_)) = reply.send(answer) {
                    self.running = None;
                }
                Flow::Continue
            }
            Command::End(reason) => Flow::End(reason),
            Command::Drain(reason) => {
                self.end_when_covered(reason, self.context.config.drain);
                Flow::Continue
            }
        }
    }

    async fn on_frame(&mut self, frame: FromRenter) -> Flow {
        self.touch();
        match frame {
            FromRenter::Prompt(prompt) => {
                let request_id = prompt.request_id;
                if let Err(error) = self.start_prompt(prompt).await {
                    self.send(FromHost::Error {
                        error,
                        request_id: Some(request_id),
                        fatal: false,
                    });
                }
            }
            FromRenter::Voucher(voucher) => match self.take_voucher(voucher).await {
                Ok(()) => {
                    let (amount, tokens) = (self.meter.signed(), self.meter.covered());
                    let receipt = self.receipt();
                    self.send(FromHost::VoucherAccepted { amount, tokens, receipt });
                }
                Err(error) => {
                    let lost = error.code == ErrorCode::Internal;
                    self.send(FromHost::Error { error, request_id: None, fatal: false });
                    if lost {
                        // It was good and is not stored: the renter brings it again when it comes
                        // back, and nothing is served before it is.
                        self.drop_connection();
                    }
                }
            },
            FromRenter::Cancel { request_id } => self.cancel(request_id),
            FromRenter::End => {
                if self.running.is_some() {
                    self.finish(FinishReason::Cancelled);
                }
                // The voucher over the last tokens may be on its way.
                self.end_when_covered(EndReason::End, LAST_VOUCHER_WITHIN);
                self.requested = 0;
                self.request_voucher_if_due(true);
            }
            FromRenter::Ping => self.send(FromHost::Pong),
            FromRenter::SessionInit(_) => {
                let error = ApiError::new(
                    ErrorCode::InvalidRequest,
                    "this connection is attached to a session already; open another connection",
                );
                self.send(FromHost::Error { error, request_id: None, fatal: false });
            }
        }
        Flow::Continue
    }

    /// Ends the session once nothing runs and everything served is covered, and in any case after
    /// `within`. Takes no new request from now on.
    fn end_when_covered(&mut self, reason: EndReason, within: Duration) {
        self.ending.get_or_insert(reason);
        self.expires = self.expires.min(Instant::now() + within);
    }

    /// Something happened: the idle clock starts anew.
    fn touch(&mut self) {
        self.deadline = (Instant::now() + self.context.config.idle, EndReason::Idle);
    }

    /// Sends a frame to the attached connection. A connection whose queue is full has stopped
    /// reading and counts as dropped; what it missed is replayed when it comes back.
    fn send(&mut self, frame: FromHost) {
        if let Some(connection) = &self.connection
            && connection.frames.try_send(frame).is_err()
        {
            tracing::info!("connection does not read; dropped");
            self.drop_connection();
        }
    }

    /// Lets go of the attached connection, as if it had gone by itself.
    fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.closed.cancel();
            self.deadline = (Instant::now() + self.context.config.grace, EndReason::Disconnect);
        }
    }
}

/// Waits for the running request's next token; for ever if there is none.
async fn advance(running: &mut Option<Running>) -> Advance {
    match running {
        Some(running) => running.advance().await,
        None => core::future::pending().await,
    }
}

/// Names a connection's id in errors.
impl core::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
