//! Alerts to an operator's URL: queued, retried, and never waited for.

use core::time::Duration;

use capstan_kit::{Backoff, Secret};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Alerts that wait for an endpoint that is down; beyond these the log alone has them.
const WAITING: usize = 32;

/// Longest wait for one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Tries of one alert, over some four minutes: an alert is worth more than one lost packet, and a
/// stale one is worth little.
const TRIES: usize = 8;

/// First and longest pause between tries.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where alerts go. The URL may hold a token and is never printed.
#[derive(Clone, Debug)]
pub struct Webhook {
    queue: mpsc::Sender<Value>,
}

impl Webhook {
    /// Posts to `url` until `stop`.
    pub fn start(url: Secret, stop: CancellationToken) -> Self {
        let (queue, mut alerts) = mpsc::channel(WAITING);
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            // A redirect could lead the token anywhere.
            let client = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(DEADLINE)
                .build()
                .unwrap_or_default();
            while let Some(alert) = alerts.recv().await {
                deliver(&client, &url, &alert).await;
            }
        }));
        Self { queue }
    }

    /// Queues an alert.
    pub fn tell(&self, alert: Value) {
        if self.queue.try_send(alert).is_err() {
            count("dropped");
            tracing::warn!("the alert webhook is behind; this alert is in the log alone");
        }
    }
}

async fn deliver(client: &reqwest::Client, url: &Secret, alert: &Value) {
    let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
    for tried in 1..=TRIES {
        let sent = client.post(url.expose()).json(alert).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(answer) if answer.status().is_success() => return count("delivered"),
            Ok(answer) => tracing::warn!(
                tried,
                status = answer.status().as_u16(),
                "the alert webhook redirects"
            ),
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(tried, %error, "the alert webhook did not take an alert");
            }
        }
        if tried < TRIES {
            tokio::time::sleep(pauses.next_delay()).await;
        }
    }
    count("given_up");
}

fn count(outcome: &'static str) {
    metrics::counter!("capstan_alerts_sent_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_alert_is_tried_again_until_it_is_taken() {
        let (taken, mut heard) = mpsc::channel(1);
        let tries = Arc::new(AtomicUsize::new(0));
        let answer = move |axum::Json(alert): axum::Json<Value>| async move {
            if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            taken.send(alert).await.unwrap();
            StatusCode::NO_CONTENT
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=hush", listener.local_addr().unwrap());
        let server = axum::serve(listener, Router::new().route("/hook", post(answer)));
        let stop = CancellationToken::new();
        tokio::spawn(server.into_future());
        let webhook = Webhook::start(Secret::new(url), stop.clone());
        assert!(!format!("{webhook:?}").contains("hush"));
        webhook.tell(json!({ "event": "low" }));
        let alert = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await.unwrap();
        assert_eq!(alert, Some(json!({ "event": "low" })));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_webhook_that_takes_nothing_holds_nobody_up() {
        let stop = CancellationToken::new();
        // Nobody listens on port 9 of this machine.
        let webhook = Webhook::start(Secret::new("http://127.0.0.1:9/".into()), stop.clone());
        for _ in 0..10 * WAITING {
            webhook.tell(json!({}));
        }
        stop.cancel();
    }
}
