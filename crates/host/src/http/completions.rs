//! `POST /v1/chat/completions`, `/v1/completions`, `/v1/inference`: tokens for a signed ceiling.

use core::convert::Infallible;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use capstan_wire::error::{PaymentChain, PaymentNeeded};
use capstan_wire::openai::{
    Assembler, ChatRequest, CompletionRequest, GenerationRequest, InferenceRequest, payloads, whole,
};
use capstan_wire::{ApiError, Credential, CredentialError, ErrorCode};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{Failure, FrontState};
use crate::admission::Claim;
use crate::session::Command;

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
        .and_then(|value| value.split_once(' '))
        // The scheme's case does not matter (RFC 9110, section 11.1).
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
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
        .filter_map(|chain| {
            let marketplace = chain.marketplace().ok()?;
            Some(PaymentChain { chain_id: chain.chain_id(), marketplace })
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
        let events = payloads(assembler, started.prompt_ids, ReceiverStream::new(receiver))
            .map(|payload| Ok::<_, Infallible>(Event::default().data(payload)));
        let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
        // Proxies in front must not collect the stream.
        response
            .headers_mut()
            .insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
        Ok(response)
    } else {
        let events = ReceiverStream::new(receiver);
        Ok(Json(whole(&assembler, &started.prompt_ids, events).await?).into_response())
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
