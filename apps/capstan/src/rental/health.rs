//! Does a host take new sessions on a chain? Asked before a deposit is paid in.

use core::time::Duration;

use anyhow::{Context as _, Result, bail};
use capstan_chain::ChainConfig;
use capstan_wire::info::Health;

use crate::output::Output;

/// Longest wait for the answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Longest answer that is read; an entry of a chain takes some three hundred bytes.
const MAX_BYTES: usize = 256 << 10;

/// Fails if the host says that it takes no session there: the deposit would have to be got back
/// alone. A host that does not say is taken to serve.
pub async fn check(host_url: &str, chain: &ChainConfig, output: &Output) -> Result<()> {
    match tokio::time::timeout(WITHIN, read(host_url)).await {
        Ok(Ok(health)) => refusal(&health, chain).map_or(Ok(()), |why| {
            bail!("{host_url} {why}; nothing was paid in. Take another chain or host, or try later")
        }),
        Ok(Err(error)) => {
            output.progress(format!(
                "warning: whether the host takes sessions is unknown: {error:#}"
            ));
            Ok(())
        }
        Err(_) => {
            output
                .progress("warning: whether the host takes sessions is unknown: no answer in time");
            Ok(())
        }
    }
}

/// Fails unless the host answers, and says that it takes sessions there: a stranger that is silent is
/// no choice.
pub async fn answers(host_url: &str, chain: &ChainConfig) -> Result<()> {
    let health =
        tokio::time::timeout(WITHIN, read(host_url)).await.context("no answer in time")??;
    refusal(&health, chain).map_or(Ok(()), |why| bail!("{host_url} {why}"))
}

/// Why no session is taken, in words that follow the host's name.
fn refusal(health: &Health, chain: &ChainConfig) -> Option<String> {
    let (id, title) = (chain.chain_id, &chain.title);
    if health.status == "draining" {
        return Some("is shutting down".to_owned());
    }
    match health.chains.iter().find(|served| served.chain_id == id) {
        None => Some(format!("does not serve {title} ({id})")),
        Some(served) if !served.takes_sessions => {
            let coin = &chain.native.symbol;
            Some(format!("takes no new session on {title} now: it has no {coin} to settle with"))
        }
        Some(_) => None,
    }
}

/// Whatever the status: a host that drains answers 503, and says so.
async fn read(host_url: &str) -> Result<Health> {
    let url = format!("{}/health", host_url.trim_end_matches('/'));
    // Who sends a renter on to somewhere else may mean a machine behind the renter's own walls.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let answer = client.get(&url).send().await;
    let mut answer = answer.with_context(|| format!("{url} does not answer"))?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > MAX_BYTES {
            bail!("{url} answers at too great length");
        }
    }
    serde_json::from_slice(&body).with_context(|| format!("{url} is no host's health"))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use axum::{Json, Router, routing::get};
    use capstan_base::ChainId;
    use capstan_chain::ChainRegistry;
    use serde_json::{Value, json};

    use super::*;

    fn chain() -> ChainConfig {
        let registry = ChainRegistry::load(&toml::Table::new(), |_| None).unwrap();
        registry.known(ChainId(84532)).unwrap().clone()
    }

    async fn asked(code: u16, answer: Value) -> Result<()> {
        let answer = move || async move {
            (StatusCode::from_u16(code).unwrap(), Json(answer.clone())).into_response()
        };
        let app = Router::new().route("/health", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        check(&url, &chain(), &Output::new(true)).await
    }

    fn health(status: &str, chain_id: u64, takes_sessions: bool) -> Value {
        json!({ "status": status, "issues": [], "chains": [{
            "chain_id": chain_id, "name": "n", "reachable": true, "status": "ok",
            "takes_sessions": takes_sessions, "unsettled_sessions": 0,
        }] })
    }

    #[tokio::test]
    async fn a_host_that_takes_no_session_is_not_paid() {
        asked(200, health("degraded", 84532, true)).await.unwrap();
        for (code, answer, why) in [
            (200, health("degraded", 84532, false), "no ETH to settle with"),
            (200, health("ok", 7, true), "does not serve Base Sepolia"),
            (503, health("draining", 84532, true), "is shutting down"),
        ] {
            let error = asked(code, answer).await.unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("nothing was paid in"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_host_that_does_not_say_is_taken_to_serve() {
        asked(404, json!({ "error": "what?" })).await.unwrap();
        check("http://127.0.0.1:1", &chain(), &Output::new(true)).await.unwrap();
    }
}
