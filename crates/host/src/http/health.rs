//! `GET /health`: whether each chain answers, keeps up, and can be paid for.

use core::time::Duration;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use capstan_base::ChainId;
use capstan_chain::{BlockTag, ChainClient, Finality};
use capstan_store::{IntentFilter, IntentState, SessionState, StoreError};
use capstan_wire::info::{ChainHealth, Health};

use super::FrontState;

/// How long one look is good for.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(2);

/// Longest wait for a chain's head; a chain that takes longer counts as down.
const DEADLINE: Duration = Duration::from_secs(4);

/// A head older than this, and than [`STALE_BLOCKS`] blocks, is a chain that stands or an endpoint
/// that lags.
const STALE_AFTER: u64 = 60;

/// Blocks that a head may be late by before it counts as old.
const STALE_BLOCKS: u64 = 30;

/// An intent that is unfinished for longer is stuck: on every known chain it is final by then.
const STUCK_AFTER: u64 = 3600;

/// Healthy only if every chain answers now: a host that cannot read a chain admits nobody there.
pub(super) async fn health(State(state): State<FrontState>) -> (StatusCode, Json<Health>) {
    let chains = state.sessions.admission().chains.values();
    let looks = chains.map(|chain| state.health.get(chain.chain_id(), look(&state, chain)));
    let (chains, issues): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(looks).await.into_iter().unzip();
    let issues: Vec<_> = issues.into_iter().flatten().collect();
    let (code, status) = if state.sessions.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if issues.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::OK, "degraded")
    };
    (code, Json(Health { status: status.into(), issues, chains }))
}

/// One chain, and what is wrong with it in words.
async fn look(state: &FrontState, chain: &Arc<ChainClient>) -> (ChainHealth, Vec<String>) {
    let (id, config) = (chain.chain_id(), chain.config());
    let head = tokio::time::timeout(DEADLINE, chain.head(BlockTag::Latest)).await;
    let head = head.ok().and_then(Result::ok);
    let now = state.clock.now();
    let age = head.map(|head| now.since(head.timestamp));
    let pace = config.block_time.as_millis().max(1);
    let lag = age.map(|age| {
        let blocks = u128::from(age).saturating_mul(1000).checked_div(pace).unwrap_or(0);
        u64::try_from(blocks).unwrap_or(u64::MAX).saturating_sub(1)
    });
    let reading = state.funds.reading(id);
    let takes_sessions = state.funds.can_settle(id);
    let mut issues = Vec::new();
    match (head, age, lag) {
        (Some(_), Some(age), Some(lag)) => {
            // A local chain makes a block when there is something to put in it.
            let paced = config.finality != Finality::Latest;
            if paced && age > STALE_AFTER && lag > STALE_BLOCKS {
                issues.push(format!("the newest block is {age} s old"));
            }
        }
        _ => issues.push("no endpoint answers".to_owned()),
    }
    if let Some(reading) = reading {
        let coin = &config.native.symbol;
        if !takes_sessions {
            issues.push(format!("no {coin} to settle with: new sessions are refused"));
        } else if reading.runway < state.sessions.config().min_runway {
            issues.push(format!("{coin} for {} settlements only", reading.runway));
        }
    }
    let stored = async { Ok((unsettled(state, id).await?, oldest(state, id).await?)) };
    let (unsettled_sessions, oldest) = match stored.await {
        Ok((unsettled, oldest)) => (unsettled, oldest),
        Err(error) => {
            let error: StoreError = error;
            tracing::error!(%error, "storage failed");
            issues.push("the store cannot be read".to_owned());
            (0, None)
        }
    };
    let oldest_intent = oldest.map(|oldest| now.since(oldest));
    if let Some(age) = oldest_intent.filter(|age| *age > STUCK_AFTER) {
        issues.push(format!("a transaction is unfinished for {age} s; see `capstan intents`"));
    }
    let status = match (head.is_some(), issues.is_empty()) {
        (false, _) => "down",
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    let health = ChainHealth {
        chain_id: id,
        name: config.name.clone(),
        reachable: head.is_some(),
        status: status.to_owned(),
        head: head.map(|head| head.number),
        head_age: age,
        head_lag: lag,
        takes_sessions,
        runway: reading.map(|reading| reading.runway),
        unsettled_sessions,
        oldest_intent,
    };
    (health, issues.into_iter().map(|issue| format!("{}: {issue}", config.name)).collect())
}

async fn unsettled(state: &FrontState, chain: ChainId) -> Result<u64, StoreError> {
    let store = state.sessions.store();
    let mut sum = 0_u64;
    for unsettled in [SessionState::Open, SessionState::Detached, SessionState::Settling] {
        sum = sum.saturating_add(store.count_sessions(Some(chain), Some(unsettled)).await?);
    }
    Ok(sum)
}

/// When the oldest unfinished intent was submitted.
async fn oldest(
    state: &FrontState,
    chain: ChainId,
) -> Result<Option<capstan_base::UnixSeconds>, StoreError> {
    let mut oldest = None;
    for unfinished in [IntentState::Queued, IntentState::InFlight, IntentState::Included] {
        let filter = IntentFilter {
            chain_id: Some(chain),
            state: Some(unfinished),
            limit: Some(1),
            ..IntentFilter::default()
        };
        let found = state.sessions.store().intents(filter).await?;
        let at = found.first().map(|intent| intent.created_at);
        oldest = [oldest, at].into_iter().flatten().min();
    }
    Ok(oldest)
}
