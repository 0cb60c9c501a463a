//! A session as the host runs it: one task per session owns its meter, its running request and
//! whichever connection is attached; everyone else sends it commands.
//!
//! ```text
//! connection ──FromRenter──┐                      ┌── chunks, voucher requests ──► connection
//! HTTP request ─Generate───┼─► commands ─► actor ─┤
//! reconciler ──End─────────┘        │             └── tokens ──► HTTP response
//!                                   └─► store: vouchers, then the intent that settles
//! ```

mod actor;
mod replay;
mod request;

pub use actor::{SessionActor, SessionContext};
pub use request::Started;

use capstan_base::SignedVoucher;
use capstan_wire::ApiError;
use capstan_wire::openai::{AnswerEvent, GenerationRequest};
use capstan_wire::session::{EndReason, FromHost, FromRenter, NewestVoucher, SessionReady};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Names one connection for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Where an attached connection takes its frames.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Which connection.
    pub id: ConnectionId,
    /// Its outgoing frames; bounded, and a connection whose queue is full counts as dropped.
    pub frames: mpsc::Sender<FromHost>,
    /// Cancelled once the session has let go of it; its socket sends what is queued and closes, so
    /// that the peer learns of it and may come back.
    pub closed: CancellationToken,
}

impl Connection {
    /// A connection that takes frames.
    pub fn new(id: ConnectionId, frames: mpsc::Sender<FromHost>) -> Self {
        Self { id, frames, closed: CancellationToken::new() }
    }
}

/// What a session is told.
#[derive(Debug)]
pub enum Command {
    /// A connection proved to hold the voucher key.
    Attach {
        /// The connection.
        connection: Connection,
        /// Newest voucher the renter holds; its signature is verified already.
        newest: Option<NewestVoucher>,
        /// Tokens the renter has.
        have: u64,
        /// Answer.
        reply: oneshot::Sender<Result<SessionReady, ApiError>>,
    },
    /// A connection is gone.
    Detach(ConnectionId),
    /// A frame from the attached connection.
    Frame(ConnectionId, FromRenter),
    /// A request over HTTP under a signed ceiling.
    Generate {
        /// The request.
        request: Box<GenerationRequest>,
        /// Voucher of the credential; its signature is verified already.
        ceiling: Box<SignedVoucher>,
        /// Where tokens go.
        events: mpsc::Sender<AnswerEvent>,
        /// Answer.
        reply: oneshot::Sender<Result<Started, ApiError>>,
    },
    /// End now.
    End(EndReason),
    /// Let the running request finish, then end for this reason.
    Drain(EndReason),
}

/// A session's mailbox.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    commands: mpsc::Sender<Command>,
}

/// Commands waiting at one session; a renter that sends faster than this waits.
const MAILBOX: usize = 64;

impl SessionHandle {
    /// A handle and the mailbox behind it.
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        (Self { commands }, mailbox)
    }

    /// Sends a command; false if the session is over.
    pub async fn send(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// True once the session is over.
    pub fn is_over(&self) -> bool {
        self.commands.is_closed()
    }
}
