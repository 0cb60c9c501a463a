//! One request of a session: its generation, its decoded text, and where its tokens go.

use capstan_model::Utf8Stream;
use capstan_wire::openai::{AnswerEvent, StopFilter};
use tokio::sync::mpsc;

use crate::backend::{BackendError, Generation, Step};

/// An HTTP request that runs.
#[derive(Clone, Debug)]
pub struct Started {
    /// Prompt as counted.
    pub prompt_ids: Vec<u32>,
}

/// Who gets the tokens.
#[derive(Debug)]
pub(super) enum Sink {
    /// The attached connection, whichever it is by then.
    Connection,
    /// One HTTP response. Bounded: a slow reader pauses its own generation.
    Http(mpsc::Sender<AnswerEvent>),
}

/// A running request.
pub(super) struct Running {
    /// The renter's number for it.
    pub request_id: u64,
    /// Who gets the tokens.
    pub sink: Sink,
    /// Prompt tokens counted for it.
    pub input_tokens: u64,
    /// Tokens generated for it.
    pub output_tokens: u64,
    /// Most tokens it asked for.
    pub max_tokens: u64,
    /// Bytes to text.
    pub text: Utf8Stream,
    /// Stop texts.
    pub stop: StopFilter,
    /// The backend's side.
    pub generation: Box<dyn Generation>,
}

/// What came of waiting for the next token.
pub(super) enum Advance {
    /// The backend's step, and the place in the HTTP queue that it goes to.
    Step(Result<Step, BackendError>, Option<mpsc::OwnedPermit<AnswerEvent>>),
    /// The HTTP client is gone.
    SinkClosed,
}

impl Running {
    /// Waits for room at the sink, then for the next step. Cancel safe.
    pub(super) async fn advance(&mut self) -> Advance {
        let permit = match &self.sink {
            Sink::Connection => None,
            Sink::Http(events) => match events.clone().reserve_owned().await {
                Ok(permit) => Some(permit),
                Err(_) => return Advance::SinkClosed,
            },
        };
        Advance::Step(self.generation.next().await, permit)
    }
}
