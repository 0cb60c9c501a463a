//! The upstream backend: its stream in any pieces, its faults, its counts.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use capstan_host::backend::upstream::{UpstreamBackend, UpstreamConfig};
use capstan_host::backend::{Backend, BackendError, GenerateRequest, Step};
use capstan_wire::session::FinishReason;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::fixture::tiny;

type Answer = (StatusCode, Vec<Bytes>);

/// A server that answers every call with the pieces it holds at the time.
struct Server {
    backend: UpstreamBackend,
    answer: Arc<Mutex<Answer>>,
}

impl Server {
    async fn new() -> Self {
        let answer: Arc<Mutex<Answer>> = Arc::default();
        let app =
            Router::new().route("/v1/completions", post(reply)).with_state(Arc::clone(&answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let config = UpstreamConfig { base_url, api_key: None, model: "m".into() };
        Self { backend: UpstreamBackend::new(config, tiny()).unwrap(), answer }
    }

    async fn run(&self, pieces: &[&[u8]]) -> Result<(Vec<u32>, FinishReason), BackendError> {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        *self.answer.lock().unwrap() = (StatusCode::OK, pieces);
        self.call().await
    }

    async fn call(&self) -> Result<(Vec<u32>, FinishReason), BackendError> {
        let prompt = vec![11, 12, 13];
        let request =
            GenerateRequest { prompt, max_tokens: 9, temperature: 0.0, top_p: 1.0, seed: 0 };
        let mut generation = self.backend.start(request).await?;
        let mut ids = Vec::new();
        loop {
            match generation.next().await? {
                Step::Token(token) => ids.push(token.id),
                Step::Finished(reason) => return Ok((ids, reason)),
            }
        }
    }
}

async fn reply(State(answer): State<Arc<Mutex<Answer>>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&call["prompt"], &call["stream"]), (&json!([11, 12, 13]), &json!(true)));
    let (status, pieces) = answer.lock().unwrap().clone();
    let pieces = stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(piece)
    });
    Response::builder()
        .status(status)
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(pieces))
        .unwrap()
}

fn event(value: Value) -> String {
    format!("data: {value}\n\n")
}

fn token(id: u32, text: &str) -> String {
    event(json!({ "choices": [{ "text": text, "token_ids": [id], "logprobs": null }] }))
}

fn last(reason: &str) -> String {
    event(json!({ "choices": [{ "text": "", "finish_reason": reason }] }))
}

const DONE: &str = "data: [DONE]\n\n";

#[tokio::test]
async fn a_stream_split_at_any_byte_is_the_same_stream() {
    let server = Server::new().await;
    let text = [
        ": keep-alive\r\n\r\n".to_owned(),
        token(20, "ü"),
        token(21, "🦊"),
        last("length"),
        event(json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2 } })),
        DONE.to_owned(),
    ]
    .concat();
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        let answer = server.run(&[&bytes[..at], &bytes[at..]]).await.unwrap();
        assert_eq!(answer, (vec![20, 21], FinishReason::Length), "split at {at}");
    }
    let each: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(server.run(&each).await.unwrap().0, [20, 21]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure() {
    let server = Server::new().await;
    let error = event(json!({ "error": { "message": "out of memory" } }));
    for broken in [
        token(20, "a"),
        String::new(),
        "data: {".to_owned(),
        "data: nonsense\n\n".to_owned(),
        token(20, "a") + &error,
        token(u32::MAX, "a") + DONE,
    ] {
        let failed = server.run(&[broken.as_bytes()]).await;
        assert!(
            matches!(failed, Err(BackendError::Failed(_) | BackendError::Miscount(_))),
            "{broken:?} gave {failed:?}"
        );
    }
    assert!(server.run(&[b"data: \xff\xfe\n\n"]).await.is_err());
}

#[tokio::test]
async fn an_end_without_done_is_an_end_if_its_reason_came() {
    let server = Server::new().await;
    let text = token(20, "a") + &last("stop");
    let answer = server.run(&[text.as_bytes()]).await.unwrap();
    assert_eq!(answer, (vec![20], FinishReason::Stop));
    let text = token(20, "a") + DONE.trim_end();
    assert_eq!(server.run(&[text.as_bytes()]).await.unwrap().0, [20]);
}

#[tokio::test]
async fn text_without_ids_is_tokenised_here() {
    let server = Server::new().await;
    let piece = |text: &str| event(json!({ "choices": [{ "text": text }] }));
    let text = [piece("Hel"), piece("lo, wor"), piece("ld"), last("stop"), DONE.into()].concat();
    let (ids, reason) = server.run(&[text.as_bytes()]).await.unwrap();
    assert_eq!(ids, tiny().tokenizer().encode("Hello, world", false).unwrap());
    assert_eq!(reason, FinishReason::Stop);
}

#[tokio::test]
async fn the_token_that_ends_an_answer_is_not_billed() {
    let server = Server::new().await;
    let eos = tiny().tokenizer().eos().unwrap();
    let text = [token(20, "a"), token(eos, "</s>"), last("stop"), DONE.into()].concat();
    assert_eq!(server.run(&[text.as_bytes()]).await.unwrap().0, [20]);
}

#[tokio::test]
async fn a_miscount_of_the_server_never_changes_the_ids() {
    let server = Server::new().await;
    let usage =
        json!({ "choices": [], "usage": { "prompt_tokens": 999, "completion_tokens": 50 } });
    let text = [token(20, "a"), event(usage), DONE.into()].concat();
    assert_eq!(server.run(&[text.as_bytes()]).await.unwrap().0, [20]);
}

#[tokio::test]
async fn a_refusal_is_told_apart_from_an_outage() {
    let server = Server::new().await;
    for (status, outage) in [(400, false), (404, false), (429, true), (500, true), (503, true)] {
        let body = Bytes::from_static(br#"{"error":{"message":"said so"}}"#);
        *server.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), vec![body]);
        let error = server.call().await.unwrap_err();
        assert_eq!(matches!(error, BackendError::Unavailable(_)), outage, "{status}");
        assert!(error.to_string().contains("said so"));
    }
}
