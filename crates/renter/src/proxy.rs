//! The local OpenAI-compatible endpoint: any client, paid per token through the link.
//!
//! Bound to loopback by default and without a key of its own: whoever reaches it spends the
//! session's budget. Pages of other sites reach it too, through the browser of whoever visits them,
//! so what a browser sends for a page from elsewhere is refused.

use core::convert::Infallible;
use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use capstan_base::{Address, ModelId};
use capstan_kit::Clock;
use capstan_wire::openai::{
    Assembler, ChatRequest, CompletionRequest, GenerationRequest, ModelEntry, model_list, payloads,
    whole,
};
use capstan_wire::session::MAX_FRAME_BYTES;
use capstan_wire::{ApiError, ErrorCode};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;

use crate::error::RenterError;
use crate::link::Link;

/// What the endpoint serves.
#[derive(Clone)]
pub struct ProxyState {
    /// The session.
    pub link: Link,
    /// Model name.
    pub model: String,
    /// Its id on chain.
    pub model_id: ModelId,
    /// Its context, tokens.
    pub context_length: u64,
    /// Who serves it.
    pub host: Address,
    /// Time, for `created` fields.
    pub clock: Arc<dyn Clock>,
    /// Next answer's number.
    pub answers: Arc<AtomicU64>,
}

/// The router.
pub fn app(state: ProxyState) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(text))
        .route("/v1/models", get(models))
        .route("/v1/models/{model}", get(model))
        .route("/health", get(health))
        .fallback(|| async { Failure(ApiError::new(ErrorCode::NotFound, "no such path")) })
        .layer(DefaultBodyLimit::max(MAX_FRAME_BYTES))
        .layer(middleware::from_fn(refuse_other_sites))
        .with_state(state)
}

/// A page may post to any address of its visitor's machine, and under a name of its own that it
/// points there it may read the answer too. A browser then says whose page it is.
async fn refuse_other_sites(request: Request, next: Next) -> Response {
    match request.headers().get(header::ORIGIN) {
        Some(origin) if !is_of_this_machine(origin) => Failure(ApiError::new(
            ErrorCode::InvalidRequest,
            "requests of web pages from elsewhere are refused: they would spend this session's budget",
        ))
        .into_response(),
        _ => next.run(request).await,
    }
}

fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|it| it.1);
    let host = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    match host {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

struct Failure(ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<RenterError> for Failure {
    fn from(error: RenterError) -> Self {
        Self(match error {
            RenterError::Host(error) => error,
            RenterError::Over(why) => ApiError::new(
                ErrorCode::SessionClosed,
                format!("the session is over ({why}); open another with `capstan rent`"),
            ),
            other => ApiError::new(ErrorCode::InvalidRequest, other.to_string()),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0.body())).into_response()
    }
}

async fn chat(State(state): State<ProxyState>, body: Bytes) -> Result<Response, Failure> {
    let request: ChatRequest = parse(&body)?;
    answer(&state, request.into_generation()?).await
}

async fn text(State(state): State<ProxyState>, body: Bytes) -> Result<Response, Failure> {
    let request: CompletionRequest = parse(&body)?;
    answer(&state, request.into_generation()?).await
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("request body: {error}")))
}

async fn answer(state: &ProxyState, request: GenerationRequest) -> Result<Response, Failure> {
    if !serves(state, &request.model) {
        return Err(unknown_model(state, &request.model).into());
    }
    let number = state.answers.fetch_add(1, Ordering::Relaxed);
    let now = state.clock.now().get();
    let id = format!("{now:010x}{number:06x}");
    let assembler = Assembler::new(&request, state.model.clone(), &id, now);
    let streamed = request.stream;
    let answer = state.link.ask(request.prompt).await?;
    let events = ReceiverStream::new(answer.events);
    if !streamed {
        return Ok(Json(whole(&assembler, &answer.prompt_ids, events).await?).into_response());
    }
    let events = payloads(assembler, answer.prompt_ids, events)
        .map(|payload| Ok::<_, Infallible>(Event::default().data(payload)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn serves(state: &ProxyState, name: &str) -> bool {
    name.is_empty() || name == state.model || name.parse() == Ok(state.model_id)
}

fn unknown_model(state: &ProxyState, name: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ModelNotFound,
        format!("this session is for model {:?}, not {name:?}", state.model),
    )
    .with_param("model")
}

fn entry(state: &ProxyState) -> ModelEntry {
    ModelEntry {
        id: state.model.clone(),
        object: "model".into(),
        created: 0,
        owned_by: state.host.to_string(),
        model_id: state.model_id.to_string(),
        context_length: state.context_length,
        pricing: Vec::new(),
    }
}

async fn models(State(state): State<ProxyState>) -> Json<Value> {
    Json(model_list(&[entry(&state)]))
}

async fn model(
    State(state): State<ProxyState>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> Result<Json<Value>, Failure> {
    if serves(&state, &name) {
        Ok(Json(json!(entry(&state))))
    } else {
        Err(unknown_model(&state, &name).into())
    }
}

async fn health(State(state): State<ProxyState>) -> Json<Value> {
    let status = state.link.status();
    Json(json!({
        "status": if status.ended.is_some() { "over" } else { "ok" },
        "attached": status.attached,
        "reconnects": status.reconnects,
        "tokens": status.tokens,
        "signed": status.signed,
        "refusals": status.refusals,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_may_spend() {
        let is_own = |origin: &'static str| is_of_this_machine(&HeaderValue::from_static(origin));
        for own in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "null",
            "https://evil.example",
            "http://evil.example:8788",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:8788",
            "http://192.168.0.9",
            "",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[tokio::test]
    async fn a_page_from_elsewhere_is_refused_before_its_request_is_read() {
        let app = Router::new()
            .route("/v1/models", get(|| async { "served" }))
            .layer(middleware::from_fn(refuse_other_sites));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        for (origin, status) in [("", "200"), ("Origin: https://evil.example\r\n", "400")] {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request =
                format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{origin}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
    }
}
