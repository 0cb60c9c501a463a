//! Why one endpoint gave no result, and what its words mean beyond raw transactions.

use core::fmt;
use core::time::Duration;

use serde_json::Value;

use crate::types::Bytes;

/// The longest piece of a server's own words that is kept.
const MAX_WORDS: usize = 200;

/// Codes that providers use for "too many requests" under HTTP 200.
const RATE_LIMITED: [i64; 5] = [429, -32005, -32007, -32012, -32016];

/// Words of refusals that a smaller range of blocks gets around. Lower case.
const TOO_MUCH: [&str; 12] = [
    "block range",
    "range is too",
    "range too",
    "more than",
    "max results",
    "too many results",
    "too many logs",
    "response size",
    "is limited to",
    "limit exceeded",
    "query timeout",
    "too large",
];

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
    /// It does not take batches.
    BatchRefused,
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

    /// True if a log query asked for more blocks or logs than the endpoint gives at once.
    pub(crate) fn is_too_much(&self, method: &str) -> bool {
        let words = self.message.to_lowercase();
        method == "eth_getLogs" && TOO_MUCH.iter().any(|text| words.contains(text))
    }

    /// What it is as the answer to a request: a refusal, or "too many requests" in other words. The
    /// codes for that also mean "too many logs" in answers to log queries.
    pub(crate) fn into_fault(self, method: &str) -> RpcFault {
        let is_limit = RATE_LIMITED.contains(&self.code)
            && self.revert().is_none()
            && !self.is_too_much(method);
        if is_limit { RpcFault::RateLimited(None) } else { RpcFault::Answer(self) }
    }

    /// True if the words are about batches, not about this one or about rates.
    pub(crate) fn is_about_batches(&self) -> bool {
        self.message.to_lowercase().contains("batch")
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
            Self::BatchRefused => f.write_str("takes no batches"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: i64, message: &str, data: Option<Value>) -> ErrorObject {
        ErrorObject { code, message: message.to_owned(), data }
    }

    #[test]
    fn a_revert_is_told_from_other_errors() {
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

    #[test]
    fn too_many_logs_are_told_from_too_many_requests() {
        for (code, words) in [
            (-32005, "query returned more than 10000 results"),
            (-32005, "limit exceeded"),
            (-32000, "exceed maximum block range: 50000"),
            (-32602, "query exceeds max results 20000, retry with the range 1-2"),
            (-32602, "Log response size exceeded."),
            (-32614, "eth_getLogs is limited to a 10,000 range"),
        ] {
            let fault = error(code, words, None).into_fault("eth_getLogs");
            assert!(matches!(&fault, RpcFault::Answer(error) if error.is_too_much("eth_getLogs")));
        }
        let many = error(-32005, "limit exceeded", None);
        assert_eq!(many.into_fault("eth_call"), RpcFault::RateLimited(None));
        let many = error(-32005, "daily request count reached", None);
        assert_eq!(many.into_fault("eth_getLogs"), RpcFault::RateLimited(None));
        assert!(!error(-32000, "header not found", None).is_too_much("eth_getLogs"));
    }
}
