//! One JSON-RPC request over HTTP, with a bounded body and nothing of the URL in its errors.

use core::fmt;
use core::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rpc::url::RpcUrl;
use crate::types::Bytes;

/// A page of logs is the largest answer anything here asks for; more than this is no honest one.
const MAX_BODY: usize = 32 << 20;

/// The longest piece of a server's own words that is kept.
const MAX_WORDS: usize = 200;

/// Why one endpoint gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RpcFault {
    /// It answered with an error object.
    Answer(ErrorObject),
    /// Too many requests, with the pause it asks for.
    RateLimited(Option<Duration>),
    /// Another HTTP status than success.
    Status(u16),
    /// The connection failed or broke.
    Connection(&'static str),
    /// The deadline passed.
    TimedOut,
    /// The body is no JSON-RPC answer to this request.
    Garbled(&'static str),
    /// It serves another chain.
    WrongChain(u64),
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorObject {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl ErrorObject {
    /// The message, cut to a length that fits a log line.
    pub(crate) fn shortened(&self) -> String {
        self.message.chars().take(MAX_WORDS).collect()
    }

    /// Revert data if this is a contract's refusal: code 3 (geth and its heirs), or hex data.
    pub(crate) fn revert(&self) -> Option<Bytes> {
        let hex = match &self.data {
            Some(Value::String(text)) => Some(text.as_str()),
            // Some nodes wrap it once more.
            Some(Value::Object(map)) => map.get("data").and_then(Value::as_str),
            _ => None,
        };
        let data = hex.and_then(|text| text.parse::<Bytes>().ok());
        let reverted = self.code == 3 || self.message.to_lowercase().contains("revert");
        if reverted { Some(data.unwrap_or_default()) } else { None }
    }
}

impl fmt::Display for RpcFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => write!(f, "error {}: {}", error.code, error.shortened()),
            Self::RateLimited(_) => f.write_str("rate limited"),
            Self::Status(status) => write!(f, "http status {status}"),
            Self::Connection(what) => f.write_str(what),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Garbled(what) => f.write_str(what),
            Self::WrongChain(found) => write!(f, "serves chain {found}"),
        }
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Value,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct AnswerError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

/// Posts one request and gives its `result` as it stands in the body, `null` included.
pub(crate) async fn request(
    client: &reqwest::Client,
    url: &RpcUrl,
    deadline: Duration,
    id: u64,
    method: &str,
    params: &Value,
) -> Result<Box<RawValue>, RpcFault> {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let exchange = async {
        let response =
            client.post(url.full().clone()).json(&body).send().await.map_err(connection)?;
        let status = response.status();
        let pause = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        if status.as_u16() == 429 {
            return Err(RpcFault::RateLimited(pause));
        }
        let body = read_bounded(response).await?;
        match parse(&body, id) {
            // Some servers put a JSON-RPC error under an HTTP error status: it says more.
            Err(RpcFault::Garbled(_)) if !status.is_success() => {
                Err(RpcFault::Status(status.as_u16()))
            }
            Ok(_) if status.is_server_error() => Err(RpcFault::Status(status.as_u16())),
            parsed => parsed,
        }
    };
    tokio::time::timeout(deadline, exchange).await.unwrap_or(Err(RpcFault::TimedOut))
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, RpcFault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(RpcFault::Garbled("answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse(body: &[u8], id: u64) -> Result<Box<RawValue>, RpcFault> {
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|_| RpcFault::Garbled("answer is not JSON-RPC"))?;
    if let Some(error) = answer.error {
        let AnswerError { code, message, data } = error;
        let error = ErrorObject { code, message, data };
        // Codes that providers use for "too many requests" under HTTP 200.
        return if matches!(error.code, 429 | -32005 | -32007 | -32012 | -32016)
            && error.revert().is_none()
        {
            Err(RpcFault::RateLimited(None))
        } else {
            Err(RpcFault::Answer(error))
        };
    }
    if answer.id != json!(id) {
        return Err(RpcFault::Garbled("answer is to another request"));
    }
    match answer.result {
        Some(result) => Ok(result.to_owned()),
        // An `Option` swallows a `null` result; a body without the member is no answer.
        None if has_member(body, "result") => Ok(RawValue::NULL.to_owned()),
        None => Err(RpcFault::Garbled("answer has neither result nor error")),
    }
}

fn has_member(body: &[u8], name: &str) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer.get(name).is_some())
}

/// The kind of failure only: reqwest's own text holds the whole URL.
fn connection(error: reqwest::Error) -> RpcFault {
    if error.is_timeout() {
        RpcFault::TimedOut
    } else if error.is_connect() {
        RpcFault::Connection("cannot connect")
    } else if error.is_body() || error.is_decode() {
        RpcFault::Connection("answer broke off")
    } else {
        RpcFault::Connection("request failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_an_answer_and_an_absent_result_is_none() {
        let null = parse(br#"{"jsonrpc":"2.0","id":4,"result":null}"#, 4).unwrap();
        assert_eq!(null.get(), "null");
        assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":4}"#, 4), Err(RpcFault::Garbled(_))));
        assert!(matches!(parse(b"<html>busy</html>", 4), Err(RpcFault::Garbled(_))));
        assert!(matches!(parse(br#"{"id":3,"result":1}"#, 4), Err(RpcFault::Garbled(_))));
    }

    #[test]
    fn a_revert_is_told_from_other_errors() {
        let error =
            |code, message: &str, data| ErrorObject { code, message: message.to_owned(), data };
        let data = Bytes::from_static(&[0x12, 0x34]);
        assert_eq!(
            error(3, "execution reverted", Some(json!("0x1234"))).revert(),
            Some(data.clone())
        );
        let wrapped = json!({ "data": "0x1234", "message": "revert" });
        assert_eq!(error(-32000, "VM Exception: revert", Some(wrapped)).revert(), Some(data));
        assert_eq!(error(-32000, "execution reverted", None).revert(), Some(Bytes::new()));
        assert_eq!(error(-32000, "header not found", None).revert(), None);
    }
}
