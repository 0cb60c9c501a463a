//! The host's front: OpenAI-compatible HTTP, the session WebSocket, health and metrics.
//!
//! A handler unpacks, authorises, calls one function and wraps. [`app`] builds the router without
//! binding a socket.

mod cache;
mod completions;
mod health;
mod info;
mod models;
mod socket;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use capstan_base::{Address, ChainId, ModelId, Price};
use capstan_kit::clock::Clock;
use capstan_kit::telemetry::Metrics;
use capstan_wire::info::ChainHealth;
use capstan_wire::session::MAX_FRAME_BYTES;
use capstan_wire::{ApiError, ErrorCode};

use self::cache::Cache;
use crate::funds::Funds;
use crate::sessions::Sessions;

/// What is asked for a model in a token, by chain.
type Prices = Cache<(ChainId, ModelId, Address), Result<Option<Price>, ApiError>>;

/// What every handler shares.
#[derive(Clone)]
pub struct FrontState {
    /// Running sessions.
    pub sessions: Sessions,
    /// What `/metrics` renders.
    pub metrics: Metrics,
    /// Time, for `created` fields.
    pub clock: Arc<dyn Clock>,
    /// Next connection's number.
    pub connections: Arc<AtomicU64>,
    /// What is known of the account's coins.
    pub funds: Funds,
    health: Arc<Cache<ChainId, (ChainHealth, Vec<String>)>>,
    prices: Arc<Prices>,
}

impl FrontState {
    /// State around a table of sessions.
    pub fn new(sessions: Sessions, metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        let health = Arc::new(Cache::new(health::GOOD_FOR));
        let prices = Arc::new(Cache::new(models::GOOD_FOR));
        let (connections, funds) = (Arc::default(), Funds::default());
        Self { sessions, metrics, clock, connections, funds, health, prices }
    }

    /// Shows these in `/health`.
    #[must_use]
    pub fn with_funds(self, funds: Funds) -> Self {
        Self { funds, ..self }
    }
}

/// The router.
pub fn app(state: FrontState) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(completions::chat))
        .route("/v1/completions", post(completions::text))
        .route("/v1/inference", post(completions::inference))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one))
        .route("/v1/session/{id}/info", get(info::session))
        .route("/v1/ws", get(socket::upgrade))
        .route("/health", get(health::health))
        .route("/metrics", get(info::metrics))
        .fallback(|| async { Failure(ApiError::new(ErrorCode::NotFound, "no such path")) })
        .layer(DefaultBodyLimit::max(MAX_FRAME_BYTES))
        .with_state(state)
}

/// An error on its way out: status and OpenAI's error body.
#[derive(Debug)]
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0.body())).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // Seconds; clients retry 503 on their own and should not at once.
            response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("2"));
        }
        response
    }
}
