//! API keys: a session opened by `capstan voucher`, and the key it prints.

use capstan_chain::LocalSigner;
use serde_json::{Value, json};

use crate::process::{command, run};
use crate::scene::Scene;
use crate::{oracle, tools};

/// A key and the session behind it.
pub struct ApiKey {
    /// The renter's account; its data lies under [`ApiKey::data`].
    pub account: LocalSigner,
    /// Data folder of the renter.
    pub data: String,
    /// The key.
    pub key: String,
    /// Base URL for OpenAI clients.
    pub base_url: String,
    /// Session id.
    pub session: String,
    /// Most that may be claimed, base units.
    pub ceiling: u128,
    /// Deposit, base units.
    pub deposit: u128,
}

impl ApiKey {
    /// Opens a session in coins and signs a ceiling; both in whole coins.
    pub async fn make(scene: &Scene, data: &str, deposit: &str, ceiling: &str) -> Self {
        let account = scene.world.account(0, 0).await;
        let mut voucher = command(&scene.world, &account, data);
        voucher
            .args(["voucher", "--host", &scene.account.address().to_string()])
            .args(["--host-url", &scene.url, "--deposit", deposit, "--ceiling", ceiling])
            .arg("--model")
            .arg(tools::model());
        let (code, lines, errors) = run(voucher).await;
        assert_eq!(code, 0, "{lines:?} {errors}");
        let text = |line: usize, field: &str| {
            lines[line][field].as_str().unwrap_or_else(|| panic!("{lines:?}")).to_owned()
        };
        Self {
            account,
            data: data.to_owned(),
            key: text(1, "api_key"),
            base_url: text(1, "base_url"),
            session: text(0, "session_id"),
            ceiling: text(1, "ceiling").parse().expect("a number"),
            deposit: text(0, "deposit").parse().expect("a number"),
        }
    }

    /// Posts to an endpoint of the host with this key.
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        reqwest::Client::new()
            .post(format!("{}{path}", self.base_url))
            .bearer_auth(&self.key)
            .json(body)
            .send()
            .await
            .expect("an answer")
    }

    /// Posts a chat question; gives status and body.
    pub async fn chat(&self, question: &str, more: Value) -> (u16, Value) {
        let mut body = json!({
            "model": "capstan-tiny",
            "messages": [{ "role": "user", "content": question }],
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let response = self.post("/chat/completions", &body).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// The one closing of the session, with its sums checked.
    pub async fn settled(&self, scene: &Scene) -> oracle::Closed {
        let chain = scene.chain();
        for _ in 0..600 {
            let market = chain.marketplace();
            let mut all = oracle::closings(&chain.anvil.url, &market, &self.session).await;
            assert!(all.len() < 2, "closed twice: {all:?}");
            if let Some(closed) = all.pop() {
                assert_eq!(closed.host_paid + closed.fee + closed.refund, self.deposit);
                return closed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("session {} does not settle", self.session);
    }
}

/// The events of a stream up to `[DONE]`; a stream without it fails.
pub async fn events(response: reqwest::Response) -> Vec<Value> {
    let text = response.text().await.expect("a whole stream");
    let mut events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(events.pop(), Some("[DONE]"), "{text}");
    events.into_iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
}
