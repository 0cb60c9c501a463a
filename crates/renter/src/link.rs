//! The link to the host: one task that keeps a session's WebSocket, survives drops, and pays.
//!
//! Requests queue and run one at a time, as the transcript is one sequence. A voucher is stored
//! before it is sent. After a drop the link comes back with what it has; what the host served
//! meanwhile is replayed and counted like everything else.

mod socket;
mod task;

use core::time::Duration;
use std::sync::Arc;

use capstan_base::{SessionKey, SessionTerms, SignedVoucher, TallyState};
use capstan_chain::LocalSigner;
use capstan_store::Store;
use capstan_wire::openai::AnswerEvent;
use capstan_wire::session::{EndReason, PromptMessage};
use tokio::sync::{mpsc, oneshot, watch};

use crate::book::Book;
use crate::error::RenterError;

/// Everything a link needs of one session.
pub struct LinkContext {
    /// Session.
    pub key: SessionKey,
    /// Its terms.
    pub terms: SessionTerms,
    /// Base URL of the host, `http://…` or `https://…`.
    pub host_url: String,
    /// The session's voucher key.
    pub signer: Arc<LocalSigner>,
    /// Where vouchers are stored before they are sent.
    pub store: Store,
    /// This side's count.
    pub book: Book,
    /// Newest voucher, if the session was used before.
    pub newest: Option<(SignedVoucher, TallyState)>,
    /// How long drops are bridged before the link gives up.
    pub reconnect_for: Duration,
}

/// An answer under way.
pub struct Answer {
    /// The prompt as counted by this side.
    pub prompt_ids: Vec<u32>,
    /// Its events.
    pub events: mpsc::Receiver<AnswerEvent>,
}

/// How a session stands, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// True while a connection is attached.
    pub attached: bool,
    /// Times the connection was lost and regained.
    pub reconnects: u64,
    /// Tokens counted.
    pub tokens: u64,
    /// Signed so far, base units.
    pub signed: capstan_base::Amount,
    /// Why it is over, once it is.
    pub ended: Option<EndReason>,
    /// Refusals so far, in words: over-counts and the like.
    pub refusals: Vec<String>,
}

pub(crate) enum Order {
    Ask {
        prompt: PromptMessage,
        reply: oneshot::Sender<Result<Answer, RenterError>>,
    },
    End {
        reply: oneshot::Sender<()>,
    },
    /// Cut the connection as a network would; for demonstrations and tests.
    Drop,
}

/// A handle on a running link.
#[derive(Clone)]
pub struct Link {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<LinkStatus>,
}

/// Longest wait for a host to answer to a session's end.
const END_WITHIN: Duration = Duration::from_secs(30);

/// Requests that may wait in line.
const QUEUE: usize = 16;

impl Link {
    /// Starts the link's task; it connects at once.
    pub fn start(context: LinkContext) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE);
        let (publish, status) = watch::channel(LinkStatus::default());
        tokio::spawn(task::run(context, queue, publish));
        Self { orders, status }
    }

    /// Asks for an answer; waits in line behind earlier requests.
    pub async fn ask(&self, prompt: PromptMessage) -> Result<Answer, RenterError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ask { prompt, reply }).await?;
        answer.await.map_err(|_| self.why_over())?
    }

    /// Ends the session: the host settles. Returns when the host was told, is gone, or says nothing:
    /// the renter's way out needs no answer.
    pub async fn end(&self) {
        let (reply, told) = oneshot::channel();
        let ended = async {
            if self.order(Order::End { reply }).await.is_ok() {
                let _ = told.await;
            }
        };
        if tokio::time::timeout(END_WITHIN, ended).await.is_err() {
            tracing::warn!("the host does not answer to the session's end");
        }
    }

    /// Cuts the connection as a network would. The link comes back by itself.
    pub async fn drop_connection(&self) {
        let _ = self.order(Order::Drop).await;
    }

    /// Where the session stands.
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// Waits until the connection is attached or the link is over.
    pub async fn attached(&self) -> Result<(), RenterError> {
        let mut status = self.status.clone();
        let attached = status.wait_for(|status| status.attached || status.ended.is_some()).await;
        match attached.map(|status| status.attached) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self.why_over()),
        }
    }

    /// Waits until the link is over, and says why.
    pub async fn over(&self) -> RenterError {
        let mut status = self.status.clone();
        let _ = status.wait_for(|status| status.ended.is_some()).await;
        self.why_over()
    }

    async fn order(&self, order: Order) -> Result<(), RenterError> {
        self.orders.send(order).await.map_err(|_| self.why_over())
    }

    fn why_over(&self) -> RenterError {
        let status = self.status.borrow();
        let why = match (&status.ended, status.refusals.last()) {
            (_, Some(refusal)) => refusal.clone(),
            (Some(reason), None) => reason.as_str().to_owned(),
            (None, None) => "the link to the host was lost".to_owned(),
        };
        RenterError::Over(why)
    }
}
