//! Requests begin: over the session's connection under the window, or over HTTP under a ceiling.

use core::time::Duration;

use capstan_base::{Amount, SignedVoucher};
use capstan_chain::BlockTag;
use capstan_model::Utf8Stream;
use capstan_wire::openai::{AnswerEvent, GenerationRequest, StopFilter};
use capstan_wire::session::{EndReason, FinishReason, FromHost, PromptMessage};
use capstan_wire::{ApiError, ErrorCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::SessionActor;
use crate::backend::{BackendError, GenerateRequest};
use crate::meter::{Credit, Room};
use crate::session::request::{Running, Sink, Started};

/// Shortest time between two reads of a session's top-ups: a renter that asks for more than its
/// deposit again and again must not cost the host its RPC quota.
const REFRESH_EVERY: Duration = Duration::from_secs(2);

impl SessionActor {
    /// A prompt over the session's connection.
    pub(super) async fn start_prompt(&mut self, prompt: PromptMessage) -> Result<(), ApiError> {
        let request_id = prompt.request_id;
        let index = self.meter.tally().tokens();
        let ids = self.begin(prompt, Credit::Window, Sink::Connection).await?;
        let accepted = FromHost::PromptAccepted {
            request_id,
            index,
            input_tokens: u64::try_from(ids.len()).unwrap_or(u64::MAX),
        };
        self.replay.push(index, accepted.clone());
        self.send(accepted);
        self.request_voucher_if_due(false);
        Ok(())
    }

    /// A request over HTTP, paid ahead by its credential's voucher.
    pub(super) async fn start_http(
        &mut self,
        request: GenerationRequest,
        ceiling: SignedVoucher,
        events: mpsc::Sender<AnswerEvent>,
    ) -> Result<Started, ApiError> {
        self.touch();
        if !self.served.answers_to(&request.model) {
            return Err(ApiError::new(
                ErrorCode::ModelNotFound,
                format!("the session is for model {:?}, not {:?}", self.served.name, request.model),
            )
            .with_param("model"));
        }
        if ceiling.voucher.amount > self.meter.signed() {
            self.take_voucher(ceiling).await?;
        }
        let prompt_ids = self.begin(request.prompt, Credit::Ceiling, Sink::Http(events)).await?;
        // A connection cannot have this prompt replayed.
        self.replay.restart(self.meter.tally().tokens());
        Ok(Started { prompt_ids })
    }

    async fn begin(
        &mut self,
        prompt: PromptMessage,
        credit: Credit,
        sink: Sink,
    ) -> Result<Vec<u32>, ApiError> {
        if self.running.is_some() {
            return Err(ApiError::new(
                ErrorCode::RequestRunning,
                "a request of this session is running; wait for its end or cancel it",
            ));
        }
        match self.ending {
            None => {}
            Some(EndReason::HostShutdown) => {
                return Err(ApiError::new(ErrorCode::Draining, "the host is shutting down"));
            }
            Some(_) => {
                return Err(ApiError::new(ErrorCode::SessionClosed, "the session is ending"));
            }
        }
        prompt.check()?;
        let ids = self.served.prompt_ids(&prompt.prompt)?;
        let room = self.served.room_for_answer(ids.len())?;
        let max_tokens = prompt.max_tokens.unwrap_or(room).min(room);
        let generation = self
            .served
            .backend
            .start(GenerateRequest {
                prompt: ids.clone(),
                max_tokens,
                temperature: prompt.temperature,
                top_p: prompt.top_p,
                seed: prompt.seed,
            })
            .await
            .map_err(|error| self.backend_failed(&error))?;
        let mut counted = self.count_prompt(&ids, credit);
        if counted == Err(Room::DepositExhausted) && self.refresh_deposit().await {
            counted = self.count_prompt(&ids, credit);
        }
        counted.map_err(|room| self.payment_needed(room, ids.len()))?;
        self.running = Some(Running {
            request_id: prompt.request_id,
            sink,
            input_tokens: u64::try_from(ids.len()).unwrap_or(u64::MAX),
            output_tokens: 0,
            max_tokens,
            text: Utf8Stream::default(),
            stop: StopFilter::new(prompt.stop),
            generation,
        });
        Ok(ids)
    }

    fn count_prompt(&mut self, ids: &[u32], credit: Credit) -> Result<(), Room> {
        let served = self.served.clone();
        self.meter.push_prompt(ids.iter().map(|id| (*id, served.piece(*id))), credit)
    }

    /// Reads top-ups if `amount` is above the deposit as it was last read.
    pub(super) async fn refresh_deposit_for(&mut self, amount: Amount) {
        if amount > self.meter.deposit() {
            self.refresh_deposit().await;
        }
    }

    /// Reads top-ups, which may have come since the deposit was read; true if there were any. A
    /// chain that cannot be read leaves the deposit as it was.
    pub(super) async fn refresh_deposit(&mut self) -> bool {
        let now = Instant::now();
        if self.refreshed.is_some_and(|last| now.duration_since(last) < REFRESH_EVERY) {
            return false;
        }
        let Some(chain) = self.context.chains.get(&self.key.chain_id) else { return false };
        self.refreshed = Some(now);
        let before = self.meter.deposit();
        match chain.session_of(&self.key, BlockTag::Latest).await {
            Ok(state) => {
                if let Some(deposit) = self.terms.deposit.checked_add(state.top_up) {
                    self.meter.set_deposit(deposit.max(self.meter.deposit()));
                }
            }
            Err(error) => tracing::debug!(%error, "chain unreadable; deposit left as it was"),
        }
        self.meter.deposit() > before
    }

    /// The renter stops a request.
    pub(super) fn cancel(&mut self, request_id: u64) {
        if self.running.as_ref().is_some_and(|running| running.request_id == request_id) {
            self.finish(FinishReason::Cancelled);
        }
    }

    fn payment_needed(&self, room: Room, prompt_tokens: usize) -> ApiError {
        let tally = self.meter.tally();
        let needed = tally
            .owed_after(u64::try_from(prompt_tokens).unwrap_or(u64::MAX), 1)
            .map_or_else(|_| "more than any deposit".to_owned(), |amount| amount.to_string());
        let message = match room {
            Room::DepositExhausted => format!(
                "the prompt and one token need {needed} base units, the deposit is {}; \
                 top up or open another session",
                self.meter.deposit()
            ),
            Room::NeedVoucher | Room::Serve => format!(
                "the prompt and one token need a voucher over {needed} base units, {} is signed; \
                 make one with `capstan voucher`",
                self.meter.signed()
            ),
        };
        ApiError::new(ErrorCode::PaymentRequired, message)
    }

    pub(super) fn backend_failed(&self, error: &BackendError) -> ApiError {
        tracing::warn!(
            backend = self.served.backend.name(),
            %error,
            "backend failed"
        );
        match error {
            BackendError::Refused(why) => ApiError::new(ErrorCode::InvalidRequest, why.clone()),
            BackendError::Unavailable(_) => {
                ApiError::new(ErrorCode::Overloaded, "the model is not available; try again")
            }
            BackendError::Miscount(_) | BackendError::Failed(_) => {
                ApiError::new(ErrorCode::BackendFailed, "the model failed; what was sent is owed")
            }
        }
    }
}
