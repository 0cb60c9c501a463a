//! `POST /v1/chat/completions`, `/v1/completions`, `/v1/inference`: tokens for a signed ceiling.

use core::convert::Infallible;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use capstan_wire::error::{PaymentChain, PaymentNeeded};
use capstan_wire::openai::{
    Assembler, ChatRequest, CompletionRequest, Delta, GenerationRequest, InferenceRequest, Usage,
};
use capstan_wire::{ApiError, Credential, CredentialError, ErrorCode};
use futures_util::stream::{self, Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::{Failure, FrontState};
use crate::admission::Claim;
use crate::session::{Command, GenerationEvent, Started};

/// Tokens a slow HTTP reader may lag behind before its own generation pauses.
const READ_AHEAD: usize = 16;

pub(super) async fn chat(
    State(state): State<FrontState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = parse::<ChatRequest>(&body)?.into_generation()?;
    answer(&state, &headers, request).await
}

pub(super) async fn text(
    State(state): State<FrontState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = parse::<CompletionRequest>(&body)?.into_generation()?;
    answer(&state, &headers, request).await
}

pub(super) async fn inference(
    State(state): State<FrontState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = parse::<InferenceRequest>(&body)?;
    let (chain, session) = (request.chain_id, request.session_id);
    if let Some(chain) = chain {
        state.sessions.admission().chain(chain)?;
    }
    if let Ok(credential) = credential(&state, &headers) {
        let disagrees = chain.is_some_and(|chain| chain != credential.chain_id)
            || session.is_some_and(|session| session != credential.terms.id());
        if disagrees {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "chain_id or session_id disagree with the credential",
            )
            .into());
        }
    }
    answer(&state, &headers, request.into_generation()?).await
}

/// The body may lack a content type or carry a wrong one; what counts is that it is JSON.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("request body: {error}")))
}

fn credential(state: &FrontState, headers: &HeaderMap) -> Result<Credential, ApiError> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim);
    match bearer.map(Credential::decode) {
        Some(Ok(credential)) => Ok(credential),
        Some(Err(error @ CredentialError::Damaged)) => {
            Err(ApiError::new(ErrorCode::InvalidCredential, error.to_string()))
        }
        // A missing key and another service's key mean the same: nobody has paid yet.
        Some(Err(CredentialError::NotOurs)) | None => Err(ApiError::new(
            ErrorCode::PaymentRequired,
            "this host serves paid sessions: open one on a chain below, sign a voucher, and send \
             it as the API key (`capstan voucher` does both, `capstan rent` does it per token)",
        )
        .with_payment(payment_needed(state))),
    }
}

fn payment_needed(state: &FrontState) -> PaymentNeeded {
    let admission = state.sessions.admission();
    let chains = admission
        .chains
        .values()
        .map(|chain| PaymentChain {
            chain_id: chain.chain_id(),
            marketplace: chain.contracts().job_marketplace,
        })
        .collect();
    PaymentNeeded { host: admission.host, chains, session: None }
}

async fn answer(
    state: &FrontState,
    headers: &HeaderMap,
    request: GenerationRequest,
) -> Result<Response, Failure> {
    let credential = credential(state, headers)?;
    let claim =
        Claim { chain_id: credential.chain_id, terms: &credential.terms, price: credential.price };
    state.sessions.verify_voucher(&claim, &credential.voucher)?;
    let (_, session) = state.sessions.open(&claim).await?;
    let assembler = Assembler::new(
        &request,
        model_name(state, &request, &credential),
        &format!("{:016x}", rand_id(state)),
        state.clock.now().get(),
    );
    let streamed = request.stream;
    let (events, receiver) = mpsc::channel(READ_AHEAD);
    let (reply, started) = oneshot::channel();
    let command = Command::Generate {
        request: Box::new(request),
        ceiling: Box::new(credential.voucher),
        events,
        reply,
    };
    let over = || ApiError::new(ErrorCode::SessionClosed, "the session has just ended");
    if !session.send(command).await {
        return Err(over().into());
    }
    let started = started.await.map_err(|_| over())??;
    if streamed {
        let mut response = Sse::new(events_of(assembler, started, receiver))
            .keep_alive(KeepAlive::default())
            .into_response();
        // Proxies in front must not collect the stream.
        response
            .headers_mut()
            .insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
        Ok(response)
    } else {
        whole(&assembler, &started, receiver).await
    }
}

fn model_name(state: &FrontState, request: &GenerationRequest, credential: &Credential) -> String {
    let served = state.sessions.admission().models.iter();
    let named = served.clone().find(|served| served.id() == credential.terms.model);
    named.map_or_else(|| request.model.clone(), |served| served.name.clone())
}

fn rand_id(state: &FrontState) -> u64 {
    // Unique within the process is enough: clients use it to group the chunks of one answer.
    let count = state.connections.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    state.clock.now().get().wrapping_shl(24) ^ count
}

/// The answer so far.
#[derive(Default)]
struct Progress {
    completion_tokens: u64,
}

impl Progress {
    fn usage(&self, started: &Started) -> Usage {
        let prompt = u64::try_from(started.prompt_ids.len()).unwrap_or(u64::MAX);
        Usage::new(prompt, self.completion_tokens)
    }
}

fn events_of(
    assembler: Assembler,
    started: Started,
    receiver: mpsc::Receiver<GenerationEvent>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let opening = assembler.opening(&started.prompt_ids).map(|chunk| data(&chunk));
    let state = (assembler, started, receiver, Progress::default(), false);
    let rest = stream::unfold(
        state,
        |(assembler, started, mut receiver, mut progress, over)| async move {
            if over {
                return None;
            }
            let (events, over) = match receiver.recv().await {
                Some(GenerationEvent::Token { id, text, piece, logprob }) => {
                    progress.completion_tokens = progress.completion_tokens.saturating_add(1);
                    let delta = Delta {
                        text,
                        ids: vec![id],
                        logprobs: logprob.map(|logprob| (piece, logprob)).into_iter().collect(),
                    };
                    (vec![data(&assembler.piece(&delta, progress.usage(&started)))], false)
                }
                Some(GenerationEvent::Finished { reason, text }) => {
                    let mut events = Vec::new();
                    if !text.is_empty() {
                        let delta = Delta { text, ..Delta::default() };
                        events.push(data(&assembler.piece(&delta, progress.usage(&started))));
                    }
                    let closing = assembler.closing(reason, progress.usage(&started));
                    events.extend(closing.iter().map(data));
                    events.push(Event::default().data("[DONE]"));
                    (events, true)
                }
                Some(GenerationEvent::Failed(error)) => (vec![data(&error.body())], true),
                // Never a clean end: the session ended under the answer.
                None => (vec![data(&cut_off().body())], true),
            };
            let events = stream::iter(events.into_iter().map(Ok));
            Some((events, (assembler, started, receiver, progress, over)))
        },
    );
    stream::iter(opening.map(Ok)).chain(rest.flatten())
}

fn data(value: &serde_json::Value) -> Event {
    Event::default().data(value.to_string())
}

fn cut_off() -> ApiError {
    ApiError::new(ErrorCode::SessionClosed, "the session ended before the answer did")
}

async fn whole(
    assembler: &Assembler,
    started: &Started,
    mut receiver: mpsc::Receiver<GenerationEvent>,
) -> Result<Response, Failure> {
    let mut all = Delta::default();
    let mut progress = Progress::default();
    while let Some(event) = receiver.recv().await {
        match event {
            GenerationEvent::Token { id, text, piece, logprob } => {
                progress.completion_tokens = progress.completion_tokens.saturating_add(1);
                all.text.push_str(&text);
                all.ids.push(id);
                all.logprobs.extend(logprob.map(|logprob| (piece, logprob)));
            }
            GenerationEvent::Finished { reason, text } => {
                all.text.push_str(&text);
                let usage = progress.usage(started);
                let body = assembler.whole(&all, &started.prompt_ids, reason, usage);
                return Ok(Json(body).into_response());
            }
            GenerationEvent::Failed(error) => return Err(error.into()),
        }
    }
    Err(cut_off().into())
}
