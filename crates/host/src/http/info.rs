//! `GET /metrics`, `GET /v1/session/{id}/info`.

use axum::extract::{Path, Query, State};
use axum::response::Json;
use capstan_base::{Amount, ChainId, SessionId};
use capstan_wire::info::SessionInfo;
use capstan_wire::{ApiError, ErrorCode};
use serde::Deserialize;

use super::{Failure, FrontState};

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
