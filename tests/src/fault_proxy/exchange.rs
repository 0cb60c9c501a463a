//! One HTTP exchange: a request or a batch of them, each entry under its own fault.

use std::convert::Infallible;
use std::time::Duration;

use alloy_primitives::U64;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::Shared;
use super::node::{number, refusal};
use super::rule::Fault;

/// Longer than any caller waits.
const FOREVER: Duration = Duration::from_secs(600);

/// The connection closes without an answer, or within one.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proxy breaks the connection")
    }
}

impl std::error::Error for Broken {}

/// A body, which may break off.
pub(super) type Body = UnsyncBoxBody<Bytes, Broken>;

impl Shared {
    /// Answers one body.
    pub(super) async fn exchange(&self, body: Vec<u8>) -> Result<Response<Body>, Broken> {
        let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let (entries, in_batch) = match parsed {
            Value::Array(entries) => (entries, true),
            request => (vec![request], false),
        };
        for entry in entries.iter().filter(|entry| entry["method"] == "eth_sendRawTransaction") {
            self.saw_raw(&entry["params"][0]);
        }
        let faults: Vec<_> = entries.iter().map(|entry| self.draw(entry, in_batch)).collect();
        let is_plain = faults.iter().all(Option::is_none) && !self.is_strict();
        if is_plain {
            let (status, kind, body) = self.node.pass(body).await.ok_or(Broken)?;
            return Ok(respond(status, kind.as_deref(), whole(body)));
        }
        let answers = self.carry_out(&entries, &faults).await?;
        self.fate(&entries, &faults, answers, in_batch).await
    }

    /// The node's answers, where it gets to see a request, under the faults of single entries.
    async fn carry_out(
        &self,
        entries: &[Value],
        faults: &[Option<Fault>],
    ) -> Result<Vec<Vec<Value>>, Broken> {
        let mut answers = Vec::new();
        for (index, (entry, fault)) in entries.iter().zip(faults).enumerate() {
            let mut answer = match fault {
                Some(Fault::Stale(blocks)) => self.stale(entry, *blocks).await?,
                Some(Fault::NoReceipt(polls)) if self.hides(entry, *polls) => null(entry),
                Some(fault) if !fault.is_carried_out() => {
                    fault.refusal().map_or_else(|| null(entry), |words| refusal(entry, words))
                }
                _ => self.forward(entry).await?,
            };
            let mut copies = 1;
            match fault {
                Some(Fault::WrongChain(id)) => answer["result"] = json!(U64::from(*id)),
                Some(Fault::Nonce(by)) => {
                    if let Some(nonce) = number(&answer["result"]) {
                        answer["result"] = json!(U64::from(nonce.saturating_add_signed(*by)));
                    }
                }
                Some(Fault::AlreadyHad) => answer = refusal(entry, "already known"),
                Some(Fault::WrongType) if answer.get("result").is_some() => {
                    let other = if answer["result"].is_object() { json!(7) } else { json!({}) };
                    answer["result"] = other;
                }
                Some(Fault::ForeignId) => {
                    let neighbour = (index + 1) % entries.len();
                    let other = entries[neighbour]["id"].clone();
                    answer["id"] = if neighbour == index { json!(u32::MAX) } else { other };
                }
                Some(Fault::NoId) => drop(answer.as_object_mut().map(|object| object.remove("id"))),
                Some(Fault::Twice) => copies = 2,
                Some(Fault::Absent) => copies = 0,
                _ => {}
            }
            answers.push(vec![answer; copies]);
        }
        Ok(answers)
    }

    async fn forward(&self, entry: &Value) -> Result<Value, Broken> {
        let is_raw = entry["method"] == "eth_sendRawTransaction";
        let answer = if is_raw && self.is_strict() {
            self.node.admit(entry).await
        } else {
            self.node.ask(entry).await
        };
        answer.ok_or(Broken)
    }

    /// The answers as HTTP, under the faults of the whole exchange.
    async fn fate(
        &self,
        entries: &[Value],
        faults: &[Option<Fault>],
        mut answers: Vec<Vec<Value>>,
        in_batch: bool,
    ) -> Result<Response<Body>, Broken> {
        if faults.contains(&Some(Fault::Shuffled)) {
            answers.reverse();
        }
        let mut answers: Vec<Value> = answers.into_iter().flatten().collect();
        let text = match (in_batch, answers.len()) {
            (false, 1) => answers.remove(0).to_string(),
            (false, 0) => json!({ "jsonrpc": "2.0", "id": entries[0]["id"] }).to_string(),
            _ => Value::Array(answers).to_string(),
        };
        let half = text[..text.len() / 2].to_owned();
        let kind = Some("application/json");
        for fault in faults.iter().flatten() {
            match fault {
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::Hang => tokio::time::sleep(FOREVER).await,
                Fault::DropBefore | Fault::DropAfter => return Err(Broken),
                Fault::TooManyRequests(seconds) => {
                    let mut response = respond(429, Some("text/plain"), whole("slow down".into()));
                    response.headers_mut().insert("retry-after", (*seconds).into());
                    return Ok(response);
                }
                Fault::Unavailable => {
                    return Ok(respond(503, Some("text/plain"), whole("later".into())));
                }
                Fault::Html => {
                    let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
                    return Ok(respond(200, Some("text/html"), whole(page.into())));
                }
                Fault::Truncated => return Ok(respond(200, kind, whole(half.into_bytes()))),
                Fault::BrokenOff => {
                    let pieces = [Ok(Frame::data(Bytes::from(half))), Err(Broken)];
                    let body = StreamBody::new(stream::iter(pieces));
                    return Ok(respond(200, kind, UnsyncBoxBody::new(body)));
                }
                _ => {}
            }
        }
        Ok(respond(200, kind, whole(text.into_bytes())))
    }

    /// What the node said so many blocks ago.
    async fn stale(&self, entry: &Value, blocks: u64) -> Result<Value, Broken> {
        let head = self.node.height().await.saturating_sub(blocks);
        let mut request = entry.clone();
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        if let Some(params) = request["params"].as_array_mut() {
            for param in params {
                let behind = match param.as_str() {
                    Some("latest" | "pending") => Some(head),
                    Some(tag @ ("safe" | "finalized")) => {
                        let block = self.node.own("eth_getBlockByNumber", json!([tag, false]));
                        let height = number(&block.await["number"]).unwrap_or(0);
                        Some(height.saturating_sub(blocks))
                    }
                    _ => None,
                };
                if let Some(height) = behind {
                    *param = json!(U64::from(height));
                }
            }
        }
        let mut answer = self.node.ask(&request).await.ok_or(Broken)?;
        match method.as_str() {
            "eth_blockNumber" => answer["result"] = json!(U64::from(head)),
            "eth_getBlockByNumber" if number(&answer["result"]["number"]) > Some(head) => {
                answer["result"] = Value::Null;
            }
            "eth_getTransactionReceipt"
                if number(&answer["result"]["blockNumber"]) > Some(head) =>
            {
                answer["result"] = Value::Null;
            }
            _ => {}
        }
        Ok(answer)
    }
}

fn null(request: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": null })
}

fn whole(body: Vec<u8>) -> Body {
    let body = Full::new(Bytes::from(body));
    UnsyncBoxBody::new(body.map_err(|never: Infallible| match never {}))
}

fn respond(status: u16, kind: Option<&str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(kind) = kind.and_then(|kind| kind.parse().ok()) {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
