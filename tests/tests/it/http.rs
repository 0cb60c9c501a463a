//! The HTTP front: who pays gets OpenAI's answers, who does not is told how to.

use capstan_tests::key::{ApiKey, events};
use capstan_tests::scene::{COIN_PRICE, Scene};
use serde_json::{Value, json};

/// Cost of this usage in coins.
fn cost(usages: &[Value]) -> u128 {
    let sum = |field| -> u128 {
        usages.iter().map(|usage| u128::from(usage[field].as_u64().unwrap())).sum()
    };
    let (input, output) = (sum("prompt_tokens"), sum("completion_tokens"));
    (COIN_PRICE.0 * input + COIN_PRICE.1 * output).div_ceil(1_000_000)
}

async fn get(url: String) -> (u16, Value) {
    let response = reqwest::get(url).await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn every_endpoint_serves_a_key_and_claims_what_was_served() {
    let scene = Scene::start("idle_seconds = 3").await;
    let key = ApiKey::make(&scene, "renter", "0.001", "0.0005").await;
    let mut usages = Vec::new();

    let (status, whole) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!(status, 200, "{whole}");
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(!text.is_empty());
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    usages.push(whole["usage"].clone());

    // The same, streamed, with usage and with fields nobody here knows.
    let body = json!({
        "model": "capstan-tiny", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "What is a voucher?" }],
        "user": "someone", "metadata": { "a": 1 }, "parallel_tool_calls": false,
    });
    let chunks = events(key.post("/chat/completions", &body).await).await;
    let streamed: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(streamed, text, "streamed or whole, the greedy answer is one");
    let usage = chunks.last().unwrap()["usage"].clone();
    assert_eq!(usage, usages[0]);
    usages.push(usage);

    // A stop text ends the answer before it shows.
    let word = text.split_whitespace().nth(2).unwrap();
    let (status, stopped) = key.chat("What is a voucher?", json!({ "stop": [word] })).await;
    assert_eq!(status, 200);
    let shown = stopped["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with(shown) && !shown.contains(word), "{shown:?} with stop {word:?}");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    usages.push(stopped["usage"].clone());

    let body = json!({ "model": "capstan-tiny", "prompt": "Once upon a time", "max_tokens": 7 });
    let answer: Value = key.post("/completions", &body).await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "length", "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], 7);
    usages.push(answer["usage"].clone());

    let body = json!({
        "model": "capstan-tiny", "prompt": "What is a voucher?", "max_tokens": 5,
        "chain_id": scene.chain().anvil.chain_id, "session_id": key.session,
    });
    let response = key.post("/inference", &body).await;
    assert_eq!(response.status().as_u16(), 200);
    let answer: Value = response.json().await.unwrap();
    usages.push(answer["usage"].clone());

    let (status, info) = get(format!("{}/session/{}/info", key.base_url, key.session)).await;
    assert_eq!((status, &info["status"]), (200, &json!("open")), "{info}");
    let closed = key.settled(&scene).await;
    assert_eq!(closed.host_paid + closed.fee, cost(&usages), "what was served, not the ceiling");
    assert!(cost(&usages) < key.ceiling);

    let metric = "node_session_settlements_total{";
    let mut found = false;
    for _ in 0..50 {
        let metrics = reqwest::get(format!("{}/metrics", scene.url)).await.unwrap();
        found = metrics.text().await.unwrap().contains(metric);
        if found {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(found, "the settlement is counted at /metrics");
    // The session is over, and says so.
    let (status, body) = key.chat("What is a voucher?", json!({})).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("session_closed")), "{body}");
}

#[tokio::test]
async fn an_answer_stops_at_the_signed_ceiling() {
    let scene = Scene::start("idle_seconds = 2").await;
    // 10^-6 coins buy some sixteen output tokens.
    let key = ApiKey::make(&scene, "renter", "0.001", "0.000001").await;
    let (status, answer) = key.chat("Tell me a story about a fox.", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert!(cost(&[answer["usage"].clone()]) <= key.ceiling);
    // Nothing is left: the next question is refused with what is needed.
    let (status, body) = key.chat("Tell me a story about a fox.", json!({})).await;
    assert_eq!((status, &body["error"]["code"]), (402, &json!("payment_required")), "{body}");
    let closed = key.settled(&scene).await;
    assert_eq!(closed.host_paid + closed.fee, cost(&[answer["usage"].clone()]));
}

#[tokio::test]
async fn a_bad_request_gets_its_status_and_costs_nothing() {
    let scene = Scene::start("idle_seconds = 30").await;
    let key = ApiKey::make(&scene, "renter", "0.001", "0.0005").await;
    let question = json!({
        "model": "capstan-tiny", "messages": [{ "role": "user", "content": "hello" }],
    });
    let unpaid = |bearer: Option<String>| {
        let request = reqwest::Client::new()
            .post(format!("{}/v1/chat/completions", scene.url))
            .json(&question);
        async move {
            let request = bearer.into_iter().fold(request, |request, key| request.bearer_auth(key));
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    for bearer in [None, Some("sk-somebody-elses".to_owned())] {
        let (status, body) = unpaid(bearer).await;
        assert_eq!((status, &body["error"]["code"]), (402, &json!("payment_required")), "{body}");
        let payment = &body["error"]["payment"];
        assert_eq!(payment["host"], json!(scene.account.address()));
        assert_eq!(payment["chains"][0]["chain_id"], scene.chain().anvil.chain_id);
        let market: String = payment["chains"][0]["marketplace"].as_str().unwrap().to_lowercase();
        assert_eq!(market, scene.chain().marketplace().to_lowercase());
    }
    let middle = key.key.len() / 2;
    let flipped = if &key.key[middle..=middle] == "A" { "B" } else { "A" };
    let mut damaged = key.key.clone();
    damaged.replace_range(middle..=middle, flipped);
    for key in [
        key.key[..key.key.len() - 8].to_owned(),
        "capstan_".to_owned(),
        "capstan_%%%".to_owned(),
        format!("capstan_{}", "A".repeat(100_000)),
    ] {
        let (status, body) = unpaid(Some(key)).await;
        // A header too long for the server is refused before anybody reads it.
        assert!([401, 431].contains(&status), "{status} {body}");
    }
    let (status, body) = unpaid(Some(damaged)).await;
    assert!((400..500).contains(&status), "one character off: {status} {body}");

    let long = "the owl and the fox ".repeat(5000);
    let cases = [
        (json!({ "model": "gpt-4o" }), 404, "model_not_found"),
        (json!({ "n": 2 }), 400, "invalid_request"),
        (json!({ "temperature": 9 }), 400, "invalid_request"),
        (json!({ "max_tokens": 0 }), 400, "invalid_request"),
        (json!({ "max_tokens": -3 }), 400, "invalid_request"),
        (json!({ "stop": ["a", "b", "c", "d", "e"] }), 400, "invalid_request"),
        (json!({ "messages": [] }), 400, "invalid_request"),
        (json!({ "messages": "hello" }), 400, "invalid_request"),
        (
            json!({ "messages": [{ "role": "user", "content": long }] }),
            400,
            "context_length_exceeded",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            400,
            "invalid_request",
        ),
    ];
    for (change, expected, code) in cases {
        let (status, body) = key.chat("hello", change.clone()).await;
        let change: String = change.to_string().chars().take(60).collect();
        assert_eq!((status, &body["error"]["code"]), (expected, &json!(code)), "{change} {body}");
        assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string());
    }
    let other = json!({ "prompt": "hello", "session_id": format!("0x{}", "7".repeat(64)) });
    assert_eq!(key.post("/inference", &other).await.status().as_u16(), 400);
    let other = json!({ "prompt": "hello", "chain_id": 1 });
    assert_eq!(key.post("/inference", &other).await.status().as_u16(), 400);

    let base = format!("{}/v1", scene.url);
    let (status, models) = get(format!("{base}/models?chain_id=84532")).await;
    assert_eq!((status, &models["data"][0]["id"]), (200, &json!("capstan-tiny")), "{models}");
    let price = &models["data"][0]["pricing"][0];
    assert_eq!(price["output_per_million"], json!(COIN_PRICE.1.to_string()));
    let (status, body) = get(format!("{base}/models?chain_id=1")).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("unknown_chain")), "{body}");
    let unknown = format!("0x{}", "7".repeat(64));
    assert_eq!(get(format!("{base}/session/{unknown}/info")).await.0, 404);
    assert_eq!(get(format!("{base}/session/nonsense/info")).await.0, 400);
    assert_eq!(get(format!("{base}/nothing")).await.0, 404);
    let (status, health) = get(format!("{}/health", scene.url)).await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")), "{health}");

    let (_, info) = get(format!("{base}/session/{}/info", key.session)).await;
    assert!(info["tokens_used"].as_u64().unwrap_or(0) == 0, "nothing was billed: {info}");
    let (status, _) = key.chat("hello", json!({ "max_tokens": 3 })).await;
    assert_eq!(status, 200, "and the key still works");
}
