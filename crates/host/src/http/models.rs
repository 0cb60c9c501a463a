//! `GET /v1/models` and `GET /v1/models/{model}`: what is served, and what it costs where.

use core::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::Json;
use capstan_base::{Address, ChainId};
use capstan_wire::openai::{ModelEntry, model_list};
use capstan_wire::{ApiError, ErrorCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, FrontState};
use crate::admission::unreadable;
use crate::served::ServedModel;

/// How long a price read from its chain is good for. Admission reads it anew.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
pub(super) struct ListQuery {
    chain_id: Option<ChainId>,
}

pub(super) async fn list(
    State(state): State<FrontState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Failure> {
    let mut entries = Vec::new();
    for served in &state.sessions.admission().models {
        let entry = entry(&state, served, query.chain_id).await?;
        // Asked for one chain, only what is offered there is listed.
        if query.chain_id.is_none() || !entry.pricing.is_empty() {
            entries.push(entry);
        }
    }
    Ok(Json(model_list(&entries)))
}

pub(super) async fn one(
    State(state): State<FrontState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let served = state.sessions.admission().models.iter().find(|served| served.answers_to(&name));
    let served = served.ok_or_else(|| {
        ApiError::new(ErrorCode::ModelNotFound, format!("model {name:?} is not served here"))
    })?;
    Ok(Json(json!(entry(&state, served, None).await?)))
}

async fn entry(
    state: &FrontState,
    served: &ServedModel,
    only: Option<ChainId>,
) -> Result<ModelEntry, ApiError> {
    let admission = state.sessions.admission();
    let mut pricing = Vec::new();
    if let Some(chain) = only {
        admission.chain(chain)?;
    }
    for chain in admission.chains.values() {
        if only.is_some_and(|only| only != chain.chain_id()) {
            continue;
        }
        let config = chain.config();
        let native = (config.native.symbol.clone(), Address::ZERO);
        let tokens = config.tokens.values().map(|token| (token.symbol.clone(), token.address));
        for (symbol, token) in core::iter::once(native).chain(tokens) {
            let key = (config.chain_id, served.id(), token);
            let ask = async {
                let price = chain.price_of(admission.host, served.id(), token).await;
                price.map_err(|error| unreadable(chain, &error))
            };
            let price = match Box::pin(state.prices.get(key, ask)).await {
                Ok(price) => price,
                Err(error) if only.is_some() => return Err(error),
                // Without a chain asked for, one chain's outage must not hide the others.
                Err(_) => continue,
            };
            if let Some(price) = price {
                pricing.push(json!({
                    "chain_id": chain.chain_id(),
                    "token": token,
                    "symbol": symbol,
                    "input_per_million": price.input,
                    "output_per_million": price.output,
                }));
            }
        }
    }
    Ok(ModelEntry {
        id: served.name.clone(),
        object: "model".into(),
        created: 0,
        owned_by: admission.host.to_string(),
        model_id: served.id().to_string(),
        context_length: u64::try_from(served.model.context_length()).unwrap_or(u64::MAX),
        pricing,
    })
}
