//! `GET /health`, `GET /metrics`, `GET /v1/session/{id}/info`.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use capstan_base::{Amount, ChainId, SessionId};
use capstan_chain::BlockTag;
use capstan_wire::info::{ChainHealth, Health, SessionInfo};
use capstan_wire::{ApiError, ErrorCode};
use serde::Deserialize;

use super::{Failure, FrontState};

/// Healthy only if every chain answers now: a host that cannot read a chain admits nobody there.
pub(super) async fn health(State(state): State<FrontState>) -> (StatusCode, Json<Health>) {
    let mut issues = Vec::new();
    let mut chains = Vec::new();
    for chain in state.sessions.admission().chains.values() {
        let name = chain.config().name.clone();
        let head = chain.head(BlockTag::Latest).await.ok().map(|head| head.number);
        if head.is_none() {
            issues.push(format!("{name}: no endpoint answers"));
        }
        chains.push(ChainHealth {
            chain_id: chain.chain_id(),
            name,
            reachable: head.is_some(),
            head,
        });
    }
    let (code, status) = if state.sessions.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if issues.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::OK, "degraded")
    };
    (code, Json(Health { status: status.into(), issues, chains }))
}

pub(super) async fn metrics(State(state): State<FrontState>) -> String {
    state.metrics.render()
}

#[derive(Deserialize)]
pub(super) struct SessionQuery {
    chain_id: Option<ChainId>,
}

pub(super) async fn session(
    State(state): State<FrontState>,
    Path(id): Path<String>,
    Query(query): Query<SessionQuery>,
) -> Result<Json<SessionInfo>, Failure> {
    let id: SessionId = id.parse().map_err(|error| {
        ApiError::new(ErrorCode::InvalidRequest, format!("session id: {error}")).with_param("id")
    })?;
    if let Some(chain) = query.chain_id {
        state.sessions.admission().chain(chain)?;
    }
    let record = state.sessions.record(id, query.chain_id).await?.ok_or_else(|| {
        ApiError::new(ErrorCode::UnknownSession, format!("session {id} was never served here"))
    })?;
    let chain = state.sessions.admission().chain(record.key.chain_id)?;
    let signed = record.voucher.as_ref().map_or(Amount::ZERO, |newest| newest.voucher.amount);
    Ok(Json(SessionInfo {
        session_id: id,
        chain_id: record.key.chain_id,
        chain_name: chain.config().title.clone(),
        status: record.state.as_str().into(),
        tokens_used: record.tally.frontier.size,
        signed,
        native_token: chain.config().native.symbol.clone(),
        ended_by: record.end_reason,
    }))
}
